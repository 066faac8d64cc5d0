-- Keys of tenants and users, and the operators' keys: every version of every row, and the spans they are found by.

CREATE TABLE api_keys (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "credential" text NOT NULL,
    "holder" text NOT NULL,
    "secret_hash" bytea NOT NULL,
    "permissions" text[] NOT NULL,
    "issued_at" bigint NOT NULL,
    "changed_at" bigint NOT NULL,
    "name" bytea,
    "expires_at" bigint,
    "former_hash" bytea,
    "former_until" bigint,
    "revoked_at" bigint,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE api_keys_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);

CREATE TABLE operator_keys (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "operator" text NOT NULL,
    "credential" text NOT NULL,
    "secret_hash" bytea NOT NULL,
    "issued_at" bigint NOT NULL,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE operator_keys_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);
