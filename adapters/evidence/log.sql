-- The deployment's log: heads of tenants, and the checkpoints that commit to them. It can't be made again: back it up.

CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL);

-- `id` is part of the origin: a log that may not go on where another went on from has another id.
CREATE TABLE IF NOT EXISTS log (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- `leaf` counts from 0; `entry` is the head's commitment, which is all that others are shown.
CREATE TABLE IF NOT EXISTS heads (
    leaf INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    counts BLOB NOT NULL,
    blind BLOB NOT NULL,
    entry BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS heads_by_tenant ON heads (tenant, size);

-- `size` is that of the whole log; `note` is signed, and gets more signatures when witnesses give theirs.
CREATE TABLE IF NOT EXISTS checkpoints (
    number INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    frontier BLOB NOT NULL,
    instant INTEGER NOT NULL,
    note TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS checkpoints_by_size ON checkpoints (size);
