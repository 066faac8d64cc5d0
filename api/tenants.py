"""Tenants and their settings over REST."""

import contextlib
from typing import Annotated

from fastapi import Path

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
from api.http.paging import Page
from api.permitted import may, may_in_deployment, may_read, may_read_deployment
from api.tenant_names import compared_name, confirm_name, release_other_names, reserve_name
from domain import tenants
from domain.command import Taken
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


class NewTenant(Body):
    name: ShortText
    region: Name | None = None


class TenantChanges(Body):
    name: ShortText


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
    """The name is reserved in the deployment first, then used, then confirmed: an interruption leaves it free again."""
    tenant = TenantId(caller.new_id("ten"))
    tenant = await reserve_name(caller, tenant, body.name)
    inside = caller.inside(tenant)
    inside.node.keyring.new_subject(inside.keys, tenant, tenant)
    region = Code(body.region) if body.region else None
    with contextlib.suppress(Taken):  # an earlier try of the same request came this far
        await inside.execute(tenants.CreateTenant(tenant, inside.seal(tenant, "name", body.name), region))
    await confirm_name(caller, tenant, body.name)
    found = inside.current(TENANTS, f"tenant:{tenant}", tenant, "tenant")
    inside.answer_position(found.since)
    inside.etag_of(found.since)
    return tenant_body(inside, found)


@routes.get("/tenants")
async def list_tenants(reading: MayListTenants, limit: Limit = 100, cursor: Cursor = None) -> Page[ListedTenant]:
    after = place_of(reading, cursor, "tenants")
    found = await reading.node.views.page(NAMES, reading.tenant, reading.at, after=after, limit=limit + 1)
    lives = {each.row.tenant: await _life(reading, each.row.tenant) for each in found}
    page = page_of(reading, found, limit, "tenants", lambda each: _listed(reading, each, lives))
    return page.model_copy(update={"items": [each for each in page.items if each.life != "none"]})


def _listed(reading: Reading, found: Versioned[NameRow], lives: dict[TenantId, str]) -> ListedTenant:
    row = found.row
    return ListedTenant(id=row.tenant, name=reading.open("name", row.name), life=lives[row.tenant])


async def _life(reading: Reading, tenant: TenantId) -> str:
    if not reading.as_of:
        return resident(reading.node, tenant).life
    at = reading.moment_in(tenant)
    if not at.position:
        return "none"
    await reading.node.views.reach(tenant, at.position)
    found = await reading.node.views.get(TENANTS, tenant, tenant, at)
    return found.row.life if found else "none"


@routes.get("/tenants/{tenant}")
async def read_tenant(reading: MayReadTenant) -> Tenant:
    found = await reading.must_get(TENANTS, reading.tenant, "tenant")
    reading.etag_of(found.since)
    return tenant_body(reading, found)


@routes.patch("/tenants/{tenant}")
async def rename_tenant(body: TenantChanges, caller: MayManageTenant) -> Changed:
    expected = caller.expects_unchanged(f"tenant:{caller.tenant}", TENANTS.follows)
    deployment = caller.in_deployment()
    await reserve_name(deployment, caller.tenant, body.name)
    outcome = await caller.execute(
        tenants.RenameTenant(caller.tenant, caller.seal(caller.tenant, "name", body.name)), expected
    )
    await confirm_name(deployment, caller.tenant, body.name)
    await release_other_names(deployment, caller.tenant, compared_name(body.name))
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
    outcome = await caller.execute(tenants.DeleteTenant(caller.tenant), expected)
    await release_other_names(caller.in_deployment(), caller.tenant, "")
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
