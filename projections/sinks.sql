-- Sinks and their dead letters: every version of every row, and the spans they are found by.

CREATE TABLE sinks (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "sink" text NOT NULL,
    "target" text NOT NULL,
    "settings" bytea NOT NULL,
    "secret" bytea NOT NULL,
    "types" text[] NOT NULL,
    "format" text NOT NULL,
    "personal" boolean NOT NULL,
    "patience" bigint NOT NULL,
    "state" text NOT NULL,
    "created_at" bigint NOT NULL,
    "changed_at" bigint NOT NULL,
    "name" bytea,
    "from_position_" bigint,
    "reached" bigint,
    "disabled_because" text,
    "failing_since" bigint,
    "tested_at" bigint,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE sinks_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);

CREATE TABLE sink_dead_letters (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "sink" text NOT NULL,
    "position" bigint NOT NULL,
    "event_id" text NOT NULL,
    "event_type" text NOT NULL,
    "attempts" bigint NOT NULL,
    "status" bigint,
    "reason" text NOT NULL,
    "since" bigint NOT NULL,
    "failed_at" bigint NOT NULL,
    "state" text NOT NULL,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE sink_dead_letters_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);
