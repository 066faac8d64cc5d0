"""The feed of a node: how far each tenant has come, and a way to wait until it has come further."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping

from domain.ids import TenantId


class LocalFeed:
    """See domain.ledger.Feed. Told by the sequencer after each commit, on the event loop."""

    def __init__(self, head_of: Callable[[TenantId], int]) -> None:
        self._head_of = head_of
        self._heads: dict[TenantId, int] = {}
        self._waiting: dict[TenantId, set[asyncio.Future[None]]] = defaultdict(set)

    def head(self, tenant: TenantId) -> int:
        """The tenant's last position; 0 if it has no history."""
        head = self._heads.get(tenant)
        if head is None:
            head = self._head_of(tenant)
            if head:
                self._heads[tenant] = head
        return head

    def grown(self, heads: Mapping[TenantId, int]) -> None:
        self._heads.update(heads)
        for tenant in heads:
            for waiter in self._waiting.pop(tenant, ()):
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self, tenant: TenantId, beyond: int, timeout: float) -> int:
        if self.head(tenant) <= beyond:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[tenant].add(waiter)
            try:
                await asyncio.wait_for(waiter, timeout)
            except TimeoutError:
                pass
            finally:
                if waiting := self._waiting.get(tenant):
                    waiting.discard(waiter)
                    if not waiting:
                        del self._waiting[tenant]
        return self.head(tenant)
