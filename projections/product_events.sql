-- Audit actions and their versions: every version of every row, and the spans they are found by.

CREATE TABLE audit_actions (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "action" text NOT NULL,
    "version" bigint NOT NULL,
    "schema" text NOT NULL,
    "registered_at" bigint NOT NULL,
    "registered_at_position" bigint NOT NULL,
    "changed_at" bigint NOT NULL,
    "description" bytea,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE audit_actions_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);
