"""Tenants and their settings over REST."""

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, Field

from api.acting import Acting, Reading, resident
from api.bodies import (
    Answer,
    Body,
    Changed,
    Cursor,
    Limit,
    LongText,
    Name,
    ShortText,
    changed,
    page_of,
    place_of,
    router,
    time_text,
)
from api.http.field_errors import Unacceptable
from api.http.paging import Page
from api.permitted import may, may_in_deployment, may_read, may_read_deployment
from api.tenant_names import changing_name, compared_name, hold_name, name_is_taken, reserve_name, tenant_now
from domain import tenants
from domain.event import Code
from domain.ids import TenantId
from domain.view import Versioned
from projections.tenants import NAMES, SETTINGS, TENANTS, NameRow, SettingRow, TenantRow

MayCreateTenants = Annotated[Acting, may_in_deployment("tenants:create")]
MayListTenants = Annotated[Reading, may_read_deployment("tenants:read")]
MayReadTenant = Annotated[Reading, may_read("tenants:read")]
MayManageTenant = Annotated[Acting, may("tenants:manage")]
MayChangeSettings = Annotated[Acting, may("tenants:settings")]
SettingInPath = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_.:-]{0,99}$")]

routes = router("tenants")


def _said(name: str) -> str:
    if not compared_name(name):
        raise Unacceptable("a name is more than spaces; send one that can be read")
    return name


TenantName = Annotated[ShortText, AfterValidator(_said), Field(json_schema_extra={"pattern": r"\S"})]


class NewTenant(Body):
    name: TenantName
    region: Name | None = None


class TenantChanges(Body):
    name: TenantName


class Suspension(Body):
    reason: LongText | None = None


class Tenant(Answer):
    """`life` is active, suspended or deleted."""

    id: str
    name: str | None
    life: str
    region: str | None = None
    created_at: str
    changed_at: str
    since: int


class SettingValue(Body):
    value: LongText


class Setting(Answer):
    setting: str
    value: str | None
    changed_at: str
    since: int


class ListedTenant(Answer):
    id: str
    name: str | None
    life: str


def tenant_body(acting: Acting, found: Versioned[TenantRow]) -> Tenant:
    row = found.row
    return Tenant(
        id=row.tenant,
        name=acting.open("name", row.name),
        life=row.life,
        region=row.region,
        created_at=time_text(row.created_at),
        changed_at=time_text(row.changed_at),
        since=found.since,
    )


@routes.post("/tenants", status_code=201)
async def create_tenant(body: NewTenant, caller: MayCreateTenants) -> Tenant:
    """The name is reserved in the deployment first, then used, then confirmed: an interruption leaves it free again.

    A retry is answered with the tenant that the first try made, as it is now.
    """
    tenant = await reserve_name(caller, TenantId(caller.new_id("ten")), body.name)
    inside = caller.inside(tenant)
    async with changing_name(caller, tenant) as deployment:
        if tenant_now(caller.node, tenant) is None:
            await hold_name(deployment, tenant, body.name)
            region = Code(body.region) if body.region else None
            await inside.execute(tenants.CreateTenant(tenant, inside.seal(tenant, "name", body.name), region))
    found = inside.current(TENANTS, f"tenant:{tenant}", tenant, "tenant")
    inside.answer_position(found.since)
    inside.etag_of(found.since)
    return tenant_body(inside, found)


@routes.get("/tenants")
async def list_tenants(reading: MayListTenants, limit: Limit = 100, cursor: Cursor = None) -> Page[ListedTenant]:
    after = place_of(reading, cursor, "tenants")
    found = await reading.node.views.page(NAMES, reading.tenant, reading.at, after=after, limit=limit + 1)
    rows = {tenant: await _own_row(reading, tenant) for tenant in {each.row.tenant for each in found}}
    page = page_of(reading, found, limit, "tenants", lambda each: _listed(reading, each, rows))
    once = {each.id: each for each in page.items if each.life != "none"}
    return page.model_copy(update={"items": list(once.values())})


def _listed(reading: Reading, found: Versioned[NameRow], rows: dict[TenantId, TenantRow | None]) -> ListedTenant:
    """By its name in its own history; a name that is only reserved lists nobody who is called otherwise."""
    tenant, row = found.row.tenant, rows[found.row.tenant]
    name = reading.node.keyring.unseal(tenant, "name", row.name) if row else None
    reserved = reading.open("name", found.row.name) if found.row.deadline is not None else None
    unused = reserved is not None and (name is None or compared_name(reserved) != compared_name(name))
    return ListedTenant(id=tenant, name=name, life="none" if row is None or unused else row.life)


async def _own_row(reading: Reading, tenant: TenantId) -> TenantRow | None:
    if not reading.as_of:
        row: TenantRow | None = resident(reading.node, tenant).rows.rows[TENANTS.name].get(tenant)
        return row
    at = reading.moment_in(tenant)
    if not at.position:
        return None
    await reading.node.views.reach(tenant, at.position)
    found = await reading.node.views.get(TENANTS, tenant, tenant, at)
    return found.row if found else None


@routes.get("/tenants/{tenant}")
async def read_tenant(reading: MayReadTenant) -> Tenant:
    found = await reading.must_get(TENANTS, reading.tenant, "tenant")
    reading.etag_of(found.since)
    return tenant_body(reading, found)


@routes.patch("/tenants/{tenant}")
async def rename_tenant(body: TenantChanges, caller: MayManageTenant) -> Changed:
    expected = caller.expects_unchanged(f"tenant:{caller.tenant}", TENANTS.follows)
    async with changing_name(caller, caller.tenant) as deployment:
        taken = await name_is_taken(deployment, caller.tenant, body.name)
        name = caller.seal(caller.tenant, "name", body.name)
        outcome = await caller.execute(tenants.RenameTenant(caller.tenant, name, taken), expected)
    caller.answer_position(outcome.position)
    return changed(outcome)


@routes.post("/tenants/{tenant}/suspend")
async def suspend_tenant(body: Suspension, caller: MayManageTenant) -> Changed:
    """Everything of it stops: its keys and tokens open nothing, and it accepts only being resumed or deleted."""
    reason = caller.seal_if(caller.tenant, "reason", body.reason)
    return changed(await caller.execute(tenants.SuspendTenant(caller.tenant, reason)))


@routes.post("/tenants/{tenant}/resume")
async def resume_tenant(caller: MayManageTenant) -> Changed:
    return changed(await caller.execute(tenants.ResumeTenant(caller.tenant)))


@routes.delete("/tenants/{tenant}")
async def delete_tenant(caller: MayManageTenant) -> Changed:
    expected = caller.expects_unchanged(f"tenant:{caller.tenant}", TENANTS.follows)
    async with changing_name(caller, caller.tenant):
        outcome = await caller.execute(tenants.DeleteTenant(caller.tenant), expected)
    caller.answer_position(outcome.position)
    return changed(outcome)


@routes.get("/tenants/{tenant}/settings")
async def list_settings(reading: MayReadTenant, limit: Limit = 100, cursor: Cursor = None) -> Page[Setting]:
    after = place_of(reading, cursor, "settings")
    found = await reading.node.views.page(SETTINGS, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "settings", lambda each: _setting_body(reading, each))


def _setting_body(reading: Reading, found: Versioned[SettingRow]) -> Setting:
    row = found.row
    return Setting(
        setting=row.setting,
        value=reading.open("value", row.value),
        changed_at=time_text(row.changed_at),
        since=found.since,
    )


@routes.get("/tenants/{tenant}/settings/{setting}")
async def read_setting(setting: SettingInPath, reading: MayReadTenant) -> Setting:
    found = await reading.must_get(SETTINGS, setting, "setting")
    reading.etag_of(found.since)
    return _setting_body(reading, found)


@routes.put("/tenants/{tenant}/settings/{setting}")
async def change_setting(setting: SettingInPath, body: SettingValue, caller: MayChangeSettings) -> Changed:
    value = caller.seal(caller.tenant, "value", body.value)
    return changed(await caller.execute(tenants.ChangeTenantSetting(caller.tenant, Code(setting), value)))


@routes.delete("/tenants/{tenant}/settings/{setting}")
async def remove_setting(setting: SettingInPath, caller: MayChangeSettings) -> Changed:
    return changed(await caller.execute(tenants.ChangeTenantSetting(caller.tenant, Code(setting), None)))
