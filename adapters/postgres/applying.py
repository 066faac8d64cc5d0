"""Applies batches of events to a generation: one read, one close, one insert per view, in one transaction.

The same transaction advances the cursors of the batch's partitions, the tenants' heads and the hashes, so a batch is
there whole or not at all, and once. Commits need not reach the disk: what a crash takes is read from the log again.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier

from adapters.postgres.arrays import bigints, byteas, register, texts
from adapters.postgres.folding import Fold
from adapters.postgres.generations import Cursor, Generations, schema_of
from adapters.postgres.writing import ViewTables, ask
from domain.event import Event, Instant, Recorded
from domain.ids import TenantId
from domain.view import View
from domain.view_hash import digest, total_of

MOST_HASHES_CACHED: Final = 100_000
OPTIONS: Final = (
    "-c synchronous_commit=off -c plan_cache_mode=force_generic_plan -c jit=off "
    "-c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
)
"""How the projector connects: its statements are index look-ups, whatever the statistics say."""
LAPSES: Final = (
    "-c idle_session_timeout=20s -c idle_in_transaction_session_timeout=20s "
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
"""What a projector that is paused, or whose machine is gone, has locked is free after so long."""

_READ_HASHES: Final = SQL("""
    SELECT h.tenant, h.view, h.hash
    FROM unnest(%b, %b) k (tenant, view) JOIN {hashes} h ON h.tenant = k.tenant AND h.view = k.view
""")
_WRITE_HASHES: Final = SQL("""
    INSERT INTO {hashes} (tenant, view, hash) SELECT * FROM unnest(%b, %b, %b)
    ON CONFLICT (tenant, view) DO UPDATE SET hash = excluded.hash
""")
_WRITE_HEADS: Final = SQL("""
    INSERT INTO {heads} (tenant, position, instant) SELECT * FROM unnest(%b, %b, %b)
    ON CONFLICT (tenant) DO UPDATE SET position = excluded.position, instant = excluded.instant
""")
_ADVANCE: Final = SQL("""
    UPDATE {cursors} c SET sequence = n.sequence, chain = n.chain
    FROM unnest(%b, %b, %b, %b) n (partition, after, sequence, chain)
    WHERE c.partition = n.partition AND c.sequence = n.after
""")
_ANNOUNCE: Final = b"SELECT pg_notify('muniment_views', %s)"


class Part(NamedTuple):
    """Whole commits of one partition's log, one after another."""

    partition: int
    after: int
    """The sequence at which what was read before ended."""
    cursor: Cursor
    events: Sequence[Recorded]
    """Those that any view follows."""
    heads: dict[TenantId, tuple[int, Instant]]
    """Where each tenant in it ends."""


class Batch(NamedTuple):
    """What is applied at once: parts of different partitions, which have no tenant in common."""

    parts: Sequence[Part]
    is_full: bool = False
    """Whether there was more in the logs than fitted."""


class Superseded(Exception):
    """Another generation is live now."""


class Diverged(Exception):
    """The tables are not what this projector has written: another one wrote, or they were changed."""


def connect(conninfo: str, *, lapses: bool = False) -> psycopg.Connection[Any]:
    """A connection for applying, and for all else that the tables' owner does. `lapses`: unused, it ends."""
    connection = psycopg.connect(conninfo, autocommit=True, options=f"{OPTIONS} {LAPSES}" if lapses else OPTIONS)
    connection.prepared_max = 500
    register(connection)
    return connection


class Applying:
    """Writes one generation.

    `live` tells whether it must be the live one; `announces`, whether other nodes wait for what it writes.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        generations: Generations,
        generation: int,
        views: Iterable[View[Any]],
        *,
        live: bool = True,
        announces: bool = False,
    ) -> None:
        self._connection = connection
        self._generations = generations
        self.generation = generation
        self._live = live
        self._announces = announces
        self._views = [ViewTables(connection, view, generation) for view in views]
        self._following: dict[type[Event], list[Fold]] = {}
        for each in self._views:
            for event in each.view.follows:
                self._following.setdefault(event, []).append(each.fold)
        self._hashes: OrderedDict[tuple[TenantId, str], int] = OrderedDict()
        words = {name: Identifier(schema_of(generation), name) for name in ("hashes", "heads", "cursors")}
        self._read_hashes, self._write_hashes, self._write_heads, self._advance = (
            statement.format(**words).as_bytes(connection)
            for statement in (_READ_HASHES, _WRITE_HASHES, _WRITE_HEADS, _ADVANCE)
        )

    def apply(self, batch: Batch) -> None:
        """Raises Superseded or Diverged, or what psycopg raises: then nothing of the batch is there."""
        try:
            for part in batch.parts:
                for recorded in part.events:
                    for fold in self._following.get(type(recorded.event), ()):
                        fold.add(recorded)
            touched = [each for each in self._views if each.fold.touched]
            with self._connection.transaction():
                self._read(touched)
                with self._connection.pipeline():
                    written = [pair for each in touched for pair in each.write(self._connection)]
                    written.append(self._finish(batch, touched))
                if any(cursor.rowcount != wanted for cursor, wanted in written):
                    raise Diverged("the views are not as this projector left them")
        except BaseException:
            self.forget()
            raise
        for each in touched:
            each.fold.committed()
        for _ in range(len(self._hashes) - MOST_HASHES_CACHED):
            self._hashes.popitem(last=False)

    def forget(self) -> None:
        """What is remembered of the tables, because another may write some of it from now on."""
        for each in self._views:
            each.fold.forget()
        self._hashes.clear()

    def check(self) -> None:
        """Raises Superseded, or what psycopg raises if PostgreSQL is not there any more."""
        if self._live and self._generations.live() != self.generation:
            raise Superseded

    def _read(self, touched: list[ViewTables]) -> None:
        """What the batch must know of before it, in one round trip; then the folds."""
        missing = {
            (tenant, each.view.name)
            for each in touched
            for tenant in each.fold.tenants
            if (tenant, each.view.name) not in self._hashes
        }
        with self._connection.pipeline():
            live = self._generations.applying() if self._live else None
            reads = [each.read(self._connection) for each in touched]
            hashes = None
            if missing:
                tenants, views = zip(*missing, strict=True)
                hashes = ask(self._connection, self._read_hashes, texts(tenants), texts(views))
        if live is not None and live.fetchone() != (self.generation,):
            raise Superseded
        self._hashes.update(dict.fromkeys(missing, 0))
        if hashes is not None:
            self._hashes.update({(tenant, view): total_of(kept) for tenant, view, kept in hashes})
        for each, cursors in zip(touched, reads, strict=True):
            each.changes = each.fold.fold(each.rows_of(cursors))

    def _finish(self, batch: Batch, touched: list[ViewTables]) -> tuple[psycopg.Cursor[Any], int]:
        """The hashes, heads and cursors, which must be where the batches before ended."""
        hashes = []
        for each in touched:
            for tenant, growth in each.changes.sums.items():
                key = (tenant, each.view.name)
                total = self._hashes[key] = (self._hashes[key] + growth) % (1 << 256)
                self._hashes.move_to_end(key)
                hashes.append((tenant, each.view.name, digest(total)))
        if hashes:
            tenants, views, kept = zip(*hashes, strict=True)
            ask(self._connection, self._write_hashes, texts(tenants), texts(views), byteas(kept))
        heads = {tenant: head for part in batch.parts for tenant, head in part.heads.items()}
        if heads:
            positions, instants = zip(*heads.values(), strict=True)
            ask(self._connection, self._write_heads, texts(list(heads)), bigints(positions), bigints(instants))
        if self._announces:
            said = ",".join(str(part.partition) for part in batch.parts)
            self._connection.execute(_ANNOUNCE, (said,), prepare=True)
        partitions, before, ends, *_ = zip(*batch.parts, strict=True)
        sequences, chains = zip(*ends, strict=True)
        parameters = (bigints(partitions), bigints(before), bigints(sequences), byteas(chains))
        return ask(self._connection, self._advance, *parameters), len(partitions)
