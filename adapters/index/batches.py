"""Batches of the log for whoever follows it from another process: whole commits, decoded as far as needed."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from adapters.avro.codec import decode_own
from adapters.index.database import Database
from adapters.index.partitions import Partitions
from adapters.postgres.applying import Batch, Part
from adapters.postgres.generations import BEGINNING, Cursor
from domain.event import Event, Instant, Recorded
from domain.ids import TenantId

MOST_EVENTS: Final = 5_000
"""A batch ends with the commit that reaches so many."""


class UnlikeTheLog(Exception):
    """What has been read does not belong to this log."""


class Turns:
    """Makes batches of several partitions: each has its turn, and what is small goes together."""

    def __init__(self, partitions: Partitions, follows: Iterable[type[Event]]) -> None:
        self._partitions = partitions
        self._follows = {event.__name__: event for event in follows}
        self._logs: dict[int, LogBatches] = {}
        self._next = 0
        self.behind: set[int] = set()
        """The partitions whose index has not come as far as what was read of them elsewhere."""

    def stands(self, partition: int, cursor: Cursor) -> bool:
        """Whether the index has come as far as what was read of the partition.

        If not, that was read elsewhere, and the index will come there: what `next` begins with must have been asked
        about once. Raises UnlikeTheLog.
        """
        log = self._log(partition)
        if log is not None and log.has_come_to(cursor):
            self.behind.discard(partition)
            return True
        if self._partitions.is_embedded:
            raise UnlikeTheLog("the views have read another log, or more than there is of this one")
        self.behind.add(partition)
        return False

    def next(self, cursors: Mapping[int, Cursor]) -> Batch | None:
        """What comes after the cursors, or None at the end of all of them. Raises UnlikeTheLog."""
        parts, events = [], 0
        for number in sorted(cursors, key=lambda number: (number < self._next, number)):
            part = self._read(number, cursors[number], MOST_EVENTS - events)
            if part is not None:
                parts.append(part)
                events += part.cursor.sequence - part.after
                self._next = number + 1
                if events >= MOST_EVENTS:
                    return Batch(parts, is_full=True)
        return Batch(parts) if parts else None

    def end(self, partition: int) -> int:
        """The last sequence of a partition; 0 if there is nothing of it."""
        log = self._log(partition)
        return 0 if log is None else log.end()

    def drop(self, partition: int) -> None:
        """It is followed no more."""
        self._logs.pop(partition, None)
        self.behind.discard(partition)
        self._partitions.close(partition)

    def _read(self, number: int, cursor: Cursor, most: int) -> Part | None:
        if number in self.behind and not self.stands(number, cursor):
            return None
        log = self._log(number)
        return None if log is None else log.after(cursor, most)

    def _log(self, number: int) -> "LogBatches | None":
        log = self._logs.get(number)
        if log is None and (database := self._partitions.open(number)) is not None:
            log = self._logs[number] = LogBatches(number, database, self._follows)
        return log


class LogBatches:
    """Reads one partition's index, and never keeps a read transaction open: it would hold the WAL."""

    def __init__(self, partition: int, database: Database, follows: Mapping[str, type[Event]]) -> None:
        self._partition = partition
        self._database = database
        self._follows = follows
        self._followed: dict[int, bool] = {}
        self._tenants: dict[int, TenantId] = {}

    def end(self) -> int:
        """The last sequence."""
        row = self._database.one("SELECT first + count - 1 FROM commits ORDER BY first DESC LIMIT 1", ())
        return row[0] if row else 0

    def has_come_to(self, cursor: Cursor) -> bool:
        """Whether there is a commit that ends there; False if all end before. Raises UnlikeTheLog."""
        row = self._database.one(
            "SELECT first + count - 1, chain FROM commits WHERE first <= ? ORDER BY first DESC LIMIT 1",
            (cursor.sequence,),
        )
        last = Cursor(row[0], row[1]) if row else BEGINNING
        if last == cursor:
            return True
        if last.sequence < cursor.sequence:
            return False
        raise UnlikeTheLog("the views have read another log")

    def after(self, cursor: Cursor, most: int) -> Part | None:
        """What comes next, or None at the end. Raises UnlikeTheLog if it does not begin where the cursor ends."""
        with self._database.reading() as connection:
            events, end = 0, cursor
            for first, count, chain in connection.execute(
                "SELECT first, count, chain FROM commits WHERE first > ? ORDER BY first", (cursor.sequence,)
            ):
                if first != end.sequence + 1:
                    raise UnlikeTheLog(f"there is no commit after {end.sequence}")
                events += count
                end = Cursor(end.sequence + count, chain)
                if events >= most:
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
        for number in {row[0] for row in rows} - self._tenants.keys():
            ((tenant,),) = connection.execute("SELECT tenant FROM tenants WHERE number = ?", (number,))
            self._tenants[number] = tenant
        if not {row[2] for row in rows} <= self._followed.keys():
            self._followed = {
                number: name in self._follows for number, name in connection.execute("SELECT number, name FROM types")
            }

    def _decode(self, after: Cursor, end: Cursor, rows: list[tuple[Any, ...]]) -> Part:
        events = []
        heads: dict[TenantId, tuple[int, Instant]] = {}
        tenants, followed = self._tenants, self._followed
        for number, position, kind, instant, own, stored in rows:
            tenant = tenants[number]
            heads[tenant] = (position, instant)
            if followed[kind]:
                events.append(Recorded(tenant, position, instant, decode_own(stored, own)))
        return Part(self._partition, after.sequence, end, events, heads)
