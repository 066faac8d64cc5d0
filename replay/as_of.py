"""As of: views folded again up to any position, in pages, from the nearest snapshot that is exactly of this history."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from domain.ids import TenantId
from domain.ledger import History, Query
from domain.view import View
from replay.folded import Folded

EVERY: Final = 10_000
"""Events that are folded before a snapshot is worth its place; with more rows than that, as many as there are rows."""
_PAGE: Final = 5_000


class Snapshots(Protocol):
    """Folds that were kept. Losing one costs time alone; what is given back is exactly what was kept, or nothing."""

    def newest(
        self, tenant: TenantId, views: Sequence[View[Any]], until: int, is_ours: Callable[[int, bytes], bool]
    ) -> Folded | None:
        """The newest up to a position that these very views made; `is_ours` is asked of its position and mark."""
        ...

    def keep(self, tenant: TenantId, rows: Folded, mark: bytes) -> None: ...


def as_of(
    history: History,
    tenant: TenantId,
    views: Sequence[View[Any]],
    until: int,
    snapshots: Snapshots | None = None,
    *,
    every: int = EVERY,
) -> Folded:
    """The views' rows as of a position. What is held is the rows; the history passes through in pages."""
    rows = None
    if snapshots is not None:
        rows = snapshots.newest(tenant, views, until, lambda position, mark: _mark(history, tenant, position) == mark)
    rows = rows or Folded(views)
    types = tuple(sorted(event.__name__ for event in rows.follows))
    after, since_kept = rows.position, 0
    while found := history.recorded(tenant, Query(types=types, after=after, until=until), _PAGE):
        for recorded in found:
            rows.evolve(recorded)
        after = found[-1].position
        since_kept += len(found)
        if snapshots is not None and since_kept >= max(every, rows.count):
            snapshots.keep(tenant, rows, _mark(history, tenant, rows.position))
            since_kept = 0
        if len(found) < _PAGE:
            break
    return rows


def _mark(history: History, tenant: TenantId, position: int) -> bytes:
    """What tells one history from another that is as long: the hash of the event at a position."""
    found = history.stored(tenant, position - 1, 1)
    return hashlib.sha256(found[0][1]).digest() if found and found[0][0] == position else b""
