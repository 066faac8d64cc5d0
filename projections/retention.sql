-- Retention and legal holds: every version of every row, and the spans they are found by.

CREATE TABLE retention (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "tenant_" text NOT NULL,
    "days" bigint,
    "changed_at" bigint NOT NULL,
    "trimmed" bigint NOT NULL,
    "trimmed_at" bigint,
    "trimmed_root" text,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE retention_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);

CREATE TABLE legal_holds (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "hold" text NOT NULL,
    "placed_at" bigint NOT NULL,
    "reason" bytea,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE legal_holds_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);
