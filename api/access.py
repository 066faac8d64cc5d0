"""Roles and their assignments over REST."""

from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import Field

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
from domain.access.handing import Given, Handing
from domain.access.owners import OWNER
from domain.boundary import Item
from domain.event import Code
from domain.ids import GroupId, RoleId, UserId
from domain.view import Versioned
from projections.access import ASSIGNMENTS, ROLES, AssignmentRow, RoleRow

MOST_PERMISSIONS: Final = 200
"""Of one role: it is one event, and every check of its holders' keys looks at it."""
MayReadRoles = Annotated[Reading, may_read("roles:read")]
MayManageRoles = Annotated[Acting, may("roles:manage")]
MayAssignRoles = Annotated[Acting, may("roles:assign")]
RoleInPath = Annotated[str, Path(pattern=r"^rol_([0-9a-f]{32}|owner)$")]
HolderInPath = Annotated[str, Path(pattern=r"^(usr|grp)_[0-9a-f]{32}$")]

Permissions = Annotated[list[PermissionName], Field(max_length=MOST_PERMISSIONS)]
BEYOND_MAKER: Final = "a role can't permit what its maker may not do; leave those permissions out"
BEYOND_CHANGER: Final = (
    "only roles that permit no more than you may do can be changed by you, and only to such; ask who may"
)
BEYOND_GIVER: Final = "a role can't be given by somebody who may not do all that it permits"

routes = router("access")


class NewRole(Body):
    name: Name
    permissions: Permissions
    description: LongText | None = None


class RoleChanges(Body):
    permissions: Permissions
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


def _codes(permissions: list[str]) -> tuple[Code, ...]:
    return tuple(Code(each) for each in sorted(set(permissions)))


@routes.post("/tenants/{tenant}/roles", status_code=201)
async def define_role(body: NewRole, caller: MayManageRoles) -> Role:
    wanted = frozenset(body.permissions)
    await caller.hands_on(lambda: Handing((), BEYOND_MAKER, within=wanted))
    role = RoleId(caller.new_subject("rol"))
    description = caller.seal_if(role, "description", body.description)
    outcome = await caller.execute(roles.DefineRole(role, Code(body.name), _codes(body.permissions), description))
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
    wanted = frozenset(body.permissions)
    await caller.hands_on(lambda: _change_to(caller, role, wanted))
    expected = caller.expects_unchanged(f"role:{role}", ROLES.follows)
    description = caller.seal_if(role, "description", body.description)
    command = roles.ChangeRole(RoleId(role), _codes(body.permissions), description)
    return changed(await caller.execute(command, expected))


def _change_to(caller: Acting, role: str, wanted: frozenset[str]) -> Handing:
    """What whoever has the role gets by the change, and what it may take from them."""
    before = permissions_of(caller, role)
    added = wanted - before
    return Handing((Given(added),) if added else (), BEYOND_CHANGER, within=before | wanted, depends=(change_of(role),))


def permissions_of(caller: Acting, role: str) -> frozenset[str]:
    """All that a role permits, the product's own permissions included."""
    if role == OWNER:
        return caller.tenant_permissions
    row = caller.resident_row(ROLES, role)
    return frozenset(row.permissions) if row else frozenset()


def change_of(role: str) -> Item:
    """What would make a role permit something else."""
    return Item((f"role:{role}",), (roles.RoleChanged,))


@routes.delete("/tenants/{tenant}/roles/{role}")
async def retire_role(role: RoleInPath, caller: MayManageRoles) -> Changed:
    await caller.hands_on(lambda: _change_to(caller, role, frozenset()))
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
    expires_at = None if body.expires_at is None else instant_of(body.expires_at)
    await caller.hands_on(
        lambda: Handing((Given(permissions_of(caller, role), expires_at),), BEYOND_GIVER, depends=(change_of(role),))
    )
    holder = UserId(subject) if subject.startswith("usr") else GroupId(subject)
    return changed(await caller.execute(roles.AssignRole(RoleId(role), holder, expires_at)))


@routes.delete("/tenants/{tenant}/roles/{role}/assignments/{subject}")
async def withdraw_role(role: RoleInPath, subject: HolderInPath, caller: MayAssignRoles) -> Changed:
    holder = UserId(subject) if subject.startswith("usr") else GroupId(subject)
    return changed(await caller.execute(roles.WithdrawRole(RoleId(role), holder)))
