-- One more grant for one user, until it expires. Instants are Unix milliseconds, UTC.

CREATE TABLE temporary_permission_grants (
    id               TEXT    NOT NULL PRIMARY KEY,
    org_id           TEXT    NOT NULL,
    user_id          TEXT    NOT NULL,
    permission_grant TEXT    NOT NULL, -- a JSON object
    justification    TEXT    NOT NULL,
    tags             TEXT    NOT NULL, -- a JSON object
    creator_org_id   TEXT,             -- null, as the next: an operator, on the command line
    creator_user_id  TEXT,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id) ON DELETE CASCADE
) STRICT;

CREATE INDEX temporary_permission_grants_user
    ON temporary_permission_grants (org_id, user_id, expires_at);
