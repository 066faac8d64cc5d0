-- The index of a partition; with the embedded log, it is the log.

CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL, partition TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS tenants (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL UNIQUE,
    position INTEGER NOT NULL,
    instant INTEGER NOT NULL,
    frontier BLOB NOT NULL
);

CREATE TABLE IF NOT EXISTS types (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- `own` is where the event's own fields begin in the stored bytes.
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    position INTEGER NOT NULL,
    type INTEGER NOT NULL,
    instant INTEGER NOT NULL,
    own INTEGER NOT NULL,
    stored BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS events_by_position ON events (tenant, position);
CREATE INDEX IF NOT EXISTS events_by_type ON events (tenant, type, position);

-- A tag's key is tenant, kind and 16 bytes (tags.py); `nth` counts the tag's events of the tenant, densely.
CREATE TABLE IF NOT EXISTS postings (
    tag BLOB NOT NULL,
    type INTEGER NOT NULL,
    position INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    PRIMARY KEY (tag, type, position)
) WITHOUT ROWID;

-- One row for each group commit; `chain` hashes all leaves up to its last event; `outcomes` are pairs of 64 bits, the
-- hash of a tenant and idempotency key, and the sequence of the last event of what it led to (outcomes.py).
CREATE TABLE IF NOT EXISTS commits (
    first INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    id BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    instant INTEGER NOT NULL,
    chain BLOB NOT NULL,
    outcomes BLOB NOT NULL
);

-- Only where the log is elsewhere: how far each of its streams was read. Of events, `last` is the offset of the last
-- one; of the keyring, the number of its last change; `next` is the offset to go on from.
CREATE TABLE IF NOT EXISTS streams (name TEXT PRIMARY KEY, last INTEGER NOT NULL, next INTEGER NOT NULL);

-- Where the log has many owners, one after another: what each said when it took over.
CREATE TABLE IF NOT EXISTS owners (
    epoch INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    address TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    instant INTEGER NOT NULL
);
