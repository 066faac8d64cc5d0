"""Verifying views: what is kept, stored or resident, must be what the history folds to, row for row, by hash."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import msgspec

from domain.event import Event
from domain.ids import TenantId
from domain.ledger import History, Query
from domain.view import Rows, Versioned, View
from domain.view_hash import hash_of

PAGE: Final = 5_000
MOST_NAMED: Final = 20
"""Rows of one view that are named in a report."""


class Kept(Protocol):
    """A tenant's rows as they are kept somewhere, all of one moment."""

    @property
    def position(self) -> int:
        """How far the history they show goes."""
        ...

    @property
    def views(self) -> Sequence[View[Any]]: ...

    def rows(self, view: View[Any]) -> Iterable[Versioned[Any]]:
        """The rows that are there at the position, in any order; may be asked again."""
        ...

    def kept_hash(self, view: View[Any]) -> bytes | None:
        """The hash that was kept current with every change, if one is."""
        ...


class Place(Protocol):
    """Where rows are kept: `stored` or `resident`."""

    @property
    def name(self) -> str: ...

    def of(self, tenant: TenantId) -> AbstractContextManager[Kept | None]:
        """The tenant's rows as they are now, for as long as it is open; None if the place has none."""
        ...


class Difference(msgspec.Struct, frozen=True):
    """Where what is kept is not what the history folds to."""

    tenant: TenantId
    place: str
    view: str
    key: str | None
    """The row; None where it is about the view as a whole."""
    what: str


class Verified(msgspec.Struct, frozen=True):
    """What became of comparing one tenant in one place."""

    tenant: TenantId
    place: str
    position: int
    hashes: dict[str, bytes]
    """Of each view, as the history folds to it."""
    differences: tuple[Difference, ...]


def verify(
    history: History,
    views: Iterable[View[Any]],
    places: Iterable[Place],
    tenants: Sequence[TenantId] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Verified]:
    """Each tenant (all by default) in each place, one after another; `progress` is told tenants done and in all."""
    views, places = tuple(views), tuple(places)
    every = history.tenants() if tenants is None else tenants
    for done, tenant in enumerate(every):
        progress(done, len(every))
        for place in places:
            with place.of(tenant) as kept:
                if kept is not None:
                    yield verify_kept(history, tenant, place.name, kept)
    progress(len(every), len(every))


def verify_kept(history: History, tenant: TenantId, place: str, kept: Kept) -> Verified:
    """Fold the history as far as the kept rows show it, and compare."""
    rows = replayed(history, tenant, kept.views, kept.position)
    hashes: dict[str, bytes] = {}
    differences: list[Difference] = []
    for view in kept.views:
        expected = _versioned(rows, view)
        hashes[view.name] = hash_of(expected.values())
        for key, what in _compare(view, kept, expected, hashes[view.name]):
            differences.append(Difference(tenant, place, view.name, key, what))
    return Verified(tenant, place, kept.position, hashes, tuple(differences))


def replayed(history: History, tenant: TenantId, views: Iterable[View[Any]], until: int) -> Rows:
    """The views folded from the history up to a position."""
    rows = Rows(views)
    types = tuple(sorted(_name(event) for event in rows.follows))
    after = 0
    while found := history.recorded(tenant, Query(types=types, after=after, until=until), PAGE):
        for recorded in found:
            rows.evolve(recorded)
        after = found[-1].position
    return rows


def _name(event: type[Event]) -> str:
    return event.__name__


def _versioned(rows: Rows, view: View[Any]) -> dict[str, Versioned[Any]]:
    since = rows.since[view.name]
    return {key: Versioned(key, since[key], row) for key, row in rows.rows[view.name].items()}


def _compare(
    view: View[Any], kept: Kept, expected: dict[str, Versioned[Any]], expected_hash: bytes
) -> Iterator[tuple[str | None, str]]:
    found_hash = hash_of(kept.rows(view))
    kept_hash = kept.kept_hash(view)
    if kept_hash is not None and kept_hash != found_hash:
        yield None, "the hash that was kept current is not the hash of the rows"
    if found_hash != expected_hash:
        yield from _first(MOST_NAMED, _rows_that_differ(view, kept, expected))


def _rows_that_differ(
    view: View[Any], kept: Kept, expected: dict[str, Versioned[Any]]
) -> Iterator[tuple[str | None, str]]:
    missing = dict(expected)
    for row in kept.rows(view):
        wanted = missing.pop(row.key, None)
        if wanted is None:
            yield row.key, "is there more than once" if row.key in expected else "is not in the history"
        elif wanted.row != row.row:
            yield row.key, f"has another {_fields_that_differ(wanted.row, row.row)}"
        elif wanted.since != row.since:
            yield row.key, f"became so at {wanted.since}, not at {row.since}"
    for key in missing:
        yield key, "is missing"


def _fields_that_differ(wanted: msgspec.Struct, found: msgspec.Struct) -> str:
    """Names of fields, never their values."""
    return ", ".join(
        field for field in wanted.__struct_fields__ if getattr(wanted, field) != getattr(found, field, None)
    )


def _first(most: int, differences: Iterator[tuple[str | None, str]]) -> Iterator[tuple[str | None, str]]:
    more = 0
    for number, difference in enumerate(differences):
        if number < most:
            yield difference
        else:
            more += 1
    if more:
        yield None, f"{more} more rows differ"


class CopiedRows:
    """Rows of a view folded in memory, copied so that they stay of one moment: what a resident place hands out."""

    def __init__(self, rows: Rows, position: int) -> None:
        self.position = position
        self.views = rows.views
        self._rows = {view.name: _versioned(rows, view) for view in rows.views}

    def rows(self, view: View[Any]) -> Iterable[Versioned[Any]]:
        return self._rows[view.name].values()

    def kept_hash(self, view: View[Any]) -> bytes | None:
        return None
