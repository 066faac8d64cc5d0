-- The keyring. Rows with secrets are appended and overwritten in place, never moved: that is how they can be destroyed.

CREATE TABLE IF NOT EXISTS tenant_keys (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    wrapped BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS tenant_keys_of ON tenant_keys (tenant);

CREATE TABLE IF NOT EXISTS data_keys (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    subject TEXT NOT NULL,
    wrapped BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS data_keys_by_id ON data_keys (id);
CREATE INDEX IF NOT EXISTS data_keys_of ON data_keys (tenant, subject);

-- `lookup` is a keyed hash of the value a handle stands for; only 8 bytes of it are in an index.
CREATE TABLE IF NOT EXISTS handles (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    handle TEXT NOT NULL,
    lookup BLOB NOT NULL,
    short INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS handles_by_handle ON handles (handle);
CREATE INDEX IF NOT EXISTS handles_by_value ON handles (short);

-- One row for each destruction: how many there were is the erasure epoch, which entity tags carry.
CREATE TABLE IF NOT EXISTS destructions (number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, subject TEXT NOT NULL);
