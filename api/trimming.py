"""Trimming: what is older than a tenant's retention leaves its archive, and the history says so first."""

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from domain.event import Instant
from domain.ids import HoldId, TenantId, id_from
from domain.ledger import Actor, Authority, Caller, History, Query
from domain.retention import (
    DAY,
    HistoryTrimmed,
    LegalHoldLifted,
    LegalHoldPlaced,
    RetentionChanged,
    TrimHistory,
    note_hold,
)

if TYPE_CHECKING:
    from adapters.archive.archive import Archive
    from api.wiring import Node

_PAGE: Final = 5_000


def holds_of(history: History, tenant: TenantId) -> set[HoldId]:
    """The legal holds in force, from the history itself. Blocks."""
    found: set[HoldId] = set()
    after, types = 0, (LegalHoldPlaced.__name__, LegalHoldLifted.__name__)
    while page := history.recorded(tenant, Query((f"tenant:{tenant}",), types, after), _PAGE):
        for recorded in page:
            note_hold(found, recorded)
        after = page[-1].position
    return found


async def trim(node: "Node", archive: "Archive", tenant: TenantId, on_thread: Callable[..., Awaitable[Any]]) -> int:
    """How many files were removed. Nothing is under a legal hold, also where the history says that it was trimmed.

    Raises Refused, and the archive's failures.
    """
    history, types = node.history, (RetentionChanged.__name__, HistoryTrimmed.__name__)
    latest = await on_thread(history.latest, tenant, f"tenant:{tenant}", types)
    days = next((each.event.days for each in latest if isinstance(each.event, RetentionChanged)), None)
    if days is None or await on_thread(holds_of, history, tenant):
        return 0
    until = await on_thread(archive.older_than, tenant, Instant(node.clock() - days * DAY))
    if until is None:
        return 0
    root, frontier = bytes.fromhex(until.root), bytes.fromhex(until.frontier)
    await node.ledger.execute(TrimHistory(tenant, until.last, until.last_at, root, frontier), _system(node, tenant))
    if await on_thread(holds_of, history, tenant):
        return 0
    removed: int = await on_thread(archive.remove, tenant, until.last)
    return removed


def _system(node: "Node", tenant: TenantId) -> Caller:
    """The node itself, keeping to the tenant's retention."""
    authority = Authority("retention:manage", id_from("dec", node.clock(), os.urandom(10)), ("system",))
    return Caller(tenant, Actor("system", "retention"), authority, id_from("cor", node.clock(), os.urandom(10)))
