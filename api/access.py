"""Roles and their assignments over REST."""

from typing import Annotated, Any

from fastapi import Path

from api.acting import Acting, Reading
from api.bodies import (
    Answer,
    Body,
    Changed,
    Cursor,
    Limit,
    LongText,
    Name,
    PermissionName,
    Time,
    changed,
    instant_of,
    page_of,
    place_of,
    router,
    time_text,
    time_text_if,
)
from api.http.paging import Page
from api.permitted import may, may_read
from domain.access import roles
from domain.access.owners import OWNER
from domain.event import Code
from domain.ids import GroupId, RoleId, UserId
from domain.view import Versioned
from projections.access import ASSIGNMENTS, ROLES, AssignmentRow, RoleRow

MayReadRoles = Annotated[Reading, may_read("roles:read")]
MayManageRoles = Annotated[Acting, may("roles:manage")]
MayAssignRoles = Annotated[Acting, may("roles:assign")]
RoleInPath = Annotated[str, Path(pattern=r"^rol_([0-9a-f]{32}|owner)$")]
HolderInPath = Annotated[str, Path(pattern=r"^(usr|grp)_[0-9a-f]{32}$")]

routes = router("access")


class NewRole(Body):
    name: Name
    permissions: Annotated[list[PermissionName], "at most 200"]
    description: LongText | None = None


class RoleChanges(Body):
    permissions: list[PermissionName]
    description: LongText | None = None


class Role(Answer):
    id: str
    name: str
    permissions: list[str]
    description: str | None = None
    created_at: str
    changed_at: str
    since: int


class NewAssignment(Body):
    expires_at: Time | None = None


class Assignment(Answer):
    role: str
    subject: str
    assigned_at: str
    expires_at: str | None = None
    since: int


def _role_body(acting: Acting, found: Versioned[RoleRow]) -> Role:
    row = found.row
    return Role(
        id=row.role,
        name=row.name,
        permissions=list(row.permissions),
        description=acting.open("description", row.description),
        created_at=time_text(row.created_at),
        changed_at=time_text(row.changed_at),
        since=found.since,
    )


def _assignment_body(found: Versioned[AssignmentRow]) -> Assignment:
    row = found.row
    return Assignment(
        role=row.role,
        subject=row.subject,
        assigned_at=time_text(row.since),
        expires_at=time_text_if(row.expires_at),
        since=found.since,
    )


async def _within_own(caller: Acting, permissions: list[str]) -> tuple[Code, ...]:
    """Nobody hands on more than they have; the product's own permissions are anybody's who may manage roles."""
    ours = {each for each in permissions if each in caller.all_permissions}
    if ours - caller.may_hand_on:
        await caller.refuse("a role can't permit what its maker may not do; leave those permissions out")
    return tuple(Code(each) for each in sorted(set(permissions)))


@routes.post("/tenants/{tenant}/roles", status_code=201)
async def define_role(body: NewRole, caller: MayManageRoles) -> Role:
    permissions = await _within_own(caller, body.permissions)
    role = RoleId(caller.new_subject("rol"))
    description = caller.seal_if(role, "description", body.description)
    outcome = await caller.execute(roles.DefineRole(role, Code(body.name), permissions, description))
    row = caller.row_of(ROLES, outcome)
    caller.etag_of(outcome.position)
    return _role_body(caller, Versioned(row.role, outcome.position, row))


@routes.get("/tenants/{tenant}/roles")
async def list_roles(reading: MayReadRoles, limit: Limit = 100, cursor: Cursor = None) -> Page[Role]:
    """The roles that the tenant defined. The built-in owner role, `rol_owner`, permits everything and is not listed."""
    after = place_of(reading, cursor, "roles")
    found = await reading.node.views.page(ROLES, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "roles", lambda each: _role_body(reading, each))


@routes.get("/tenants/{tenant}/roles/{role}")
async def read_role(role: RoleInPath, reading: MayReadRoles) -> Role:
    found = await reading.must_get(ROLES, role, "role")
    reading.etag_of(found.since)
    return _role_body(reading, found)


@routes.put("/tenants/{tenant}/roles/{role}")
async def change_role(role: RoleInPath, body: RoleChanges, caller: MayManageRoles) -> Changed:
    permissions = await _within_own(caller, body.permissions)
    expected = caller.expects_unchanged(f"role:{role}", ROLES.follows)
    description = caller.seal_if(role, "description", body.description)
    return changed(await caller.execute(roles.ChangeRole(RoleId(role), permissions, description), expected))


@routes.delete("/tenants/{tenant}/roles/{role}")
async def retire_role(role: RoleInPath, caller: MayManageRoles) -> Changed:
    expected = caller.expects_unchanged(f"role:{role}", ROLES.follows)
    return changed(await caller.execute(roles.RetireRole(RoleId(role)), expected))


@routes.get("/tenants/{tenant}/roles/{role}/assignments")
async def list_assignments(
    role: RoleInPath, reading: MayReadRoles, limit: Limit = 100, cursor: Cursor = None
) -> Page[Assignment]:
    """Who has a role; what has expired at the moment asked about is left out."""
    if role != OWNER:
        await reading.must_get(ROLES, role, "role")
    return await _assignments(reading, "role", role, limit, cursor)


@routes.get("/tenants/{tenant}/users/{subject}/assignments")
async def list_assignments_of_user(
    subject: HolderInPath, reading: MayReadRoles, limit: Limit = 100, cursor: Cursor = None
) -> Page[Assignment]:
    """The roles that a user (or group) has directly."""
    return await _assignments(reading, "subject", subject, limit, cursor)


async def _assignments(reading: Any, column: str, value: str, limit: int, cursor: str | None) -> Page[Assignment]:
    of = f"assignments of {value}"
    after = place_of(reading, cursor, of)
    found = await reading.node.views.find(
        ASSIGNMENTS, reading.tenant, reading.at, column, value, after=after, limit=limit + 1
    )
    page = page_of(reading, found, limit, of, _assignment_body)
    now = time_text(reading.at.instant)
    alive = [each for each in page.items if each.expires_at is None or each.expires_at > now]
    return page.model_copy(update={"items": alive})


@routes.put("/tenants/{tenant}/roles/{role}/assignments/{subject}")
async def assign_role(role: RoleInPath, subject: HolderInPath, body: NewAssignment, caller: MayAssignRoles) -> Changed:
    await _may_give(caller, role)
    expires_at = None if body.expires_at is None else instant_of(body.expires_at)
    holder = UserId(subject) if subject.startswith("usr") else GroupId(subject)
    return changed(await caller.execute(roles.AssignRole(RoleId(role), holder, expires_at)))


async def _may_give(caller: Acting, role: str) -> None:
    """Nobody gives more than they have."""
    if role == OWNER:
        permitted = caller.tenant_permissions
    else:
        row = caller.resident_row(ROLES, role)
        permitted = frozenset(row.permissions) & caller.all_permissions if row else frozenset()
    if permitted - caller.may_hand_on:
        await caller.refuse("a role can't be given by somebody who may not do all that it permits")


@routes.delete("/tenants/{tenant}/roles/{role}/assignments/{subject}")
async def withdraw_role(role: RoleInPath, subject: HolderInPath, caller: MayAssignRoles) -> Changed:
    holder = UserId(subject) if subject.startswith("usr") else GroupId(subject)
    return changed(await caller.execute(roles.WithdrawRole(RoleId(role), holder)))
