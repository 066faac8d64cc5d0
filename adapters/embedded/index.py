"""The index of a partition: what happened by tenant and position, by tag and by type.

The writer half is the sequencer's alone. Tag states are cached: for each tag, how many events carry it and the last
position of each type, which answers boundaries without touching SQLite.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from adapters.avro.codec import decode_own
from adapters.embedded.tags import TagKeys
from domain.boundary import Item
from domain.event import Event, Instant, Recorded
from domain.ids import TenantId
from domain.tree import Frontier

MOST_CACHED_TAGS: Final = 200_000
MOST_CACHED_EVENTS: Final = 20_000


class TagState:
    """How many events carry a tag, and where the last of each type is."""

    __slots__ = ("count", "latest")

    def __init__(self) -> None:
        self.count = 0
        self.latest: dict[int, int] = {}


class TenantState:
    """A tenant as the writer keeps it."""

    __slots__ = ("frontier", "instant", "number", "position", "tag", "tenant")

    def __init__(
        self, number: int, tenant: TenantId, position: int, instant: int, frontier: Frontier, tag: TagKeys
    ) -> None:
        self.number = number
        self.tenant = tenant
        self.position = position
        self.instant = instant
        self.frontier = frontier
        self.tag = tag


class Row(NamedTuple):
    """An event as it is written."""

    sequence: int
    tenant: int
    position: int
    type: int
    instant: int
    own: int
    stored: bytes


def name_of_type(each: "type[Event] | str") -> str:
    """An event's name in the index."""
    return each if isinstance(each, str) else each.__name__


class Index:
    """The writer's half: cached states of tags, tenants and events, and the rows of the batch."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tags: OrderedDict[bytes, TagState] = OrderedDict()
        self._tenants: dict[str, TenantState] = {}
        self._types: dict[str, int] = {}
        self._events: OrderedDict[tuple[int, int], Recorded] = OrderedDict()
        self._rows: list[Row] = []
        self._postings: list[tuple[bytes, int, int, int]] = []
        self._changed: dict[int, TenantState] = {}
        self._next_tenant = self._highest_tenant() + 1

    def _highest_tenant(self) -> int:
        highest: int = self._connection.execute("SELECT coalesce(max(number), 0) FROM tenants").fetchone()[0]
        return highest

    def tenant(self, tenant: TenantId) -> TenantState:
        """The tenant's state; a tenant without history is at position 0."""
        state = self._tenants.get(tenant)
        if state is None:
            row = self._connection.execute(
                "SELECT number, position, instant, frontier FROM tenants WHERE tenant = ?", (tenant,)
            ).fetchone()
            if row is None:
                row = (self._next_tenant, 0, 0, b"")
                self._next_tenant += 1
            state = TenantState(
                row[0], tenant, row[1], row[2], Frontier.unpack(row[1], row[3]), TagKeys(row[0], self.type_number)
            )
            self._tenants[tenant] = state
        return state

    def type_number(self, name: str) -> int:
        """The number that stands for an event's name in this index."""
        number = self._types.get(name)
        if number is None:
            row = self._connection.execute("SELECT number FROM types WHERE name = ?", (name,)).fetchone()
            if row is None:
                row = self._connection.execute(
                    "INSERT INTO types (name) VALUES (?) RETURNING number", (name,)
                ).fetchone()
            number = self._types[name] = row[0]
        return number

    def tag_state(self, digest: bytes) -> TagState:
        """The state of a tag, from the cache or the postings."""
        state = self._tags.get(digest)
        if state is None:
            state = self._load_tag(digest)
            self._tags[digest] = state
            if len(self._tags) > MOST_CACHED_TAGS and not self._rows:
                for _ in range(MOST_CACHED_TAGS // 10):
                    self._tags.popitem(last=False)
        return state

    def _load_tag(self, digest: bytes) -> TagState:
        """Seeks the last posting of each type, however many there are of it."""
        state = TagState()
        below = 1 << 62
        while True:
            row = self._connection.execute(
                "SELECT type, position, nth FROM postings WHERE tag = ? AND type < ? "
                "ORDER BY type DESC, position DESC LIMIT 1",
                (digest, below),
            ).fetchone()
            if row is None:
                return state
            below, position, nth = row
            state.latest[below] = position
            state.count = max(state.count, nth)

    def event(self, tenant: TenantState, position: int) -> Recorded:
        """One event, from the cache, the batch or the file."""
        found = self._events.get((tenant.number, position))
        if found is None:
            self.flush()
            instant, own, stored = self._connection.execute(
                "SELECT instant, own, stored FROM events WHERE tenant = ? AND position = ?", (tenant.number, position)
            ).fetchone()
            found = Recorded(tenant.tenant, position, Instant(instant), decode_own(stored, own))
            self.remember(tenant.number, found)
        return found

    def remember(self, tenant: int, recorded: Recorded) -> None:
        """Keep a decoded event, since the next boundaries will probably ask for it."""
        self._events[tenant, recorded.position] = recorded
        if len(self._events) > MOST_CACHED_EVENTS:
            for _ in range(MOST_CACHED_EVENTS // 10):
                self._events.popitem(last=False)

    def tagged(self, tenant: TenantState, tag: str, types: Iterable[type[Event]], after: int) -> list[Recorded]:
        """All events with a tag and one of the types after a position, oldest first: what tallies read."""
        self.flush()
        digest = tenant.tag(tag)
        positions: list[int] = []
        for each in types:
            positions += (
                row[0]
                for row in self._connection.execute(
                    "SELECT position FROM postings WHERE tag = ? AND type = ? AND position > ?",
                    (digest, self.type_number(each.__name__), after),
                )
            )
        return [self.event(tenant, position) for position in sorted(positions)]

    def grew(self, tenant: TenantState, item: Item, after: int) -> bool:
        """Whether an event that the item names lies beyond a position. No tags: any; no types: any."""
        numbers = [self.type_number(name_of_type(each)) for each in item.types]
        if len(item.tags) == 1:
            latest = self.tag_state(tenant.tag(item.tags[0])).latest
            return any(latest.get(number, 0) > after for number in numbers or latest)
        self.flush()
        if item.tags:
            return self._grew_with_all(tenant, item.tags, numbers, after)
        if not numbers:
            return tenant.position > after
        return any(
            self._connection.execute(
                "SELECT 1 FROM events WHERE tenant = ? AND type = ? AND position > ? LIMIT 1",
                (tenant.number, number, after),
            ).fetchone()
            for number in numbers
        )

    def _grew_with_all(self, tenant: TenantState, tags: tuple[str, ...], numbers: list[int], after: int) -> bool:
        digests = sorted((tenant.tag(tag) for tag in tags), key=lambda each: self.tag_state(each).count)
        rarest, *others = digests
        for number in numbers or self.tag_state(rarest).latest:
            for (position,) in self._connection.execute(
                "SELECT position FROM postings WHERE tag = ? AND type = ? AND position > ?", (rarest, number, after)
            ):
                if all(
                    self._connection.execute(
                        "SELECT 1 FROM postings WHERE tag = ? AND type = ? AND position = ?", (other, number, position)
                    ).fetchone()
                    for other in others
                ):
                    return True
        return False

    def add(self, row: Row, tags: list[tuple[bytes, int]], tenant: TenantState) -> None:
        """One more event of the batch; `tags` are hashes and nth."""
        self._rows.append(row)
        for digest, nth in tags:
            self._postings.append((digest, row.type, row.position, nth))
        self._changed[tenant.number] = tenant

    def flush(self) -> None:
        """Hand the batch's rows to SQLite, inside the transaction that is open."""
        if self._rows:
            self._connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows)
            self._postings.sort()
            self._connection.executemany("INSERT INTO postings VALUES (?, ?, ?, ?)", self._postings)
            self._rows, self._postings = [], []

    def write_tenants(self) -> None:
        """The heads and frontiers of the tenants that the batch changed."""
        self._connection.executemany(
            "INSERT INTO tenants VALUES (?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
            "position = excluded.position, instant = excluded.instant, frontier = excluded.frontier",
            [
                (state.number, state.tenant, state.position, state.instant, state.frontier.pack())
                for state in self._changed.values()
            ],
        )
        self._changed = {}

    def forget(self) -> None:
        """After a failed commit: everything that was cached may be wrong."""
        self._tags.clear()
        self._tenants.clear()
        self._types.clear()
        self._events.clear()
        self._rows, self._postings, self._changed = [], [], {}
        self._next_tenant = self._highest_tenant() + 1
