-- What the identity endpoints keep. Instants are Unix milliseconds, UTC.

-- One row while the server is in maintenance.
CREATE TABLE maintenance (
    id    INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    since INTEGER NOT NULL
) STRICT;

-- A caller of another organization may make keys here; null: of the key's own organization.
ALTER TABLE api_keys ADD COLUMN creator_org_id TEXT;

ALTER TABLE users ADD COLUMN preferences TEXT NOT NULL DEFAULT '{}'; -- a JSON object
ALTER TABLE users ADD COLUMN nonsensitive_variables TEXT NOT NULL DEFAULT '{}'; -- a JSON object of texts
ALTER TABLE users ADD COLUMN sensitive_variables TEXT NOT NULL DEFAULT '[]'; -- a JSON array of names; values are not kept
