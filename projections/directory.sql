-- Users, groups, members, and the feeds with their tokens: every version of every row, and the spans they are found by.

CREATE TABLE users (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "user" text NOT NULL,
    "user_name" bytea NOT NULL,
    "user_name_handle" text NOT NULL,
    "active" boolean NOT NULL,
    "created_at" bigint NOT NULL,
    "changed_at" bigint NOT NULL,
    "display_name" bytea,
    "given_name" bytea,
    "family_name" bytea,
    "email" bytea,
    "attributes" bytea,
    "directory" text,
    "external_id" bytea,
    "external_id_handle" text,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE users_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);

CREATE TABLE groups (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "group" text NOT NULL,
    "display_name" bytea NOT NULL,
    "created_at" bigint NOT NULL,
    "changed_at" bigint NOT NULL,
    "directory" text,
    "external_id" bytea,
    "external_id_handle" text,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE groups_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);

CREATE TABLE members (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "group" text NOT NULL,
    "member" text NOT NULL,
    "since" bigint NOT NULL,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE members_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);

CREATE TABLE directories (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "directory" text NOT NULL,
    "name" bytea NOT NULL,
    "provider" text NOT NULL,
    "created_at" bigint NOT NULL,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE directories_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);

CREATE TABLE directory_tokens (
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    "credential" text NOT NULL,
    "directory" text NOT NULL,
    "secret_hash" bytea NOT NULL,
    "issued_at" bigint NOT NULL,
    "expires_at" bigint,
    PRIMARY KEY (tenant, key, from_position)
) WITH (fillfactor = 90);

CREATE TABLE directory_tokens_spans (
    tenant text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)
);
