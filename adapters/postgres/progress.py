"""How far the stored views have come, tenant by tenant, as the projector tells it; and waiting for it."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from domain.ids import TenantId

MOST_TENANTS: Final = 100_000


class Progress:
    """Lives on one event loop. What it does not know, it says nothing of: ask the tables."""

    def __init__(self) -> None:
        self._heads: OrderedDict[TenantId, int] = OrderedDict()
        self._waiting: defaultdict[TenantId, list[tuple[int, asyncio.Future[None]]]] = defaultdict(list)

    def has_reached(self, tenant: TenantId, position: int) -> bool:
        """Whether it is known that the views show the tenant up to a position."""
        return self._heads.get(tenant, -1) >= position

    def advance(self, heads: Mapping[TenantId, int]) -> None:
        """The views have come as far as this."""
        for tenant, head in heads.items():
            self._heads[tenant] = head
            self._heads.move_to_end(tenant)
            if tenant in self._waiting:
                self._wake(tenant, head)
        for _ in range(len(self._heads) - MOST_TENANTS):
            self._heads.popitem(last=False)

    def forget(self, tenant: TenantId | None = None) -> None:
        """What was known may not hold any more."""
        if tenant is None:
            self._heads.clear()
        else:
            self._heads.pop(tenant, None)

    @contextmanager
    def awaiting(self, tenant: TenantId, position: int) -> Iterator[asyncio.Future[None]]:
        """What is done once it is known that the views have reached the position."""
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[tenant].append((position, reached))
        try:
            yield reached
        finally:
            self._waiting[tenant] = [each for each in self._waiting[tenant] if each[1] is not reached]
            if not self._waiting[tenant]:
                del self._waiting[tenant]

    def awaited(self) -> list[TenantId]:
        """The tenants that somebody waits for."""
        return list(self._waiting)

    def _wake(self, tenant: TenantId, head: int) -> None:
        for position, reached in self._waiting[tenant]:
            if position <= head and not reached.done():
                reached.set_result(None)
