-- What a node knows of its own deliveries. It can be deleted: the ledger knows to within a minute where to go on.

CREATE TABLE IF NOT EXISTS places (
    tenant TEXT NOT NULL,
    webhook TEXT NOT NULL,
    turn INTEGER NOT NULL,
    reached INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    trying_since INTEGER NOT NULL,
    failing_since INTEGER NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (tenant, webhook)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS attempts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    webhook TEXT NOT NULL,
    position INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    kind TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    took INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    status INTEGER,
    reason TEXT NOT NULL,
    next_at INTEGER,
    events INTEGER NOT NULL
);

CREATE INDEX IF NOT EXISTS attempts_of_webhooks ON attempts (tenant, webhook, number);
CREATE INDEX IF NOT EXISTS attempts_by_time ON attempts (began_at);
