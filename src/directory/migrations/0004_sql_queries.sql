-- The queries of organizations: running, done, failed. Instants are Unix milliseconds, UTC.

CREATE TABLE sql_queries (
    query_id          TEXT    NOT NULL PRIMARY KEY,
    org_id            TEXT    NOT NULL REFERENCES organizations (org_id),
    user_org_id       TEXT    NOT NULL, -- whose user asked
    user_id           TEXT    NOT NULL,
    sql_query         TEXT    NOT NULL,
    result_format     TEXT,             -- null: answered with a page
    status            TEXT    NOT NULL
        CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'timed_out', 'canceled')),
    error             TEXT,             -- for the caller
    idempotency_key   TEXT,
    created_at        INTEGER NOT NULL,
    started_at        INTEGER,
    finished_at       INTEGER,
    expires_at        INTEGER,          -- of the result; null: there is none to fetch
    rows              INTEGER NOT NULL DEFAULT 0,
    bytes             INTEGER NOT NULL DEFAULT 0,
    bytes_scanned     INTEGER NOT NULL DEFAULT 0,
    queue_ms          INTEGER NOT NULL DEFAULT 0,
    planning_ms       INTEGER NOT NULL DEFAULT 0,
    execution_ms      INTEGER NOT NULL DEFAULT 0,
    peak_memory_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX sql_queries_org ON sql_queries (org_id, created_at, query_id);

CREATE UNIQUE INDEX sql_queries_idempotency
    ON sql_queries (org_id, user_org_id, user_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE INDEX sql_queries_unfinished ON sql_queries (status) WHERE status IN ('queued', 'running');

CREATE INDEX sql_queries_results ON sql_queries (expires_at) WHERE expires_at IS NOT NULL;

-- What the URLs of results are signed with: HMAC-SHA256 (FIPS 198-1).
CREATE TABLE url_keys (
    kid        TEXT    NOT NULL PRIMARY KEY,
    secret     BLOB    NOT NULL, -- 32 random bytes
    created_at INTEGER NOT NULL
) STRICT;
