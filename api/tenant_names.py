"""Tenant names are unique in the deployment: reserved there first, then used in the tenant, then confirmed.

A tenant's own history says what it is called. `settle` makes the deployment's list agree with it: exactly that name is
the tenant's, confirmed, and every other is free again. It runs at the end of whatever changes a name; `settle_names`
does the same for what was interrupted. Until then a reserved name is nobody else's, because it may be used already.
"""

import asyncio
import contextlib
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from api.acting import Acting, resident
from domain import tenants
from domain.command import Command, Refused, Taken
from domain.event import Instant
from domain.ids import DEPLOYMENT, Handle, TenantId
from domain.ledger import Caller, KeyReused, Outcome, VersionChanged
from projections.tenants import NAMES, TENANTS, NameRow, TenantRow

if TYPE_CHECKING:
    from api.wiring import Node

DEADLINE: Final = 60_000_000
"""Microseconds after which a name that is only reserved is looked at."""
Execute = Callable[[Command], Awaitable[Outcome]]


class Naming:
    """Who changes names on this node: one at a time for each tenant, because it takes several commands."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[TenantId, asyncio.Lock] = WeakValueDictionary()
        self.unsettled: set[TenantId] = set()
        """Those whose names may not be as their history says."""
        self.reserved: dict[TenantId, set[Handle]] = {}
        """What those who hold a lock have reserved themselves: another node may reserve for the same tenant."""
        self.knows_all = False
        """Whether what an earlier run of the node left behind was looked at."""

    @contextlib.asynccontextmanager
    async def alone(self, tenant: TenantId) -> AsyncIterator[None]:
        """Hold the tenant's lock; it is unsettled until `settle` has ended."""
        lock = self._locks.setdefault(tenant, asyncio.Lock())
        async with lock:
            self.unsettled.add(tenant)
            self.reserved[tenant] = set()
            try:
                yield
            finally:
                del self.reserved[tenant]


def compared_name(name: str) -> str:
    """The form in which two tenant names are the same; empty for a name of nothing but spaces."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


@contextlib.asynccontextmanager
async def changing_name(caller: Acting, tenant: TenantId) -> AsyncIterator[Acting]:
    """For what changes a tenant's name: alone, acting in the deployment; the names are settled at the end.

    So they are after a refusal. After anything else it is the upkeep's, which waits for the lock.
    """
    deployment = caller.in_deployment()
    async with caller.node.naming.alone(tenant):
        try:
            yield deployment
        except (Refused, VersionChanged, KeyReused):
            await settle(caller.node, tenant, deployment.execute)
            raise
        await settle(caller.node, tenant, deployment.execute)


async def reserve_name(deployment: Acting, tenant: TenantId, name: str) -> TenantId:
    """Raises Taken. Returns the tenant it was reserved for: an earlier one, if the request is a retry."""
    unique = deployment.unique(tenant, "name", name, compared_name(name))
    deadline = Instant(deployment.node.clock() + DEADLINE)
    if tenant in (reserved := deployment.node.naming.reserved):
        reserved[tenant].add(unique.handle)
    outcome = await deployment.execute(tenants.ReserveTenantName(tenant, unique.value, unique.handle, deadline))
    for event in outcome.events:
        if isinstance(event, tenants.TenantNameReserved):
            return event.tenant
    return tenant


async def hold_name(deployment: Acting, tenant: TenantId, name: str) -> None:
    """Reserve a name unless the tenant has it; what was reserved before may have been given back. Raises Taken."""
    handle = deployment.node.keyring.find_handle(DEPLOYMENT, "name", compared_name(name))
    if handle is not None and tenant in (reserved := deployment.node.naming.reserved):
        reserved[tenant].add(handle)
    if handle is None or handle not in {row.name_handle for row in _names_of(deployment.node, tenant)}:
        await reserve_name(deployment, tenant, name)


async def name_is_taken(deployment: Acting, tenant: TenantId, name: str) -> bool:
    """Reserves the name, unless another tenant has it."""
    try:
        await hold_name(deployment, tenant, name)
    except Taken:
        return True
    return False


async def settle(node: "Node", tenant: TenantId, execute: Execute) -> None:
    """Make the deployment's list say what the tenant's history says now. The caller holds the tenant's lock.

    What somebody else has reserved, perhaps at another node, is left alone until its deadline.
    """
    await node.log.reach(tenant)
    now, reserved = node.clock(), node.naming.reserved.get(tenant, ())
    kept = _handle_in_use(node, tenant)
    names = _names_of(node, tenant)
    for row in names:
        ours = row.deadline is None or row.deadline <= now or row.name_handle in reserved
        if row.name_handle != kept and ours:
            await execute(tenants.ReleaseTenantName(tenant, row.name_handle))
    for row in names:
        if row.name_handle == kept and row.deadline is not None:
            await execute(tenants.ConfirmTenantName(tenant, row.name, row.name_handle))
    node.naming.unsettled.discard(tenant)


async def settle_names(node: "Node", by: Caller) -> int:
    """Settle the names of the tenants where something was interrupted; returns how many were looked at.

    The first time these are all tenants: one that was deleted may still hold a name without a deadline.
    """
    naming, now = node.naming, node.clock()
    rows: list[NameRow] = list(resident(node, DEPLOYMENT).rows.rows[NAMES.name].values())
    if naming.knows_all:
        wanted = {row.tenant for row in rows if row.deadline is not None and row.deadline <= now}
    else:
        wanted = {row.tenant for row in rows if row.deadline is None or row.deadline <= now}
    wanted |= naming.unsettled
    for tenant in wanted:
        async with naming.alone(tenant):
            await settle(node, tenant, lambda command: node.ledger.execute(command, by))
        await asyncio.sleep(0)
    naming.knows_all = True
    return len(wanted)


def tenant_now(node: "Node", tenant: TenantId) -> TenantRow | None:
    """A tenant as its own history says, without keeping it in memory."""
    row: TenantRow | None = None
    types = tuple(each.__name__ for each in TENANTS.follows)
    for recorded in node.history.latest(tenant, f"tenant:{tenant}", types):
        row = TENANTS.evolve(row, recorded)
    return row


def _names_of(node: "Node", tenant: TenantId) -> list[NameRow]:
    return [row for _, row in resident(node, DEPLOYMENT).rows.find(NAMES, "tenant", tenant)]


def _handle_in_use(node: "Node", tenant: TenantId) -> Handle | None:
    """What stands for the name that the tenant has now; None for one that was deleted or never created."""
    row = tenant_now(node, tenant)
    if row is None or row.life == "deleted":
        return None
    name = node.keyring.unseal(tenant, "name", row.name)
    if name is None:
        raise ValueError("the name of a tenant that exists can't be opened")
    return node.keyring.find_handle(DEPLOYMENT, "name", compared_name(name))
