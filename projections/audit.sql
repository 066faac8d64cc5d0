-- Exports of the trail: every version of every row, and the spans they are found by.

CREATE TABLE exports (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "export" text NOT NULL,
    "format" text NOT NULL,
    "after" bigint NOT NULL,
    "until" bigint NOT NULL,
    "types" text[] NOT NULL,
    "matching" text[] NOT NULL,
    "keep" bigint NOT NULL,
    "state" text NOT NULL,
    "requested_at" bigint NOT NULL,
    "finished_at" bigint,
    "expires_at" bigint,
    "digest" bytea,
    "manifest" bytea,
    "size" bigint,
    "count" bigint,
    "first" bigint,
    "last" bigint,
    "tree_size" bigint,
    "root" bytea,
    "reason" text,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE exports_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);
