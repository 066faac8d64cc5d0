"""A history as it was at an instant: every question is answered as if nothing had been recorded since."""

from collections.abc import Sequence

import msgspec

from domain.event import Entry, Instant, Recorded
from domain.ids import TenantId
from domain.ledger import History, Query


class PastHistory:
    """See domain.ledger.History. Nothing is copied: what was recorded since is passed over."""

    def __init__(self, history: History, instant: Instant) -> None:
        self._history = history
        self.instant = instant
        self._heads: dict[TenantId, int] = {}

    def _head(self, tenant: TenantId) -> int:
        """A history only grows, and no instant in it decreases: where it was then does not change any more."""
        head = self._heads.get(tenant)
        if head is None:
            head = self._history.position_at(tenant, self.instant)
            if head:
                self._heads[tenant] = head
        return head

    def _until(self, tenant: TenantId, query: Query) -> Query:
        head = self._head(tenant)
        return msgspec.structs.replace(query, until=head if query.until is None else min(query.until, head))

    def head(self, tenant: TenantId) -> tuple[int, Instant]:
        head = self._head(tenant)
        return head, self._history.instant_of(tenant, head) if head else Instant(0)

    def entries(self, tenant: TenantId, query: Query, limit: int, newest_first: bool = False) -> Sequence[Entry]:
        return self._history.entries(tenant, self._until(tenant, query), limit, newest_first)

    def recorded(self, tenant: TenantId, query: Query, limit: int) -> Sequence[Recorded]:
        return self._history.recorded(tenant, self._until(tenant, query), limit)

    def latest(self, tenant: TenantId, tag: str, types: Sequence[str]) -> Sequence[Recorded]:
        found: list[Entry] = []
        for each in types:
            query = self._until(tenant, Query(tags=(tag,), types=(each,)))
            found += self._history.entries(tenant, query, 1, newest_first=True)
        in_order = sorted(found, key=lambda entry: entry.position)
        return [Recorded(tenant, each.position, each.instant, each.event) for each in in_order]

    def instant_of(self, tenant: TenantId, position: int) -> Instant:
        if position > self._head(tenant):
            raise KeyError(position)
        return self._history.instant_of(tenant, position)

    def stored(self, tenant: TenantId, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return self._history.stored(tenant, after, max(0, min(limit, self._head(tenant) - after)))

    def position_at(self, tenant: TenantId, instant: Instant) -> int:
        return min(self._history.position_at(tenant, instant), self._head(tenant))

    def tenants(self) -> Sequence[TenantId]:
        return [each for each in self._history.tenants() if self._head(each)]
