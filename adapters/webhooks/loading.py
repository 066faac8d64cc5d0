"""Loading: a tenant's webhooks as its history says they are, for whichever node delivers next."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec

from domain import tenants
from domain.event import Instant, Recorded
from domain.ids import TenantId, WebhookId
from domain.ledger import History, Query
from domain.webhooks import deliveries, life

T = TypeVar("T")

MOST_CREATED: Final = 10_000
MOST_LETTERS: Final = 1_000
"""Dead letters of each webhook that are kept in mind; older ones can be retried, and are not noticed in a replay."""

LIVES: Final = {
    tenants.TenantCreated: "active",
    tenants.TenantSuspended: "suspended",
    tenants.TenantResumed: "active",
    tenants.TenantDeleted: "deleted",
}
"""What changes whether a tenant's webhooks are told anything."""


class Readers:
    """Threads that read histories. Once it is closed none of them reads any more."""

    def __init__(self, most: int = 4) -> None:
        self._threads = ThreadPoolExecutor(most, "webhook-history")

    async def read(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, act)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)


class Found(msgspec.Struct):
    """One webhook, and the positions of its dead letters."""

    id: WebhookId
    known: life.KnownWebhook
    dead: set[int]
    retrying: set[int]


def life_of(history: History, tenant: TenantId) -> str:
    """active, suspended, deleted or none"""
    latest = history.latest(tenant, f"tenant:{tenant}", [each.__name__ for each in LIVES])
    return LIVES[type(latest[-1].event)] if latest else "none"


def has_webhooks(history: History, tenants: Sequence[TenantId]) -> list[TenantId]:
    """Those of the tenants that ever had any."""
    return [each for each in tenants if history.recorded(each, Query(types=(life.WebhookCreated.__name__,)), 1)]


def webhooks_of(history: History, tenant: TenantId) -> list[Found]:
    """Those that have not been removed."""
    created = history.recorded(tenant, Query(types=(life.WebhookCreated.__name__,)), MOST_CREATED)
    found = (_found(history, each) for each in created)
    return [each for each in found if each.known.lives]


def _found(history: History, created: Recorded) -> Found:
    id: WebhookId = created.event.webhook  # type: ignore[attr-defined]
    known = life.KnownWebhook(Instant(0))
    for each in history.latest(created.tenant, f"webhook:{id}", _names(life.LIFE)):
        known.evolve(each)
    found = Found(id, known, set(), set())
    if known.lives:
        query = Query(tags=(f"webhook:{id}",), types=tuple(_names(deliveries.LETTERS)))
        for entry in reversed(history.entries(created.tenant, query, MOST_LETTERS, newest_first=True)):
            match entry.event:
                case deliveries.WebhookDeliveryFailed(_, position):
                    found.dead.add(position)
                    found.retrying.discard(position)
                case deliveries.WebhookRetryRequested(_, position):
                    found.retrying.add(position)
                case deliveries.WebhookDeadLetterDelivered(_, position):
                    found.dead.discard(position)
                    found.retrying.discard(position)
    return found


def _names(types: Sequence[type]) -> list[str]:
    return [each.__name__ for each in types]
