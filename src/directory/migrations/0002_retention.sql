-- Days an organization's prompt logs are kept; null: as the server's setting says.

ALTER TABLE organizations ADD COLUMN retention_days INTEGER CHECK (retention_days > 0);
