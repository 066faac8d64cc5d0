"""Batches of the embedded log for whoever follows it from another process: whole commits, decoded as far as needed."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from adapters.avro.codec import decode_own
from adapters.index.database import Database
from adapters.postgres.applying import Batch
from adapters.postgres.generations import BEGINNING, Cursor
from domain.event import Event, Instant, Recorded
from domain.ids import TenantId

MOST_EVENTS: Final = 5_000
"""A batch ends with the commit that reaches so many."""


class UnlikeTheLog(Exception):
    """What has been read does not belong to this log."""


class LogBatches:
    """Reads the log's file, and never keeps a read transaction open: it would hold the WAL."""

    def __init__(self, database: Database, follows: Iterable[type[Event]]) -> None:
        self._database = database
        self._follows: Mapping[str, type[Event]] = {event.__name__: event for event in follows}
        self._followed: dict[int, bool] = {}
        self._tenants: dict[int, TenantId] = {}

    def end(self) -> int:
        """The last sequence."""
        row = self._database.one("SELECT first + count - 1 FROM commits ORDER BY first DESC LIMIT 1", ())
        return row[0] if row else 0

    def has(self, cursor: Cursor) -> bool:
        """Whether the log has a commit that ends there, with the same hash of all up to it."""
        row = self._database.one(
            "SELECT first + count - 1, chain FROM commits WHERE first <= ? ORDER BY first DESC LIMIT 1",
            (cursor.sequence,),
        )
        return (Cursor(row[0], row[1]) if row else BEGINNING) == cursor

    def after(self, cursor: Cursor) -> Batch | None:
        """The next batch, or None at the end. Raises UnlikeTheLog if it does not begin where the cursor ends."""
        with self._database.reading() as connection:
            events, end = 0, cursor
            for first, count, chain in connection.execute(
                "SELECT first, count, chain FROM commits WHERE first > ? ORDER BY first", (cursor.sequence,)
            ):
                if first != end.sequence + 1:
                    raise UnlikeTheLog(f"there is no commit after {end.sequence}")
                events += count
                end = Cursor(end.sequence + count, chain)
                if events >= MOST_EVENTS:
                    break
            if not events:
                return None
            rows = connection.execute(
                "SELECT tenant, position, type, instant, own, stored FROM events WHERE sequence BETWEEN ? AND ?",
                (cursor.sequence + 1, end.sequence),
            ).fetchall()
            if len(rows) != events:
                raise UnlikeTheLog(f"events are missing between {cursor.sequence} and {end.sequence}")
            self._learn(connection, rows)
        return self._decode(cursor, end, rows)

    def _learn(self, connection: Any, rows: list[tuple[Any, ...]]) -> None:
        """The names of tenants and events that were not met before."""
        if not {row[0] for row in rows} <= self._tenants.keys():
            self._tenants = dict(connection.execute("SELECT number, tenant FROM tenants").fetchall())
        if not {row[2] for row in rows} <= self._followed.keys():
            self._followed = {
                number: name in self._follows for number, name in connection.execute("SELECT number, name FROM types")
            }

    def _decode(self, after: Cursor, end: Cursor, rows: list[tuple[Any, ...]]) -> Batch:
        events = []
        heads: dict[TenantId, tuple[int, Instant]] = {}
        tenants, followed = self._tenants, self._followed
        for number, position, kind, instant, own, stored in rows:
            tenant = tenants[number]
            heads[tenant] = (position, instant)
            if followed[kind]:
                events.append(Recorded(tenant, position, instant, decode_own(stored, own)))
        return Batch(after.sequence, end, events, heads, len(rows) >= MOST_EVENTS)
