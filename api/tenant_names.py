"""Tenant names are unique in the deployment: reserved there first, with a deadline, then used, then confirmed.

What was interrupted is completed or lapses: `settle_names` looks at every reservation whose deadline has passed.
"""

import contextlib
import unicodedata
from typing import TYPE_CHECKING, Final

from api.acting import Acting, resident
from domain import tenants
from domain.command import Command, Refused
from domain.event import Instant
from domain.ids import DEPLOYMENT, TenantId
from domain.ledger import Caller
from projections.tenants import NAMES, TENANTS, NameRow

if TYPE_CHECKING:
    from api.wiring import Node

DEADLINE: Final = 60_000_000
"""Microseconds for which a name stays reserved and unused."""


def compared_name(name: str) -> str:
    """The form in which two tenant names are the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


async def reserve_name(deployment: Acting, tenant: TenantId, name: str) -> TenantId:
    """Raises Taken. Returns the tenant it is reserved for: an earlier one, if the request is a retry."""
    unique = deployment.unique(tenant, "name", name, compared_name(name))
    deadline = Instant(deployment.node.clock() + DEADLINE)
    outcome = await deployment.execute(tenants.ReserveTenantName(tenant, unique.value, unique.handle, deadline))
    for event in outcome.events:
        if isinstance(event, tenants.TenantNameReserved):
            return event.tenant
    return tenant


async def confirm_name(deployment: Acting, tenant: TenantId, name: str) -> None:
    unique = deployment.unique(tenant, "name", name, compared_name(name))
    await deployment.without_key().execute(tenants.ConfirmTenantName(tenant, unique.value, unique.handle))


async def release_other_names(deployment: Acting, tenant: TenantId, kept: str) -> None:
    """Give back every name of a tenant but one."""
    rows = resident(deployment.node, DEPLOYMENT).rows
    keep = deployment.node.keyring.find_handle(DEPLOYMENT, "name", kept) if kept else None
    for row in [row for _, row in rows.find(NAMES, "tenant", tenant)]:
        if row.name_handle != keep:
            await deployment.without_key().execute(tenants.ReleaseTenantName(tenant, row.name_handle))


async def settle_names(node: "Node", by: Caller) -> int:
    """Complete or give back the reservations whose deadline has passed; returns how many."""
    now = node.clock()
    rows = resident(node, DEPLOYMENT).rows.rows[NAMES.name]
    overdue = [row for row in rows.values() if row.deadline is not None and row.deadline <= now]
    for row in overdue:
        used = _uses(node, row)
        if used:
            command: Command = tenants.ConfirmTenantName(row.tenant, row.name, row.name_handle)
        else:
            command = tenants.ReleaseTenantName(row.tenant, row.name_handle)
        with contextlib.suppress(Refused):  # somebody else has taken the lapsed name meanwhile
            await node.ledger.execute(command, by)
        if used:
            await _release_former(node, by, row)
    return len(overdue)


async def _release_former(node: "Node", by: Caller, kept: NameRow) -> None:
    """A renaming that was interrupted had not given back the name before."""
    rows = resident(node, DEPLOYMENT).rows
    for row in [row for _, row in rows.find(NAMES, "tenant", kept.tenant)]:
        if row.name_handle != kept.name_handle and row.deadline is None:
            await node.ledger.execute(tenants.ReleaseTenantName(row.tenant, row.name_handle), by)


def _uses(node: "Node", reserved: NameRow) -> bool:
    """Whether the tenant exists under the name that was reserved for it."""
    tenant = resident(node, reserved.tenant)
    row = tenant.rows.rows[TENANTS.name].get(reserved.tenant)
    if row is None or row.life == "deleted":
        return False
    used = node.keyring.unseal(reserved.tenant, "name", row.name)
    return used is not None and used == node.keyring.unseal(DEPLOYMENT, "name", reserved.name)
