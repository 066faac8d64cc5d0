"""A view: rows that follow from events, and how each row follows; where rows are kept is not its business."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from domain.event import Event, Instant, Recorded
from domain.ids import TenantId

R = TypeVar("R", bound=msgspec.Struct)


class Close(msgspec.Struct, frozen=True):
    """An event ends all rows that have this value in this column, which the view must list in `indexes`."""

    column: str
    value: str


class View(Generic[R]):
    """One kind of row. Its fields are the columns: ids and codes, numbers, and sealed values that stay sealed.

    Rebuilt from zero it gives the same rows. Unknown events pass.
    """

    name: ClassVar[str]
    row: ClassVar[type[msgspec.Struct]]
    follows: ClassVar[tuple[type[Event], ...]]
    """The events that can change a row."""
    indexes: ClassVar[tuple[str, ...]] = ()
    """Columns that rows are found by."""

    def concerns(self, event: Event) -> Sequence[str | Close]:
        """The keys of the rows that an event changes, or the closing of many."""
        raise TypeError(f"{type(self).__name__} does not say what an event concerns")

    def evolve(self, row: R | None, recorded: Recorded) -> R | None:
        """The row after an event; None if it is no more. It never refuses."""
        raise TypeError(f"{type(self).__name__} does not say how a row follows")


class Moment(msgspec.Struct, frozen=True):
    """A point in a tenant's history: everything up to `position`, judged at `instant`."""

    position: int
    instant: Instant


class Versioned(msgspec.Struct, Generic[R], frozen=True):
    """A row, and the position at which it became so."""

    key: str
    since: int
    row: R


class ViewBehind(Exception):
    """The view has not read far enough yet; try again after `retry_after` seconds."""

    retry_after = 1


class ViewUnavailable(Exception):
    """Where stored views are kept can't be reached; writes go on, and so does what answers from memory."""

    retry_after = 5


class StoredViews(Protocol):
    """Rows as of any moment. Raises ViewUnavailable, and ViewBehind where a view has not reached the moment in time."""

    async def reach(self, tenant: TenantId, position: int, timeout: float = 5.0) -> None:
        """Return once the views show the tenant up to this position."""
        ...

    async def get(self, view: View[R], tenant: TenantId, key: str, at: Moment) -> Versioned[R] | None: ...

    async def get_many(
        self, view: View[R], tenant: TenantId, keys: Sequence[str], at: Moment
    ) -> dict[str, Versioned[R]]: ...

    async def page(
        self, view: View[R], tenant: TenantId, at: Moment, *, after: str = "", limit: int = 100
    ) -> list[Versioned[R]]:
        """Rows in the order of their keys."""
        ...

    async def find(
        self,
        view: View[R],
        tenant: TenantId,
        at: Moment,
        column: str,
        value: str,
        *,
        after: str = "",
        limit: int = 100,
    ) -> list[Versioned[R]]:
        """Rows with a value in an indexed column, in the order of their keys."""
        ...

    async def count(self, view: View[R], tenant: TenantId, at: Moment, column: str = "", value: str = "") -> int: ...


class Rows:
    """Views of one tenant folded in memory: what resident and replayed views are made of."""

    def __init__(self, views: Iterable[View[Any]]) -> None:
        self.views = tuple(views)
        self.rows: dict[str, dict[str, Any]] = {view.name: {} for view in self.views}
        self.since: dict[str, dict[str, int]] = {view.name: {} for view in self.views}
        self._by: dict[tuple[str, str], dict[str, set[str]]] = {
            (view.name, column): {} for view in self.views for column in view.indexes
        }
        self._following: dict[type[Event], list[View[Any]]] = {}
        for view in self.views:
            for event in view.follows:
                self._following.setdefault(event, []).append(view)
        self.position = 0

    @property
    def follows(self) -> tuple[type[Event], ...]:
        """All the events that matter to any of the views."""
        return tuple(self._following)

    def evolve(self, recorded: Recorded) -> None:
        """One step of all views."""
        self.position = recorded.position
        event = recorded.event
        for view in self._following.get(type(event), ()):
            for concern in view.concerns(event):
                if type(concern) is str:
                    self._step(view, concern, recorded)
                else:
                    self._close(view, concern, recorded)

    def _step(self, view: View[Any], key: str, recorded: Recorded) -> None:
        rows = self.rows[view.name]
        before = rows.get(key)
        after = view.evolve(before, recorded)
        if after is before or after == before:
            return
        for column in view.indexes:
            self._reindex(view, column, key, before, after)
        if after is None:
            del rows[key], self.since[view.name][key]
        else:
            rows[key] = after
            self.since[view.name][key] = recorded.position

    def _reindex(self, view: View[Any], column: str, key: str, before: Any, after: Any) -> None:
        index = self._by[view.name, column]
        old = None if before is None else getattr(before, column)
        new = None if after is None else getattr(after, column)
        if old == new:
            return
        if old is not None:
            index[old].discard(key)
            if not index[old]:
                del index[old]
        if new is not None:
            index.setdefault(new, set()).add(key)

    def _close(self, view: View[Any], close: Any, recorded: Recorded) -> None:
        for key in tuple(self._by[view.name, close.column].get(close.value, ())):
            before = self.rows[view.name].pop(key)
            del self.since[view.name][key]
            for column in view.indexes:
                self._reindex(view, column, key, before, None)

    def find(self, view: View[Any], column: str, value: str) -> list[tuple[str, Any]]:
        """Keys and rows with a value in an indexed column, in the order of their keys."""
        rows = self.rows[view.name]
        return [(key, rows[key]) for key in sorted(self._by[view.name, column].get(value, ()))]
