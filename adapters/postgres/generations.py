"""Generations of the stored views: each a schema of its own with its tables, cursors, heads and hashes; one is live.

`views_1` is read while `views_2` is made; one row says which is live, so that a swap is one small transaction that no
read waits for. Row-level security is put on every table that names a tenant, whichever SQL made it.

Several nodes write one generation, each its own partitions. Advisory locks say who does: a writer holds that of the
generation together with others, and that of each partition alone; whoever drops a generation, or makes one that is not
live yet, holds it alone. They are tried, never waited for, and end with the connection. Only the swap is waited for,
and nobody who holds it waits for anything that an applying transaction holds.
"""

import contextlib
import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Identifier

READER: Final = "muniment_reader"
_CLASS: Final = 0x4D554E49
"""The first half of all our advisory locks."""
_SWAP: Final = 0
_PARTITIONS: Final = 0x4D55 << 48
"""Where our locks of single partitions begin: below are 28 bits for the generation and 20 for the partition."""

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
CREATE TABLE shape (hash bytea NOT NULL);
CREATE TABLE cursors (
    partition bigint PRIMARY KEY,
    sequence bigint NOT NULL,
    chain bytea NOT NULL
) WITH (fillfactor = 70);
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
    FOR each IN SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND tablename NOT IN ('shape', 'cursors') LOOP
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
    """How far a generation has read a partition's log, and the log's hash up to there."""

    sequence: int
    chain: bytes


BEGINNING: Final = Cursor(0, bytes(32))


def schema_of(generation: int) -> str:
    return f"views_{generation}"


def _first_lock(generation: int) -> int:
    return _PARTITIONS + (generation << 20)


class Generations:
    """What the projector, who owns all tables, knows of them. Its connection is in autocommit outside `transaction`."""

    def __init__(self, connection: psycopg.Connection[Any], tables: str) -> None:
        self._connection = connection
        self._tables = tables
        self.has_leftovers = False
        """Whether there was something besides the live generation that could not be dropped yet."""
        self._shape = hashlib.sha256(tables.encode() + _BOOKKEEPING + _WALLS).digest()

    def prepare(self) -> int:
        """Make the reading role and the first generation, where they aren't there; answers the live one's number."""
        with self._connection.transaction(), self.swapping():
            self._make_reader()
            self._connection.execute(_SETUP)
            live = self.live()
            if live is None or not self.has_our_shape(live):
                live = self._replace()
        self.drop_leftovers()
        return live

    def live(self) -> int | None:
        row = self._connection.execute("SELECT generation FROM muniment.live_generation").fetchone()
        return None if row is None else row[0]

    def has_our_shape(self, generation: int) -> bool:
        """Whether its tables are those that this version makes."""
        try:
            with self._connection.transaction():
                statement = SQL("SELECT hash FROM {}").format(Identifier(schema_of(generation), "shape"))
                row = self._connection.execute(statement).fetchone()
        except (errors.UndefinedTable, errors.UndefinedColumn):
            return False
        return row is not None and bytes(row[0]) == self._shape

    def cursors(self, generation: int) -> dict[int, Cursor]:
        """Of the partitions that were ever begun."""
        statement = SQL("SELECT partition, sequence, chain FROM {}").format(
            Identifier(schema_of(generation), "cursors")
        )
        rows = self._connection.execute(statement).fetchall()
        return {partition: Cursor(sequence, bytes(chain)) for partition, sequence, chain in rows}

    def begin(self, generation: int, partitions: Collection[int]) -> dict[int, Cursor]:
        """Where some partitions are; those that nobody has begun yet are at the beginning."""
        statement = SQL("INSERT INTO {} SELECT unnest(%s::bigint[]), %s, %s ON CONFLICT DO NOTHING").format(
            Identifier(schema_of(generation), "cursors")
        )
        self._connection.execute(statement, (list(partitions), *BEGINNING))
        return {number: cursor for number, cursor in self.cursors(generation).items() if number in partitions}

    def start_over(self, generation: int) -> int:
        """The live generation is unlike the log: an empty one takes its place."""
        with self._connection.transaction(), self.swapping():
            live = self.live()
            if live is None or live == generation:
                live = self._replace()
        self.drop_leftovers()
        return live

    def make_next(self) -> int:
        """An empty generation that is not live; others leave it alone until this connection ends, or unlocks it.

        Raises NotPrepared if a rebuild is already at work.
        """
        alone = self.drop_leftovers()
        with self._connection.transaction(), self.swapping():
            if not alone or set(self._all()) != {self.live()}:
                raise NotPrepared(
                    "a rebuild is already at work, or reads of the last one still are: try again in a while"
                )
            made = self._make()
            self.lock(made)
        return made

    def _make(self) -> int:
        """An empty generation; inside a transaction, swapping."""
        generation = max(self._all(), default=0) + 1
        with self._connection.transaction():
            schema = Identifier(schema_of(generation))
            self._connection.execute(SQL("CREATE SCHEMA {}").format(schema))
            self._connection.execute(SQL("SET LOCAL search_path TO {}").format(schema))
            self._connection.execute(_BOOKKEEPING)
            self._connection.execute(self._tables.encode())
            self._connection.execute(_WALLS)
            self._connection.execute("INSERT INTO shape VALUES (%s)", (self._shape,))
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
            if self.applying().fetchone() == (generation,):
                return True  # it went live meanwhile
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
                dropped = False
                if self.lock(number):
                    dropped = self.drop(number)
                    self.unlock(number)
                alone = alone and dropped
        self.has_leftovers = not alone
        return alone

    def lock(self, generation: int) -> bool:
        """Whether this connection is now the only one that has to do with a generation: until it ends, or unlocks."""
        return bool(self._one("SELECT pg_try_advisory_lock(%s, %s)", _CLASS, generation))

    def unlock(self, generation: int) -> None:
        self._one("SELECT pg_advisory_unlock(%s, %s)", _CLASS, generation)

    def enter(self, generation: int) -> bool:
        """Whether this connection may now write partitions of a generation, together with others: until it leaves."""
        return bool(self._one("SELECT pg_try_advisory_lock_shared(%s, %s)", _CLASS, generation))

    def take(self, generation: int, partitions: Collection[int]) -> dict[int, Cursor]:
        """Those of some partitions that this connection alone writes from now on, and where they are."""
        statement = "SELECT number, pg_try_advisory_lock(%s::bigint + number) FROM unnest(%s::bigint[]) number"
        tried = self._connection.execute(statement, (_first_lock(generation), list(partitions))).fetchall()
        taken = [number for number, is_ours in tried if is_ours]
        return self.begin(generation, taken) if taken else {}

    def let_go(self, generation: int, partitions: Collection[int]) -> None:
        """Others may write some partitions that were taken."""
        statement = "SELECT pg_advisory_unlock(%s::bigint + number) FROM unnest(%s::bigint[]) number"
        self._connection.execute(statement, (_first_lock(generation), list(partitions)))

    def leave(self) -> None:
        """Let go of everything that this connection has locked."""
        self._connection.execute("SELECT pg_advisory_unlock_all()")

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
        made = self._make()
        self.make_live(made)
        return made

    def _one(self, statement: LiteralString, *parameters: int) -> Any:
        row = self._connection.execute(statement, parameters).fetchone()
        return None if row is None else row[0]

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
