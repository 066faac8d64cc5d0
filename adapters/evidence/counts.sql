-- Tag counts of tenants, and the hashes of their leaves, as far as `position`. Can be deleted: made again of the log.

CREATE TABLE IF NOT EXISTS tenants (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL UNIQUE,
    position INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    tags INTEGER NOT NULL
);

-- A bucket is a range of tags' hashes.
CREATE TABLE IF NOT EXISTS counts (
    tenant INTEGER NOT NULL,
    tag BLOB NOT NULL,
    count INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (tenant, tag)
) WITHOUT ROWID;

-- The tree over the buckets of a tenant; a bucket's hash is at level 0.
CREATE TABLE IF NOT EXISTS nodes (
    tenant INTEGER NOT NULL,
    level INTEGER NOT NULL,
    place INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (tenant, level, place)
) WITHOUT ROWID;

-- The hashes of 256 leaves each, so that a rewritten event can be told from its neighbours.
CREATE TABLE IF NOT EXISTS leaves (
    tenant INTEGER NOT NULL,
    block INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (tenant, block)
) WITHOUT ROWID;
