-- The columns of collections' tables as samples had them, so that types are the same in every query; and what a query
-- that succeeded has to be warned of.

CREATE TABLE collections (
    org_id     TEXT    NOT NULL REFERENCES organizations (org_id),
    cluster    TEXT    NOT NULL,
    name       TEXT    NOT NULL, -- of the table
    collection TEXT    NOT NULL,
    columns    TEXT    NOT NULL, -- JSON
    origin     TEXT    NOT NULL, -- where the columns come from, for people
    sampled_at INTEGER NOT NULL, -- Unix milliseconds, UTC
    PRIMARY KEY (org_id, cluster, name)
) STRICT;

ALTER TABLE sql_queries ADD COLUMN warning TEXT;
