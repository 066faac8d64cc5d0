"""What has been recorded, read from the index: by position, by tag and by type, in work bounded by what is asked for.

A question by tags and types is a merge of posting ranges, one for each type: each range is read in pages, in order of
position, so that the first hundred of a million cost a hundred.
"""

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from adapters.avro.codec import decode_entry, decode_own
from adapters.index.database import Database
from adapters.index.tags import tag_key
from domain.event import Entry, Instant, Recorded
from domain.ids import TenantId
from domain.ledger import Query

_PAGE: Final = 256
_BEYOND: Final = 1 << 62


class IndexHistory:
    """See domain.ledger.History. Safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tenants: dict[str, int] = {}
        self._types: dict[str, int] = {}

    def head(self, tenant: TenantId) -> tuple[int, Instant]:
        row = self._database.one("SELECT position, instant FROM tenants WHERE tenant = ?", (tenant,))
        return (row[0], Instant(row[1])) if row else (0, Instant(0))

    def tenants(self) -> Sequence[TenantId]:
        with self._database.reading() as connection:
            return [TenantId(row[0]) for row in connection.execute("SELECT tenant FROM tenants ORDER BY number")]

    def instant_of(self, tenant: TenantId, position: int) -> Instant:
        row = self._database.one(
            "SELECT instant FROM events WHERE tenant = ? AND position = ?", (self._tenant(tenant), position)
        )
        if row is None:
            raise KeyError(position)
        return Instant(row[0])

    def position_at(self, tenant: TenantId, instant: Instant) -> int:
        low, high = 0, self.head(tenant)[0]
        while low < high:
            middle = (low + high + 1) // 2
            if self.instant_of(tenant, middle) <= instant:
                low = middle
            else:
                high = middle - 1
        return low

    def entries(self, tenant: TenantId, query: Query, limit: int, newest_first: bool = False) -> Sequence[Entry]:
        with self._database.reading() as connection:
            rows = self._rows(connection, tenant, query, limit, newest_first)
        return [decode_entry(tenant, stored) for _, _, _, stored in rows]

    def recorded(self, tenant: TenantId, query: Query, limit: int) -> Sequence[Recorded]:
        with self._database.reading() as connection:
            rows = self._rows(connection, tenant, query, limit, newest_first=False)
        return [
            Recorded(tenant, position, Instant(instant), decode_own(stored, own))
            for position, instant, own, stored in rows
        ]

    def latest(self, tenant: TenantId, tag: str, types: Sequence[str]) -> Sequence[Recorded]:
        number = self._tenant(tenant)
        key = self._key(number, tag)
        found = []
        with self._database.reading() as connection:
            for each in types:
                row = connection.execute(
                    "SELECT e.position, e.instant, e.own, e.stored FROM postings p "
                    "JOIN events e ON e.tenant = ? AND e.position = p.position "
                    "WHERE p.tag = ? AND p.type = ? ORDER BY p.position DESC LIMIT 1",
                    (number, key, self._type(each)),
                ).fetchone()
                if row:
                    found.append(row)
        return [
            Recorded(tenant, position, Instant(instant), decode_own(stored, own))
            for position, instant, own, stored in sorted(found)
        ]

    def stored(self, tenant: TenantId, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        with self._database.reading() as connection:
            return connection.execute(
                "SELECT position, stored FROM events WHERE tenant = ? AND position > ? ORDER BY position LIMIT ?",
                (self._tenant(tenant), after, limit),
            ).fetchall()

    def own(self, tenant: TenantId, position: int) -> bytes:
        """An event's own fields as they are stored, without the stamp and who and why. Raises KeyError."""
        row = self._database.one(
            "SELECT substr(stored, own + 1) FROM events WHERE tenant = ? AND position = ?",
            (self._tenant(tenant), position),
        )
        if row is None:
            raise KeyError(position)
        return bytes(row[0])

    def _rows(
        self, connection: sqlite3.Connection, tenant: TenantId, query: Query, limit: int, newest_first: bool
    ) -> list[tuple[int, int, int, bytes]]:
        """(position, instant, own, stored) of at most `limit` events."""
        number = self._tenant(tenant)
        until = _BEYOND if query.until is None else query.until
        direction = "DESC" if newest_first else "ASC"
        if not query.tags and not query.types:
            statement = (
                "SELECT position, instant, own, stored FROM events "  # noqa: S608
                f"WHERE tenant = ? AND position > ? AND position <= ? ORDER BY position {direction} LIMIT ?"
            )
            return connection.execute(statement, (number, query.after, until, limit)).fetchall()
        positions = self._positions(connection, number, query, until, newest_first)
        found = []
        for position in islice(positions, limit):
            found.append(
                connection.execute(
                    "SELECT position, instant, own, stored FROM events WHERE tenant = ? AND position = ?",
                    (number, position),
                ).fetchone()
            )
        return found

    def _positions(
        self, connection: sqlite3.Connection, tenant: int, query: Query, until: int, newest_first: bool
    ) -> Iterator[int]:
        """In order: those of each type, merged, that carry every tag."""
        keys = [self._key(tenant, tag) for tag in query.tags]
        types = [number for each in query.types if (number := self._type(each))]
        if query.types and not types:
            return iter(())
        if not keys:
            ranges = [_of_type(connection, tenant, each, query.after, until, newest_first) for each in types]
            return heapq.merge(*ranges, reverse=newest_first)
        rarest, *others = sorted(keys, key=lambda key: _count(connection, key))
        ranges = [
            _of_tag(connection, rarest, each, query.after, until, newest_first)
            for each in types or _types_of(connection, rarest)
        ]
        merged = heapq.merge(*ranges, reverse=newest_first)
        return (position for position in merged if all(_carries(connection, other, position) for other in others))

    def _tenant(self, tenant: str) -> int:
        number = self._tenants.get(tenant)
        if number is None:
            row = self._database.one("SELECT number FROM tenants WHERE tenant = ?", (tenant,))
            if row is None:
                return 0
            number = self._tenants[tenant] = int(row[0])
        return number

    def _type(self, name: str) -> int:
        """0 for a name that nothing in the index has."""
        number = self._types.get(name)
        if number is None:
            row = self._database.one("SELECT number FROM types WHERE name = ?", (name,))
            if row is None:
                return 0
            number = self._types[name] = int(row[0])
        return number

    def _key(self, tenant: int, tag: str) -> bytes:
        return tag_key(tenant.to_bytes(4, "big"), tag)


def _of_type(
    connection: sqlite3.Connection, tenant: int, number: int, after: int, until: int, newest_first: bool
) -> Iterator[int]:
    statement = (
        "SELECT position FROM events WHERE tenant = ? AND type = ? AND position > ? AND position <= ? "  # noqa: S608
        f"ORDER BY position {'DESC' if newest_first else 'ASC'} LIMIT {_PAGE}"
    )
    return _paged(connection, statement, (tenant, number), after, until, newest_first)


def _of_tag(
    connection: sqlite3.Connection, key: bytes, number: int, after: int, until: int, newest_first: bool
) -> Iterator[int]:
    statement = (
        "SELECT position FROM postings WHERE tag = ? AND type = ? AND position > ? AND position <= ? "  # noqa: S608
        f"ORDER BY position {'DESC' if newest_first else 'ASC'} LIMIT {_PAGE}"
    )
    return _paged(connection, statement, (key, number), after, until, newest_first)


def _paged(
    connection: sqlite3.Connection,
    statement: str,
    of: tuple[bytes | int, int],
    after: int,
    until: int,
    newest_first: bool,
) -> Iterator[int]:
    while True:
        page = [row[0] for row in connection.execute(statement, (*of, after, until))]
        yield from page
        if len(page) < _PAGE:
            return
        if newest_first:
            until = page[-1] - 1
        else:
            after = page[-1]


def _types_of(connection: sqlite3.Connection, key: bytes) -> list[int]:
    """The types that a tag's events have, found by seeking past each."""
    types: list[int] = []
    last = 0
    while True:
        row = connection.execute(
            "SELECT type FROM postings WHERE tag = ? AND type > ? ORDER BY type LIMIT 1", (key, last)
        ).fetchone()
        if row is None:
            return types
        last = row[0]
        types.append(last)


def _count(connection: sqlite3.Connection, key: bytes) -> int:
    """How many events carry a tag."""
    most = 0
    for number in _types_of(connection, key):
        row = connection.execute(
            "SELECT nth FROM postings WHERE tag = ? AND type = ? ORDER BY position DESC LIMIT 1", (key, number)
        ).fetchone()
        most = max(most, row[0])
    return most


def _carries(connection: sqlite3.Connection, key: bytes, position: int) -> bool:
    return any(
        connection.execute(
            "SELECT 1 FROM postings WHERE tag = ? AND type = ? AND position = ?", (key, number, position)
        ).fetchone()
        for number in _types_of(connection, key)
    )
