"""Loading: a tenant's webhooks and sinks as its history says they are, for whichever node delivers next."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec

from adapters.webhooks.kinds import Kind, KnownReceiver, ReceiverId
from domain import tenants
from domain.event import Recorded
from domain.ids import TenantId
from domain.ledger import History, Query

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
"""What changes whether a tenant's webhooks and sinks are told anything."""


class Readers:
    """Threads that read histories. Once it is closed none of them reads any more."""

    def __init__(self, most: int = 4) -> None:
        self._threads = ThreadPoolExecutor(most, "webhook-history")

    async def read(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, act)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)


class Found(msgspec.Struct):
    """One webhook or sink, and the positions of its dead letters."""

    id: ReceiverId
    kind: Kind
    known: KnownReceiver
    dead: set[int]
    retrying: set[int]


def life_of(history: History, tenant: TenantId) -> str:
    """active, suspended, deleted or none"""
    latest = history.latest(tenant, f"tenant:{tenant}", [each.__name__ for each in LIVES])
    return LIVES[type(latest[-1].event)] if latest else "none"


def has_receivers(history: History, tenants: Sequence[TenantId], kinds: Sequence[Kind]) -> list[TenantId]:
    """Those of the tenants that ever had any."""
    query = Query(types=tuple(each.created.__name__ for each in kinds))
    return [each for each in tenants if history.recorded(each, query, 1)]


def receivers_of(history: History, tenant: TenantId, kinds: Sequence[Kind]) -> list[Found]:
    """Those that have not been removed."""
    found = []
    for kind in kinds:
        created = history.recorded(tenant, Query(types=(kind.created.__name__,)), MOST_CREATED)
        found += [_found(history, kind, each) for each in created]
    return [each for each in found if each.known.lives]


def _found(history: History, kind: Kind, created: Recorded) -> Found:
    id: ReceiverId = getattr(created.event, kind.word)
    known, tag = kind.known(), f"{kind.word}:{id}"
    for each in history.latest(created.tenant, tag, _names(kind.life)):
        known.evolve(each)
    found = Found(id, kind, known, set(), set())
    if known.lives:
        query = Query(tags=(tag,), types=tuple(_names(kind.letters)))
        for entry in reversed(history.entries(created.tenant, query, MOST_LETTERS, newest_first=True)):
            position: int = entry.event.failed_position  # type: ignore[attr-defined]
            match kind.parts.get(type(entry.event)):
                case "failed":
                    found.dead.add(position)
                    found.retrying.discard(position)
                case "retry":
                    found.retrying.add(position)
                case "delivered":
                    found.dead.discard(position)
                    found.retrying.discard(position)
    return found


def _names(types: Sequence[type]) -> list[str]:
    return [each.__name__ for each in types]
