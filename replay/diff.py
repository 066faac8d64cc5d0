"""Diff: what is different between two moments of a tenant's history, row by row, and which events made it so."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from domain.event import Entry, Recorded
from domain.ids import TenantId
from domain.ledger import History, Query
from domain.view import Moment, StoredViews, Versioned, View

MOST_EVENTS: Final = 100_000
MOST_ENDINGS: Final = 10_000
"""Events that close rows by a column: each is a search of its own."""
MOST_KEYS: Final = 200_000
MOST_CAUSES: Final = 100
"""Of one row; the newest are named, the rest are counted."""
_PAGE: Final = 5_000
_ROWS: Final = 500


class TooMuchBetween(Exception):
    """More happened between the two moments than one comparison can hold; the message says what to do."""


class Place(NamedTuple):
    """Where a page ends: after this row of this view."""

    view: str
    key: str


class Change(msgspec.Struct, frozen=True):
    """A row that is another than it was, was not there, or is no more; sealed values stay sealed."""

    view: str
    key: str
    before: Versioned[Any] | None
    after: Versioned[Any] | None
    causes: tuple[Entry, ...]
    """The events that changed the row, oldest first; the newest MOST_CAUSES of them."""
    steps: int
    """How many events changed it."""


class Changes(msgspec.Struct, frozen=True):
    """A page of changes, by view and key; `next` is None on the last."""

    items: list[Change]
    next: Place | None


async def diff(
    history: History,
    stored: StoredViews,
    views: Sequence[View[Any]],
    tenant: TenantId,
    start: Moment,
    end: Moment,
    *,
    after: Place | None = None,
    limit: int = 100,
) -> Changes:
    """The changes from one moment to a later one. Raises TooMuchBetween, and what StoredViews raises.

    Rows are read as they were at the start, and follow from the events between: as every view follows.
    """
    between = await asyncio.to_thread(_between, history, views, tenant, start.position, end.position)
    items: list[Change] = []
    for view in _from(views, after):
        touched = between[view.name]
        keys = await _keys(touched, stored, tenant, start)
        if after and after.view == view.name:
            keys = keys[bisect_right(keys, after.key) :]
        for first in range(0, len(keys), _ROWS):
            chunk = keys[first : first + _ROWS]
            rows = await stored.get_many(view, tenant, chunk, start) if start.position else {}
            for key in chunk:
                now, steps = touched.follow(key, rows.get(key))
                if _same(rows.get(key), now):
                    continue
                if len(items) == limit:
                    return Changes(items, Place(items[-1].view, items[-1].key))
                causes = await asyncio.to_thread(_entries, history, tenant, steps[-MOST_CAUSES:])
                items.append(Change(view.name, key, rows.get(key), now, causes, len(steps)))
    return Changes(items, None)


class _Touched:
    """What the events between the moments concern in one view."""

    def __init__(self, view: View[Any]) -> None:
        self.view = view
        self.by_key: dict[str, list[Recorded]] = {}
        self.endings: dict[tuple[str, str], list[int]] = {}
        """Column and value → the positions at which all rows with it were closed."""

    def note(self, recorded: Recorded) -> None:
        for concern in self.view.concerns(recorded.event):
            if isinstance(concern, str):
                self.by_key.setdefault(concern, []).append(recorded)
            else:
                self.endings.setdefault((concern.column, concern.value), []).append(recorded.position)

    def follow(self, key: str, before: Versioned[Any] | None) -> tuple[Versioned[Any] | None, list[int]]:
        """The row after all of it, and the positions of the events that changed it."""
        row, steps, seen = (before.row if before else None), list[int](), 0
        for recorded in (*self.by_key.get(key, ()), None):
            until = recorded.position if recorded else None
            closed = self._closed(row, seen, until)
            if closed is not None:
                row = None
                steps.append(closed)
            if recorded is None:
                break
            seen = recorded.position
            following = self.view.evolve(row, recorded)
            if following != row:
                row = following
                steps.append(seen)
        if row is None:
            return None, steps
        return Versioned(key, steps[-1] if steps or before is None else before.since, row), steps

    def _closed(self, row: Any, after: int, until: int | None) -> int | None:
        """The first position in the range at which rows like this one were closed."""
        if row is None or not self.endings:
            return None
        found = None
        for column in {column for column, _ in self.endings}:
            positions = self.endings.get((column, getattr(row, column)), ())
            place = bisect_right(positions, after)
            if place < len(positions) and (until is None or positions[place] < until):
                found = min(positions[place], found or positions[place])
        return found


def _between(
    history: History, views: Sequence[View[Any]], tenant: TenantId, after: int, until: int
) -> dict[str, _Touched]:
    touched = {view.name: _Touched(view) for view in views}
    following: dict[type[Any], list[_Touched]] = {}
    for view in views:
        for event in view.follows:
            following.setdefault(event, []).append(touched[view.name])
    types = tuple(sorted(event.__name__ for event in following))
    for count, recorded in enumerate(_recorded(history, tenant, Query(types=types, after=after, until=until)), 1):
        if count > MOST_EVENTS:
            raise TooMuchBetween(f"more than {MOST_EVENTS} events lie between the two moments: compare a shorter time")
        for each in following[type(recorded.event)]:
            each.note(recorded)
    if sum(len(each.endings) for each in touched.values()) > MOST_ENDINGS:
        raise TooMuchBetween("too much ended between the two moments: compare a shorter time")
    return touched


def _recorded(history: History, tenant: TenantId, query: Query) -> Iterator[Recorded]:
    while found := history.recorded(tenant, query, _PAGE):
        yield from found
        if len(found) < _PAGE:
            return
        query = msgspec.structs.replace(query, after=found[-1].position)


async def _keys(touched: _Touched, stored: StoredViews, tenant: TenantId, start: Moment) -> list[str]:
    """Every row that the events may have changed, in order."""
    keys = set(touched.by_key)
    if start.position:
        for column, value in touched.endings:
            place = ""
            while True:
                found = await stored.find(touched.view, tenant, start, column, value, after=place, limit=_ROWS)
                keys.update(each.key for each in found)
                if len(keys) > MOST_KEYS:
                    raise TooMuchBetween("too many rows changed between the two moments: compare a shorter time")
                if len(found) < _ROWS:
                    break
                place = found[-1].key
    return sorted(keys)


def _from(views: Sequence[View[Any]], after: Place | None) -> Iterable[View[Any]]:
    if after is None:
        return views
    names = [view.name for view in views]
    return views[names.index(after.view) :] if after.view in names else ()


def _same(before: Versioned[Any] | None, after: Versioned[Any] | None) -> bool:
    return (before.row if before else None) == (after.row if after else None)


def _entries(history: History, tenant: TenantId, positions: Sequence[int]) -> tuple[Entry, ...]:
    found: list[Entry] = []
    for position in positions:
        found += history.entries(tenant, Query(after=position - 1, until=position), 1)
    return tuple(found)
