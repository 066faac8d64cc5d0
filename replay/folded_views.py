"""Stored views without a store: rows are folded when they are asked for, and kept for the next question."""

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from domain.ids import TenantId
from domain.ledger import History
from domain.view import Moment, Versioned, View
from replay.as_of import Snapshots, as_of
from replay.folded import Folded

R = TypeVar("R", bound=msgspec.Struct)
MOST_FOLDS: Final = 64
MOST_ROWS: Final = 500_000
"""Of all folds that are kept; a larger one is kept as long as it is the only one."""


class _Fold:
    """One view's rows of one moment, with their keys in order."""

    def __init__(self, rows: Folded, view: View[Any]) -> None:
        self.folded = rows
        self.rows = rows.rows[view.name]
        self.since = rows.since[view.name]
        self.keys = sorted(self.rows)

    def versioned(self, keys: Sequence[str]) -> list[Versioned[Any]]:
        return [Versioned(key, self.since[key], self.rows[key]) for key in keys if key in self.rows]


class FoldedViews:
    """See domain.view.StoredViews; it is never behind."""

    def __init__(self, history: History, snapshots: Snapshots | None = None) -> None:
        self._history = history
        self._snapshots = snapshots
        self._folds: OrderedDict[tuple[TenantId, str, int], _Fold] = OrderedDict()
        self._folding = asyncio.Lock()

    async def _fold(self, view: View[Any], tenant: TenantId, at: Moment) -> _Fold:
        key = (tenant, view.name, at.position)
        if key in self._folds:
            self._folds.move_to_end(key)
            return self._folds[key]
        async with self._folding:
            if key not in self._folds:
                self._folds[key] = await asyncio.to_thread(self._make, view, tenant, at.position)
                self._forget()
            return self._folds[key]

    def _make(self, view: View[Any], tenant: TenantId, position: int) -> _Fold:
        return _Fold(as_of(self._history, tenant, (view,), position, self._snapshots), view)

    def _forget(self) -> None:
        rows = sum(len(each.keys) for each in self._folds.values())
        while len(self._folds) > 1 and (len(self._folds) > MOST_FOLDS or rows > MOST_ROWS):
            _, oldest = self._folds.popitem(last=False)
            rows -= len(oldest.keys)

    async def reach(self, tenant: TenantId, position: int, timeout: float = 5.0) -> None:
        """A fold is always there."""

    async def get(self, view: View[R], tenant: TenantId, key: str, at: Moment) -> Versioned[R] | None:
        return next(iter((await self._fold(view, tenant, at)).versioned([key])), None)

    async def get_many(
        self, view: View[R], tenant: TenantId, keys: Sequence[str], at: Moment
    ) -> dict[str, Versioned[R]]:
        return {each.key: each for each in (await self._fold(view, tenant, at)).versioned(keys)}

    async def page(
        self, view: View[R], tenant: TenantId, at: Moment, *, after: str = "", limit: int = 100
    ) -> list[Versioned[R]]:
        fold = await self._fold(view, tenant, at)
        first = bisect_right(fold.keys, after)
        return fold.versioned(fold.keys[first : first + limit])

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
        fold = await self._fold(view, tenant, at)
        keys = [key for key, _ in fold.folded.find(view, column, value) if key > after]
        return fold.versioned(keys[:limit])

    async def count(self, view: View[R], tenant: TenantId, at: Moment, column: str = "", value: str = "") -> int:
        fold = await self._fold(view, tenant, at)
        return len(fold.folded.find(view, column, value)) if column else len(fold.keys)
