-- Organizations, users, roles and keys. Instants are Unix milliseconds, UTC.

CREATE TABLE clusters (
    name TEXT NOT NULL PRIMARY KEY
) STRICT;

CREATE TABLE organizations (
    org_id     TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    cluster    TEXT    NOT NULL REFERENCES clusters (name),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE roles (
    role_id           TEXT    NOT NULL PRIMARY KEY,
    org_id            TEXT    NOT NULL REFERENCES organizations (org_id),
    name              TEXT    NOT NULL,
    description       TEXT    NOT NULL,
    frontend_view     TEXT    NOT NULL CHECK (frontend_view IN ('client', 'admin')),
    permission_grants TEXT    NOT NULL, -- a JSON array of grants
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    UNIQUE (org_id, name),
    UNIQUE (org_id, role_id)
) STRICT;

-- The role of a user, and of a key, is one of their own organization: the foreign keys carry org_id for that.
CREATE TABLE users (
    org_id     TEXT    NOT NULL REFERENCES organizations (org_id),
    user_id    TEXT    NOT NULL,
    email      TEXT,
    first_name TEXT,
    last_name  TEXT,
    role_id    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, user_id),
    FOREIGN KEY (org_id, role_id) REFERENCES roles (org_id, role_id)
) STRICT;

-- People write the same address in different capitals.
CREATE UNIQUE INDEX users_email ON users (org_id, email COLLATE NOCASE) WHERE email IS NOT NULL;

CREATE TABLE api_keys (
    id              TEXT    NOT NULL PRIMARY KEY,
    org_id          TEXT    NOT NULL REFERENCES organizations (org_id),
    key_id          TEXT    NOT NULL UNIQUE,
    secret_hash     TEXT    NOT NULL, -- argon2id, in PHC form
    name            TEXT,
    role_id         TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    creator_user_id TEXT,             -- null: an operator, on the command line
    FOREIGN KEY (org_id, role_id) REFERENCES roles (org_id, role_id)
) STRICT;

CREATE INDEX api_keys_org ON api_keys (org_id, expires_at);

CREATE TABLE signing_keys (
    kid         TEXT    NOT NULL PRIMARY KEY,
    private_key BLOB    NOT NULL, -- Ed25519, PKCS #8
    public_key  BLOB    NOT NULL, -- Ed25519, the 32 bytes
    created_at  INTEGER NOT NULL
) STRICT;
