"""The fold of a batch: one view's rows as they are, and what a batch of events changes of them, set-wise.

The current rows are a bounded cache of what is open in the tables. It is right as long as every batch that was folded
was also committed: after one that was not, `forget`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from adapters.postgres.tables import OPEN, found_by
from domain.event import Recorded
from domain.ids import TenantId
from domain.view import Close, View
from domain.view_hash import row_hash

MOST_CACHED: Final = 50_000


class Current(NamedTuple):
    """An open row: from which position it is so, and its hash."""

    since: int
    row: Any
    hash: int


class Version:
    """A row that a batch began, until it ends."""

    __slots__ = ("key", "row", "since", "tenant", "until")

    def __init__(self, tenant: TenantId, key: str, since: int, row: Any) -> None:
        self.tenant = tenant
        self.key = key
        self.since = since
        self.until = OPEN
        self.row = row


class Span:
    """A period that a batch began, in which a row exists or has an indexed value, until it ends."""

    __slots__ = ("field", "key", "since", "tenant", "until", "value")

    def __init__(self, tenant: TenantId, field: str, value: str, key: str, since: int) -> None:
        self.tenant = tenant
        self.field = field
        self.value = value
        self.key = key
        self.since = since
        self.until = OPEN


class Changes:
    """What a batch changes of a view. What begins and ends at one position never was, and is left out."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str, int, int]] = []
        """Versions of before the batch: tenant, key, from, to."""
        self.begun: list[Version] = []
        self.spans_ended: list[tuple[str, str, str, str, int]] = []
        """Spans of before the batch: tenant, field, value, key, to."""
        self.spans_begun: list[Span] = []
        self.sums: dict[TenantId, int] = {}
        """What each tenant's hash grows by."""

    def versions(self) -> list[Version]:
        return [each for each in self.begun if each.since != each.until]

    def spans(self) -> list[Span]:
        return [each for each in self.spans_begun if each.since != each.until]


class Fold:
    """One view: its current rows, as far as they are known, and the batch at hand."""

    def __init__(self, view: View[Any], most_cached: int = MOST_CACHED) -> None:
        self.view = view
        self._most_cached = most_cached
        self._indexed = tuple((field, attrgetter(field)) for field in view.indexes)
        self._current: OrderedDict[tuple[TenantId, str], Current | None] = OrderedDict()
        self._steps: list[tuple[Recorded, Sequence[str | Close]]] = []
        self.keys: set[tuple[TenantId, str]] = set()
        """Whose current rows must be given before the batch can be folded."""
        self.closes: set[tuple[TenantId, str, str]] = set()
        """Of which tenant, column and value all current rows must be given before."""

    @property
    def touched(self) -> bool:
        """Whether the batch concerns this view."""
        return bool(self._steps)

    @property
    def tenants(self) -> set[TenantId]:
        """Whose rows the batch may change."""
        return {recorded.tenant for recorded, _ in self._steps}

    def add(self, recorded: Recorded) -> None:
        """One more event of the batch."""
        concerns = self.view.concerns(recorded.event)
        self._steps.append((recorded, concerns))
        for concern in concerns:
            if type(concern) is str:
                key = (recorded.tenant, concern)
                if key in self._current:
                    self._current.move_to_end(key)
                else:
                    self.keys.add(key)
            elif isinstance(concern, Close):
                self.closes.add((recorded.tenant, concern.column, concern.value))

    def fold(self, stored: Iterable[tuple[TenantId, str, int, Any]]) -> Changes:
        """The changes, given (tenant, key, since, row) of all that was asked for and is open."""
        batch = _Batch(self._current, self._indexed, self.closes)
        self._current.update(dict.fromkeys(self.keys))
        for tenant, key, since, row in stored:
            batch.is_open(tenant, key, row)
            if self._current.get((tenant, key)) is None:
                self._current[tenant, key] = Current(since, row, row_hash(key, since, row))
        evolve, current = self.view.evolve, self._current
        for recorded, concerns in self._steps:
            tenant, position = recorded.tenant, recorded.position
            for concern in concerns:
                if isinstance(concern, Close):
                    batch.close(tenant, concern, position)
                    continue
                before = current[tenant, concern]
                row = None if before is None else before.row
                after = evolve(row, recorded)
                if after is not row and after != row:
                    batch.change(tenant, concern, before, after, position)
        return batch.changes

    def committed(self) -> None:
        """The batch is stored: make room for the next."""
        self._steps = []
        self.keys = set()
        self.closes = set()
        for _ in range(len(self._current) - self._most_cached):
            self._current.popitem(last=False)

    def forget(self) -> None:
        """The batch was not stored."""
        self._current.clear()
        self.committed()


class _Batch:
    """Follows single changes and gathers them."""

    def __init__(
        self,
        current: OrderedDict[tuple[TenantId, str], Current | None],
        indexed: Sequence[tuple[str, Callable[[Any], Any]]],
        closes: Iterable[tuple[TenantId, str, str]],
    ) -> None:
        self.changes = Changes()
        self._current = current
        self._indexed = indexed
        self._versions: dict[tuple[TenantId, str], Version] = {}
        self._spans: dict[tuple[TenantId, str, str, str], Span] = {}
        self._having: dict[tuple[TenantId, str, str], set[str]] = {each: set() for each in closes}
        """The keys of the current rows with a value that an event of the batch closes."""

    def is_open(self, tenant: TenantId, key: str, row: Any) -> None:
        """A row that is stored and open when the batch begins."""
        if self._having:
            for field, get in self._indexed:
                having = self._having.get((tenant, field, get(row)))
                if having is not None:
                    having.add(key)

    def close(self, tenant: TenantId, close: Close, position: int) -> None:
        for key in tuple(self._having[tenant, close.column, close.value]):
            self.change(tenant, key, self._current[tenant, key], None, position)

    def change(self, tenant: TenantId, key: str, before: Current | None, after: Any, position: int) -> None:
        changes = self.changes
        total = changes.sums.get(tenant, 0)
        if before is not None:
            version = self._versions.pop((tenant, key), None)
            if version is not None:
                version.until = position
            else:
                changes.ended.append((tenant, key, before.since, position))
            total -= before.hash
        if after is None:
            self._current[tenant, key] = None
        else:
            version = self._versions[tenant, key] = Version(tenant, key, position, after)
            changes.begun.append(version)
            hash = row_hash(key, position, after)
            self._current[tenant, key] = Current(position, after, hash)
            total += hash
        changes.sums[tenant] = total
        self._change_spans(tenant, key, None if before is None else before.row, after, position)

    def _change_spans(self, tenant: TenantId, key: str, before: Any, after: Any, position: int) -> None:
        if after is None:
            self._end_span(tenant, "", "", key, position)
        elif before is None:
            self._begin_span(tenant, "", "", key, position)
        for field, get in self._indexed:
            old = None if before is None else get(before)
            new = None if after is None else get(after)
            if old == new:
                continue
            if old is not None:
                self._end_span(tenant, field, old, key, position)
            if new is not None:
                self._begin_span(tenant, field, new, key, position)

    def _begin_span(self, tenant: TenantId, field: str, value: str, key: str, position: int) -> None:
        span = Span(tenant, field, found_by(value), key, position)
        self._spans[tenant, field, value, key] = span
        self.changes.spans_begun.append(span)
        having = self._having.get((tenant, field, value))
        if having is not None:
            having.add(key)

    def _end_span(self, tenant: TenantId, field: str, value: str, key: str, position: int) -> None:
        span = self._spans.pop((tenant, field, value, key), None)
        if span is not None:
            span.until = position
        else:
            self.changes.spans_ended.append((tenant, field, found_by(value), key, position))
        having = self._having.get((tenant, field, value))
        if having is not None:
            having.discard(key)
