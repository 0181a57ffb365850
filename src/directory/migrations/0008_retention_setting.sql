-- The setting retention.days as the last server had it: one row.

CREATE TABLE retention_setting (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    days   INTEGER NOT NULL CHECK (days > 0),
    before INTEGER NOT NULL CHECK (before > 0), -- what held until then
    since  INTEGER NOT NULL                     -- Unix milliseconds, UTC
) STRICT;

-- Of a server before this step nobody knows the setting: nothing is dropped for a day.
INSERT INTO retention_setting (id, days, before, since)
SELECT 1, 36500, 36500, 0 WHERE EXISTS (SELECT 1 FROM organizations);
