"""Flags over REST: their definition, whom they single out, and what a tenant or user is told."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Path, Query
from pydantic import Field

from api.acting import Acting, Reading, resident
from api.bodies import (
    Answer,
    Body,
    Changed,
    Cursor,
    Limit,
    LongText,
    Name,
    changed,
    page_of,
    place_of,
    router,
    time_text,
)
from api.http import problems
from api.http.paging import Page
from api.permitted import may, may_read
from domain import flags
from domain.event import Code
from domain.flags import told
from domain.ids import DEPLOYMENT, FlagId, TenantId, UserId
from domain.view import Versioned
from projections.flags import FLAGS, TARGETS, FlagRow, TargetRow

MayReadFlags = Annotated[Reading, may_read("flags:read")]
MayManageFlags = Annotated[Acting, may("flags:manage")]
MayEvaluateFlags = Annotated[Reading, may_read("flags:evaluate", stored=False)]
FlagInPath = Annotated[str, Path(pattern=r"^flg_[0-9a-f]{32}$")]
KeyInPath = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_.:-]{0,99}$")]
TargetInPath = Annotated[str, Path(pattern=r"^(usr|ten)_[0-9a-f]{32}$")]
Variant = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,50}$")]
MOST_VARIANT_BYTES = 16_384
_KINDS: dict[str, tuple[type, ...]] = {"boolean": (bool,), "string": (str,), "number": (int, float), "object": (dict,)}

routes = router("flags")


class NewFlag(Body):
    """`variants` names the values. `off_variant` is told while the flag is switched off."""

    key: Name
    kind: Literal["boolean", "string", "number", "object"] = "boolean"
    variants: Annotated[dict[Variant, Any], Field(min_length=1, max_length=50)] = Field(
        default_factory=lambda: {"on": True, "off": False}
    )
    default_variant: Variant = "off"
    off_variant: Variant = "off"
    description: LongText | None = None


class FlagChanges(Body):
    default_variant: Variant


class Target(Body):
    variant: Variant


class Flag(Answer):
    id: str
    key: str
    kind: str
    variants: dict[str, Any]
    default_variant: str
    off_variant: str
    on: bool
    description: str | None = None
    created_at: str
    changed_at: str
    since: int


class Targeted(Answer):
    subject: str
    variant: str
    targeted_at: str
    since: int


class Evaluation(Answer):
    """As OpenFeature says it: the value, which variant it is, and why."""

    key: str
    value: Any
    variant: str
    reason: Literal["TARGETING_MATCH", "DISABLED", "DEFAULT"]
    position: int


def _flag_body(acting: Acting, found: Versioned[FlagRow]) -> Flag:
    row = found.row
    return Flag(
        id=row.flag,
        key=row.key,
        kind=row.kind,
        variants=msgspec.json.decode(row.variants),
        default_variant=row.default_variant,
        off_variant=row.off_variant,
        on=row.on,
        description=acting.open("description", row.description),
        created_at=time_text(row.created_at),
        changed_at=time_text(row.changed_at),
        since=found.since,
    )


@routes.post("/tenants/{tenant}/flags", status_code=201)
async def define_flag(body: NewFlag, caller: MayManageFlags) -> Flag:
    """In the deployment (`_deployment`) a flag is every tenant's; in a tenant it is that tenant's own."""
    for value in body.variants.values():
        if not isinstance(value, _KINDS[body.kind]) or (body.kind == "number" and isinstance(value, bool)):
            raise problems.unprocessable(f"every variant's value must be a {body.kind}")
    variants = msgspec.json.encode(body.variants).decode()
    if len(variants) > MOST_VARIANT_BYTES:
        raise problems.unprocessable(f"the variants take more than {MOST_VARIANT_BYTES} bytes: send less")
    flag = FlagId(caller.new_subject("flg"))
    command = flags.DefineFlag(
        flag,
        Code(body.key),
        Code(body.kind),
        Code(variants),
        Code(body.default_variant),
        Code(body.off_variant),
        caller.seal_if(flag, "description", body.description),
    )
    outcome = await caller.execute(command)
    row = caller.row_of(FLAGS, outcome)
    caller.etag_of(outcome.position)
    return _flag_body(caller, Versioned(row.flag, outcome.position, row))


@routes.get("/tenants/{tenant}/flags")
async def list_flags(reading: MayReadFlags, limit: Limit = 100, cursor: Cursor = None) -> Page[Flag]:
    after = place_of(reading, cursor, "flags")
    found = await reading.node.views.page(FLAGS, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "flags", lambda each: _flag_body(reading, each))


@routes.get("/tenants/{tenant}/flags/{flag}")
async def read_flag(flag: FlagInPath, reading: MayReadFlags) -> Flag:
    found = await reading.must_get(FLAGS, flag, "flag")
    reading.etag_of(found.since)
    return _flag_body(reading, found)


@routes.patch("/tenants/{tenant}/flags/{flag}")
async def change_flag_default(flag: FlagInPath, body: FlagChanges, caller: MayManageFlags) -> Changed:
    expected = caller.expects_unchanged(f"flag:{flag}", FLAGS.follows)
    command = flags.ChangeFlagDefault(FlagId(flag), Code(body.default_variant))
    return changed(await caller.execute(command, expected))


@routes.post("/tenants/{tenant}/flags/{flag}/switch_off")
async def switch_flag_off(flag: FlagInPath, caller: MayManageFlags) -> Changed:
    return changed(await caller.execute(flags.SwitchFlagOff(FlagId(flag))))


@routes.post("/tenants/{tenant}/flags/{flag}/switch_on")
async def switch_flag_on(flag: FlagInPath, caller: MayManageFlags) -> Changed:
    return changed(await caller.execute(flags.SwitchFlagOn(FlagId(flag))))


@routes.delete("/tenants/{tenant}/flags/{flag}")
async def archive_flag(flag: FlagInPath, caller: MayManageFlags) -> Changed:
    return changed(await caller.execute(flags.ArchiveFlag(FlagId(flag))))


@routes.get("/tenants/{tenant}/flags/{flag}/targets")
async def list_targets(
    flag: FlagInPath, reading: MayReadFlags, limit: Limit = 100, cursor: Cursor = None
) -> Page[Targeted]:
    await reading.must_get(FLAGS, flag, "flag")
    of = f"targets of {flag}"
    after = place_of(reading, cursor, of)
    found = await reading.node.views.find(
        TARGETS, reading.tenant, reading.at, "flag", flag, after=after, limit=limit + 1
    )
    return page_of(reading, found, limit, of, _targeted_body)


def _targeted_body(found: Versioned[TargetRow]) -> Targeted:
    row = found.row
    return Targeted(subject=row.subject, variant=row.variant, targeted_at=time_text(row.since), since=found.since)


@routes.put("/tenants/{tenant}/flags/{flag}/targets/{subject}")
async def target_flag(flag: FlagInPath, subject: TargetInPath, body: Target, caller: MayManageFlags) -> Changed:
    """A tenant's own flag singles out its users, or all of it; the deployment's, whole tenants."""
    _must_be_near(caller, subject)
    return changed(await caller.execute(flags.TargetFlag(FlagId(flag), _subject(subject), Code(body.variant))))


@routes.delete("/tenants/{tenant}/flags/{flag}/targets/{subject}")
async def untarget_flag(flag: FlagInPath, subject: TargetInPath, caller: MayManageFlags) -> Changed:
    return changed(await caller.execute(flags.TargetFlag(FlagId(flag), _subject(subject), None)))


def _subject(text: str) -> TenantId | UserId:
    return UserId(text) if text.startswith("usr") else TenantId(text)


def _must_be_near(caller: Acting, subject: str) -> None:
    if caller.tenant == DEPLOYMENT:
        if not subject.startswith("ten"):
            raise problems.unprocessable("the deployment's flags single out tenants; single out users in their tenant")
        if resident(caller.node, TenantId(subject)).life in ("none", "deleted"):
            raise problems.not_found("the tenant does not exist")
    elif subject.startswith("ten") and subject != caller.tenant:
        raise problems.not_found("the tenant does not exist")


@routes.get("/tenants/{tenant}/evaluations/{key}")
async def evaluate_flag(
    key: KeyInPath,
    reading: MayEvaluateFlags,
    user: Annotated[str | None, Query(pattern=r"^usr_[0-9a-f]{32}$")] = None,
) -> Evaluation:
    """What the tenant, or one of its users, is told: by the tenant's own flag of this key, else the deployment's."""
    for tenant in dict.fromkeys((reading.tenant, DEPLOYMENT)):
        found = await _flag_and_targets(reading, tenant, key, user)
        if found is not None:
            row, targets, position = found
            variant, reason = told(row.on, row.off_variant, row.default_variant, targets)
            values = msgspec.json.decode(row.variants)
            return Evaluation(key=key, value=values[variant], variant=variant, reason=reason, position=position)
    raise problems.not_found("there is no flag with this key")


async def _flag_and_targets(
    reading: Reading, tenant: TenantId, key: str, user: str | None
) -> tuple[FlagRow, list[str], int] | None:
    """From memory for now; from the stored views for a past moment."""
    subjects = [each for each in (user, reading.tenant) if each]
    if not reading.as_of:
        in_memory = resident(reading.node, tenant)
        rows = in_memory.rows
        flag = next((row for _, row in rows.find(FLAGS, "key", key)), None)
        if flag is None:
            return None
        targets = [rows.rows[TARGETS.name].get(f"{flag.flag}/{subject}") for subject in subjects]
        return flag, [each.variant for each in targets if each], in_memory.position
    at = reading.moment_in(tenant)
    await reading.node.views.reach(tenant, at.position)
    found = await reading.node.views.find(FLAGS, tenant, at, "key", key, limit=1)
    if not found:
        return None
    row = found[0].row
    keys = [f"{row.flag}/{subject}" for subject in subjects]
    stored = await reading.node.views.get_many(TARGETS, tenant, keys, at)
    return row, [stored[each].row.variant for each in keys if each in stored], at.position
