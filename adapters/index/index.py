"""The writer's half of the index: what it keeps in memory of tenants, tags and events, and how it looks up the rest.

What happened is in the file, in the batch that is being committed, or in the one that is being filled; all that the
batches touched is in memory. A tag's state says how many events carry it and where the last of each type is, which
answers boundaries.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Final

from adapters.avro.codec import decode_own
from adapters.index.batch import Batch
from adapters.index.database import Database
from adapters.index.states import TagState, TenantState
from adapters.index.tags import NUMBERS, tag_key
from domain.boundary import Item
from domain.event import Event, Instant, Recorded
from domain.evidence.tree import Frontier
from domain.ids import TenantId

MOST_CACHED_TAGS: Final = 50_000
MOST_CACHED_EVENTS: Final = 5_000
MOST_CACHED_TENANTS: Final = 50_000
_COMMAND: Final = NUMBERS["command"]
_KIND: Final = slice(0, 6)
"""Of a tag's key: the tenant, kind and form."""
_PAST_KIND: Final = b"\xff" * 17


class _File:
    """A read transaction that begins when it is needed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: sqlite3.Connection | None = None
        self._stack = ExitStack()

    def open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._stack.enter_context(self._database.reading())
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection = None
            self._stack.close()


class Index:
    """What happened, as of the last commit and the batch."""

    def __init__(self, database: Database) -> None:
        self._file = _File(database)
        self.forget()

    def forget(self) -> None:
        """At the start, and after a failed commit: nothing that was cached is to be trusted."""
        self._cached_tags = 0
        self._known_beyond: dict[bytes, bytes] = {}
        """For each kind of tag: the key beyond which every tag that exists is in the cache."""
        self._tenants: dict[str, TenantState] = {}
        self._events: dict[tuple[int, int], Recorded] = {}
        self._shipped = Batch(0)
        self._batch = Batch(0)
        with self.reading():
            rows = self._connection.execute("SELECT number, name FROM types").fetchall()
            self._types: dict[type[Event] | str, int] = {name: number for number, name in rows}
            (last,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM tenants").fetchone()
            self._next_tenant: int = last + 1
        self._numbers: dict[tuple[type[Event] | str, ...], tuple[int, ...]] = {}
        self._next_type = max(self._types.values(), default=0) + 1

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Within it, what has to be read of the file is read as of one moment; usually nothing has."""
        try:
            yield
        finally:
            self._file.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._file.open()

    @property
    def is_full(self) -> bool:
        """Whether to call `shrink` once no commit is under way."""
        return self._cached_tags > MOST_CACHED_TAGS or len(self._tenants) > MOST_CACHED_TENANTS

    def shrink(self) -> None:
        """Drop the oldest; only what is in the file may be dropped."""
        if len(self._tenants) > MOST_CACHED_TENANTS:
            self.forget()
        for tenant in self._tenants.values():
            for tag in list(islice(tenant.tags, max(0, self._cached_tags - MOST_CACHED_TAGS * 3 // 4))):
                evicted = tenant.tags.pop(tag).key
                self._known_beyond[evicted[_KIND]] = max(self._beyond(evicted[_KIND]), evicted)
                self._cached_tags -= 1

    def begin(self, batch: Batch) -> None:
        """A batch to fill. The one before is being committed; the one before that is in the file."""
        while len(self._events) > MOST_CACHED_EVENTS:
            del self._events[next(iter(self._events))]
        if not self._batch.rows:  # then it won't be committed
            batch.types += self._batch.types
        self._shipped, self._batch = self._batch, batch

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
            state = TenantState(row[0], tenant, row[1], row[2], Frontier.unpack(row[1], row[3]))
            self._tenants[tenant] = state
        return state

    def type_number(self, event: type[Event] | str) -> int:
        """The number that stands for a type of events; a new one is written with the batch."""
        number = self._types.get(event)
        if number is None:
            name = event if isinstance(event, str) else event.__name__
            number = self._types.get(name)
            if number is None:
                number, self._next_type = self._next_type, self._next_type + 1
                self._types[name] = number
                self._batch.types.append((number, name))
            self._types[event] = number
        return number

    def tag(self, tenant: TenantState, tag: str) -> TagState:
        """The state of a tag: from the cache, or from the postings, or that of a tag nobody has seen."""
        state = tenant.tags.get(tag)
        if state is None:
            state = tenant.tags[tag] = TagState(tag_key(tenant.key, tag))
            self._cached_tags += 1
            # Commands are tags too, but their states are not kept: see Decisions.
            if state.key[4] == _COMMAND or state.key <= self._beyond(state.key[_KIND]):
                self._load(state)
        return state

    def latest(self, tenant: TenantState, tag: str, types: tuple[type[Event] | str, ...]) -> list[Recorded]:
        """The last event of each of these types with the tag."""
        latest = (tenant.tags.get(tag) or self.tag(tenant, tag)).latest
        if not latest:
            return []
        found: list[Recorded] = []
        for number in self._numbers.get(types) or self._numbers_of(types):
            last = latest.get(number)
            if last is not None:
                if isinstance(last, int):
                    last = latest[number] = self.event(tenant, last)
                found.append(last)
        return found

    def _numbers_of(self, types: tuple[type[Event] | str, ...]) -> tuple[int, ...]:
        numbers = self._numbers[types] = tuple(map(self.type_number, types))
        return numbers

    def _positions_of_latest(self, tag: TagState, types: tuple[type[Event] | str, ...]) -> list[int]:
        """Where they are; of all types if none is named."""
        numbers = (self._numbers.get(types) or self._numbers_of(types)) if types else tag.latest
        return [_position(tag.latest[number]) for number in numbers if number in tag.latest]

    def _beyond(self, kind: bytes) -> bytes:
        """Ids begin with their time, so most new tags lie beyond all that the file holds: no need to look."""
        known = self._known_beyond.get(kind)
        if known is None:
            row = self._connection.execute(
                "SELECT max(tag) FROM postings WHERE tag > ? AND tag < ?", (kind, kind + _PAST_KIND)
            ).fetchone()
            known = self._known_beyond[kind] = row[0] or b""
        return known

    def _load(self, state: TagState) -> None:
        """Seeks the last posting of each type, however many there are of it."""
        below = 1 << 62
        while True:
            row = self._connection.execute(
                "SELECT type, position, nth FROM postings WHERE tag = ? AND type < ? "
                "ORDER BY type DESC, position DESC LIMIT 1",
                (state.key, below),
            ).fetchone()
            if row is None:
                return
            below, position, nth = row
            state.latest[below] = position
            state.count = max(state.count, nth)

    def event(self, tenant: TenantState, position: int) -> Recorded:
        """One event, from the batch, the cache or the file."""
        place = (tenant.number, position)
        found = self._events.get(place) or self._batch.recorded.get(place) or self._shipped.recorded.get(place)
        if found is None:
            instant, own, stored = self._connection.execute(
                "SELECT instant, own, stored FROM events WHERE tenant = ? AND position = ?", place
            ).fetchone()
            found = Recorded(tenant.tenant, position, Instant(instant), decode_own(stored, own))
            self._events[place] = found
        return found

    def tagged(self, tenant: TenantState, tag: str, types: Iterable[type[Event]], after: int) -> list[Recorded]:
        """All events with a tag and one of the types after a position, oldest first: what tallies read."""
        state = self.tag(tenant, tag)
        numbers = [number for number in map(self.type_number, types) if _position(state.latest.get(number, 0)) > after]
        positions = [position for number in numbers for position in self._positions(state.key, number, after)]
        return [self.event(tenant, position) for position in sorted(positions)]

    def _positions(self, key: bytes, type: int, after: int) -> set[int]:
        rows = self._connection.execute(
            "SELECT position FROM postings WHERE tag = ? AND type = ? AND position > ?", (key, type, after)
        )
        found = {row[0] for row in rows}
        found.update(each for each in self._in_batches(key, type) if each > after)
        return found

    def _in_batches(self, key: bytes, type: int) -> list[int]:
        return self._shipped.positions(key, type) + self._batch.positions(key, type)

    def grew(self, tenant: TenantState, item: Item, after: int) -> bool:
        """Whether an event that the item names lies beyond a position. No tags: any; no types: any."""
        tags, types = item.tags, item.types
        if tenant.position <= after:
            return False
        if len(tags) == 1:
            return max(self._positions_of_latest(self.tag(tenant, tags[0]), types), default=0) > after
        numbers = [self.type_number(each) for each in types]
        if tags:
            return self._grew_with_all(tenant, tags, numbers, after)
        return any(self._grew_by(tenant, number, after) for number in numbers) if numbers else True

    def _grew_by(self, tenant: TenantState, number: int, after: int) -> bool:
        for row in (*self._shipped.rows, *self._batch.rows):
            if row[2] == tenant.number and row[4] == number and row[3] > after:
                return True
        found = self._connection.execute(
            "SELECT 1 FROM events WHERE tenant = ? AND type = ? AND position > ? LIMIT 1",
            (tenant.number, number, after),
        ).fetchone()
        return found is not None

    def _grew_with_all(self, tenant: TenantState, tags: tuple[str, ...], numbers: list[int], after: int) -> bool:
        rarest, *others = sorted((self.tag(tenant, tag) for tag in tags), key=lambda each: each.count)
        for number in numbers or rarest.latest:
            if any(_position(state.latest.get(number, 0)) <= after for state in (rarest, *others)):
                continue
            for position in self._positions(rarest.key, number, after):
                if all(self._carries(other.key, number, position) for other in others):
                    return True
        return False

    def _carries(self, key: bytes, number: int, position: int) -> bool:
        found = self._connection.execute(
            "SELECT 1 FROM postings WHERE tag = ? AND type = ? AND position = ?", (key, number, position)
        ).fetchone()
        return found is not None or position in self._in_batches(key, number)


def _position(last: Recorded | int) -> int:
    return last if isinstance(last, int) else last.position
