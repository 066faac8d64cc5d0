"""A generation of stored views in a test's database, written batch by batch without a log."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

import projections
from adapters.postgres.applying import Applying, Batch, Part, connect
from adapters.postgres.generations import Cursor, Generations
from domain.event import Instant, Recorded
from domain.ids import TenantId
from domain.view import Moment, Rows, Versioned, View
from projections.every import EVERY_VIEW

TABLES: Final = "\n".join(file.read_text() for file in sorted(Path(projections.__path__[0]).glob("*.sql")))
PARTITIONED: Final = TABLES + "\n-- of a ledger in partitions\n"
"""What nodes make them of where the ledger is in partitions."""


class StoredGeneration:
    """Applies batches of recorded events, as the projector would."""

    def __init__(self, connection: psycopg.Connection[Any], views: Sequence[View[Any]] = EVERY_VIEW) -> None:
        self.generations = Generations(connection, TABLES)
        self.number = self.generations.prepare()
        self._connection = connection
        self._views = views
        self.forget()
        self.cursor = self.generations.begin(self.number, {0})[0]

    def forget(self) -> None:
        """Go on as a projector that was started again: it remembers no rows."""
        self._applying = Applying(self._connection, self.generations, self.number, self._views)

    def apply(self, recorded: Sequence[Recorded]) -> None:
        """One batch."""
        after = self.cursor
        chain = hashlib.sha256(after.chain + repr(recorded).encode()).digest()
        heads = {each.tenant: (each.position, each.instant) for each in recorded}
        end = Cursor(after.sequence + len(recorded), chain)
        self._applying.apply(Batch([Part(0, after.sequence, end, recorded, heads)]))
        self.cursor = end


@contextmanager
def stored_generation(conninfo: str) -> Iterator[StoredGeneration]:
    with connect(conninfo) as connection:
        yield StoredGeneration(connection)


def at(position: int) -> Moment:
    return Moment(position, Instant(0))


def folded(recorded: Sequence[Recorded], views: Sequence[View[Any]] = EVERY_VIEW) -> Rows:
    rows = Rows(views)
    for each in recorded:
        rows.evolve(each)
    return rows


def versioned(rows: Rows, view: View[Any]) -> list[Versioned[Any]]:
    """A view's rows in the order of their keys."""
    since = rows.since[view.name]
    return [Versioned(key, since[key], row) for key, row in sorted(rows.rows[view.name].items())]


def kept_hashes(connection: psycopg.Connection[Any], generation: int, tenant: TenantId) -> dict[str, bytes]:
    """The hashes that were kept current, of the views that the tenant ever had rows in."""
    statement = f"SELECT view, hash FROM views_{generation}.hashes WHERE tenant = %s"  # noqa: S608
    return dict(connection.execute(statement.encode(), (tenant,)).fetchall())
