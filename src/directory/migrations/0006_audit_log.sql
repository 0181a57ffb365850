-- What was done, by whom, and how it went: rows that are only ever added, in one chain an organization and one of the
-- server's own. Instants are Unix milliseconds, UTC.

CREATE TABLE audit_log (
    org_id         TEXT    NOT NULL, -- empty: the server's own chain
    seq            INTEGER NOT NULL, -- from 1, without gaps
    at             INTEGER NOT NULL,
    entry_id       TEXT    NOT NULL, -- joins the two rows of an act
    event          TEXT    NOT NULL CHECK (event IN ('opened', 'completed')),
    actor          TEXT    NOT NULL, -- what kind of actor
    actor_org_id   TEXT,
    actor_id       TEXT,
    action         TEXT    NOT NULL,
    resource       TEXT,
    request_id     TEXT,
    client_address TEXT,
    outcome        TEXT,
    status         INTEGER,
    reason         TEXT,
    rows           INTEGER,
    bytes          INTEGER,
    detail         TEXT,             -- a JSON object
    previous_hash  TEXT    NOT NULL,
    hash           TEXT    NOT NULL,
    PRIMARY KEY (org_id, seq)
) STRICT;

CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;

CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;

-- INSERT OR REPLACE would delete without a word to the trigger above.
CREATE TRIGGER audit_log_is_not_replaced BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE org_id = NEW.org_id AND seq >= NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;

-- The last row of each chain, so that a chain that was cut at its end is found.
CREATE TABLE audit_heads (
    org_id TEXT    NOT NULL PRIMARY KEY,
    seq    INTEGER NOT NULL,
    hash   TEXT    NOT NULL
) STRICT;

-- Acts whose second row is still to come.
CREATE TABLE audit_open (
    entry_id TEXT    NOT NULL PRIMARY KEY,
    org_id   TEXT    NOT NULL,
    seq      INTEGER NOT NULL
) STRICT;
