"""Turns: who may send next. Tenants take turns, and so do the webhooks of each; none has more than its share."""

from collections import deque
from typing import Generic, TypeVar

from domain.ids import TenantId

K = TypeVar("K")


class Turns(Generic[K]):
    """A queue that is fair between tenants, however many webhooks each has that wait."""

    def __init__(self, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._waiting: dict[TenantId, deque[K]] = {}
        self._queued: set[K] = set()
        self._ring: deque[TenantId] = deque()
        self._running: dict[TenantId, int] = {}
        self.running = 0

    def add(self, tenant: TenantId, key: K) -> None:
        """It waits, if it does not already."""
        if key in self._queued:
            return
        self._queued.add(key)
        waiting = self._waiting.setdefault(tenant, deque())
        waiting.append(key)
        if len(waiting) == 1 and self._has_share(tenant):
            self._ring.append(tenant)

    def take(self) -> tuple[TenantId, K] | None:
        """Whose turn it is, if anybody's: `over` must be told when it is over."""
        if not self._ring or self.running >= self._most:
            return None
        tenant = self._ring.popleft()
        waiting = self._waiting[tenant]
        key = waiting.popleft()
        self._queued.discard(key)
        self.running += 1
        self._running[tenant] = self._running.get(tenant, 0) + 1
        if not waiting:
            del self._waiting[tenant]
        elif self._has_share(tenant):
            self._ring.append(tenant)
        return tenant, key

    def over(self, tenant: TenantId) -> None:
        """A turn of the tenant has ended."""
        had_share = self._has_share(tenant)
        self.running -= 1
        self._running[tenant] -= 1
        if not self._running[tenant]:
            del self._running[tenant]
        if not had_share and tenant in self._waiting:
            self._ring.append(tenant)

    def _has_share(self, tenant: TenantId) -> bool:
        return self._running.get(tenant, 0) < self._most_each
