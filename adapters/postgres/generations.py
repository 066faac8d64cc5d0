"""Generations of the stored views: each a schema of its own with its tables, cursor, heads and hashes; one is live.

`views_1` is read while `views_2` is made; one row says which is live, so that a swap is one small transaction that no
read waits for. Row-level security is put on every table that names a tenant, whichever SQL made it.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Identifier

READER: Final = "muniment_reader"
_CLASS: Final = 0x4D554E49
"""The first half of all our advisory locks."""
_SWAP: Final = 0

_SETUP: Final = b"""
CREATE SCHEMA IF NOT EXISTS muniment;
CREATE TABLE IF NOT EXISTS muniment.live_generation (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    generation bigint NOT NULL
);
GRANT USAGE ON SCHEMA muniment TO muniment_reader;
GRANT SELECT ON muniment.live_generation TO muniment_reader;
"""
_BOOKKEEPING: Final = b"""
CREATE TABLE cursor (sequence bigint NOT NULL, chain bytea NOT NULL, shape bytea NOT NULL);
CREATE TABLE heads (
    tenant text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    instant bigint NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE hashes (
    tenant text COLLATE "C" NOT NULL,
    view text COLLATE "C" NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (tenant, view)
) WITH (fillfactor = 70);
"""
_WALLS: Final = b"""
DO $$
DECLARE each record;
BEGIN
    FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'cursor' LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', each.tablename);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', each.tablename);
        EXECUTE format('CREATE POLICY reading ON %I FOR SELECT TO muniment_reader
            USING (tenant = current_setting(''muniment.tenant'', true))', each.tablename);
        EXECUTE format('CREATE POLICY projecting ON %I TO %I USING (true) WITH CHECK (true)',
            each.tablename, current_user);
        EXECUTE format('GRANT SELECT ON %I TO muniment_reader', each.tablename);
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO muniment_reader', current_schema());
END
$$
"""


class NotPrepared(Exception):
    """The database's user may not make what we need; the message says what to do."""


class Cursor(NamedTuple):
    """How far a generation has read the log, and the log's hash up to there."""

    sequence: int
    chain: bytes


BEGINNING: Final = Cursor(0, bytes(32))


def schema_of(generation: int) -> str:
    return f"views_{generation}"


class Generations:
    """What the projector, who owns all tables, knows of them. Its connection is in autocommit outside `transaction`."""

    def __init__(self, connection: psycopg.Connection[Any], tables: str) -> None:
        self._connection = connection
        self._tables = tables
        self._shape = hashlib.sha256(tables.encode() + _BOOKKEEPING + _WALLS).digest()

    def prepare(self) -> int:
        """Make the reading role and the first generation, where they aren't there; answers the live one's number."""
        with self._connection.transaction(), self.swapping():
            self._make_reader()
            self._connection.execute(_SETUP)
            live = self.live()
            if live is None or not self._has_our_shape(live):
                live = self._replace()
        self.drop_leftovers()
        return live

    def live(self) -> int | None:
        row = self._connection.execute("SELECT generation FROM muniment.live_generation").fetchone()
        return None if row is None else row[0]

    def cursor(self, generation: int) -> Cursor:
        statement = SQL("SELECT sequence, chain FROM {}").format(Identifier(schema_of(generation), "cursor"))
        (row,) = self._connection.execute(statement).fetchall()
        return Cursor(row[0], bytes(row[1]))

    def start_over(self, generation: int) -> int:
        """The live generation is unlike the log: an empty one takes its place."""
        with self._connection.transaction(), self.swapping():
            live = self.live()
            if live is None or live == generation:
                live = self._replace()
        self.drop_leftovers()
        return live

    def make(self) -> int:
        """An empty generation that is not live."""
        generation = max(self._all(), default=0) + 1
        self.lock(generation)
        with self._connection.transaction():
            schema = Identifier(schema_of(generation))
            self._connection.execute(SQL("CREATE SCHEMA {}").format(schema))
            self._connection.execute(SQL("SET LOCAL search_path TO {}").format(schema))
            self._connection.execute(_BOOKKEEPING)
            self._connection.execute(self._tables.encode())
            self._connection.execute(_WALLS)
            self._connection.execute("INSERT INTO cursor VALUES (%s, %s, %s)", (*BEGINNING, self._shape))
        return generation

    def make_live(self, generation: int) -> None:
        self._connection.execute(
            "INSERT INTO muniment.live_generation (generation) VALUES (%s) "
            "ON CONFLICT (single) DO UPDATE SET generation = excluded.generation",
            (generation,),
        )

    def drop(self, generation: int) -> bool:
        """Whether it could be dropped now. Reads that are under way come first, and none waits for long."""
        schema = schema_of(generation)
        with contextlib.suppress(errors.LockNotAvailable), self._connection.transaction():
            self._connection.execute("SET LOCAL lock_timeout = '100ms'")
            # Every read begins with the heads, so whoever holds them first meets no reader halfway.
            if self._connection.execute("SELECT to_regclass(%s)", (f"{schema}.heads",)).fetchone() != (None,):
                heads = Identifier(schema, "heads")
                self._connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(heads))
            self._connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))
            return True
        return False

    def drop_leftovers(self) -> bool:
        """What was swapped away, or a rebuild that was killed left behind; whether nothing but the live one is left."""
        alone = True
        live = self.live()
        for number in self._all():
            if number != live:
                alone = self.lock(number) and self.drop(number) and alone
                self.unlock(number)
        return alone

    def lock(self, generation: int) -> bool:
        """Whether this connection is now the only one that writes a generation: until it ends."""
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_CLASS, generation)).fetchone()
        return bool(row and row[0])

    def unlock(self, generation: int) -> None:
        self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", (_CLASS, generation))

    @contextmanager
    def swapping(self) -> Iterator[None]:
        """Inside a transaction: until it ends, no batch is applied to the live generation."""
        self._connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_CLASS, _SWAP))
        yield

    def applying(self) -> psycopg.Cursor[Any]:
        """Inside a transaction: until it ends, the live generation, which the cursor tells, stays the live one."""
        self._connection.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", (_CLASS, _SWAP))
        return self._connection.execute("SELECT generation FROM muniment.live_generation")

    def _all(self) -> list[int]:
        rows = self._connection.execute(
            "SELECT substr(nspname, 7)::bigint FROM pg_namespace WHERE nspname ~ '^views_[0-9]+$'"
        )
        return [number for (number,) in rows]

    def _replace(self) -> int:
        made = self.make()
        self.make_live(made)
        return made

    def _has_our_shape(self, generation: int) -> bool:
        try:
            with self._connection.transaction():
                statement = SQL("SELECT shape FROM {}").format(Identifier(schema_of(generation), "cursor"))
                row = self._connection.execute(statement).fetchone()
        except (errors.UndefinedTable, errors.UndefinedColumn):
            return False
        return row is not None and bytes(row[0]) == self._shape

    def _make_reader(self) -> None:
        try:
            self._connection.execute(
                "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'muniment_reader')"
                " THEN BEGIN CREATE ROLE muniment_reader NOLOGIN;"
                " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END; END IF;"
                " IF NOT pg_has_role(current_user, 'muniment_reader', 'SET')"
                " THEN EXECUTE format('GRANT muniment_reader TO %I', current_user); END IF; END $$"
            )
        except errors.InsufficientPrivilege as problem:
            raise NotPrepared(
                "the user of MUNIMENT_POSTGRES may not make the role that reads: as an administrator, "
                "run CREATE ROLE muniment_reader NOLOGIN, and GRANT muniment_reader to that user"
            ) from problem
