"""Groups over SCIM (RFC 7644 §3): each request one command, however many members it is about.

A PUT says everything: without `members` the group has none afterwards. A PATCH that names no members changes none, and
answers 204 unless it asks for attributes. Only users of the same directory can be added; groups within groups are
passed over.
"""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from fastapi import Response
from msgspec import UNSET

from adapters.scim.errors import invalid_value
from adapters.scim.groups import GroupChange, Member, group_changes, members_of
from adapters.scim.patch import read_patch
from adapters.scim.queries import read_query
from adapters.scim.resources import read_resource
from adapters.scim.schema import GROUP, USER, ResourceType
from api.http import problems
from api.protocols.scim_callers import FromDirectory, Inquiring, Provisioning, may_inquire, may_provision
from api.protocols.scim_documents import (
    CHANGING,
    DELETING,
    LISTING,
    SHOWING,
    GroupBody,
    IdInScim,
    PatchBody,
    ScimList,
    ScimResource,
    SearchBody,
    documented,
    scim_router,
)
from api.protocols.scim_lists import Shelf, listed, shown
from api.protocols.scim_memberships import CHANGES_OF_GROUP, home_of, is_member, last_change
from domain.boundary import Expectation
from domain.command import Missing
from domain.directory import groups
from domain.directory.unique import Unique
from domain.ids import DirectoryId, GroupId, UserId, is_id
from domain.ledger import Outcome
from domain.view import Moment, Versioned, View
from projections.directory import GROUPS, MEMBERS, GroupRow

MayReadGroups = Annotated[Inquiring, may_inquire("groups:read")]
MayManageGroups = Annotated[Provisioning, may_provision("groups:manage")]

routes = scim_router()


@routes.post("/Groups", **documented(ScimResource, status=201, takes_body=True, changes=True), openapi_extra=SHOWING)
async def create_group(body: GroupBody, caller: MayManageGroups) -> Response:
    resource = read_resource(body, GROUP, caller.tolerance)
    group = GroupId(caller.new_subject("grp"))
    command = groups.CreateGroup(
        group,
        caller.seal(group, "display_name", resource["displayName"]),
        caller.directory,
        _external_id(caller, group, resource.get("externalId")),
        _members(caller, group, members_of(resource)),
    )
    outcome = await _execute(caller, command)
    row = caller.row_of(GROUPS, outcome)
    members = [event.member for event in outcome.events if isinstance(event, groups.MemberAdded)]
    return await _answered(caller, row, outcome, members, 201)


@routes.get("/Groups", **documented(ScimList), openapi_extra=LISTING)
async def list_groups(caller: MayReadGroups) -> Response:
    return caller.answer(await listed([GroupShelf(caller, caller.at)], caller.query))


@routes.post("/Groups/.search", **documented(ScimList, takes_body=True))
async def search_groups(body: SearchBody, caller: MayReadGroups) -> Response:
    return caller.answer(await listed([GroupShelf(caller, caller.at)], read_query(body)))


@routes.get("/Groups/{id}", **documented(ScimResource), openapi_extra=SHOWING)
async def read_group(id: IdInScim, caller: MayReadGroups) -> Response:
    shelf = GroupShelf(caller, caller.at)
    found = await shelf.get(id) if is_id(id, "grp") else None
    if found is None:
        raise _no_group()
    resource = shelf.resource(found)
    await shelf.derive(resource, found.row, "meta")
    return caller.answer_resource(await shown(shelf, found.row, resource, caller.projection(GROUP)), resource["meta"])


@routes.put("/Groups/{id}", **documented(ScimResource, takes_body=True, changes=True), openapi_extra=CHANGING)
async def replace_group(id: IdInScim, body: GroupBody, caller: MayManageGroups) -> Response:
    resource = read_resource(body, GROUP, caller.tolerance)
    _own(caller, id)
    members = _members(caller, GroupId(id), members_of(resource))
    change = GroupChange(resource["displayName"], resource.get("externalId"))
    outcome = await _change(caller, GroupId(id), change, members)
    return await _answered(caller, _own(caller, id), outcome, members)


@routes.patch("/Groups/{id}", **documented(ScimResource, takes_body=True, changes=True), openapi_extra=CHANGING)
async def patch_group(id: IdInScim, body: PatchBody, caller: MayManageGroups) -> Response:
    change = group_changes(read_patch(body, caller.tolerance), caller.tolerance)
    _own(caller, id)
    members = None if change.replace is None else _members(caller, GroupId(id), change.replace)
    outcome = await _change(caller, GroupId(id), change, members)
    if caller.query.attributes:
        return await _answered(caller, _own(caller, id), outcome, members)
    # RFC 7644 §3.5.2 allows both; members may be many, and who sent the change knows it.
    caller.tell_version(caller.weak_tag(last_change(caller, id, outcome.position)[0]))
    return caller.answer(None, 204)


@routes.delete("/Groups/{id}", **documented(None, status=204, changes=True), openapi_extra=DELETING)
async def delete_group(id: IdInScim, caller: MayManageGroups) -> Response:
    if not is_id(id, "grp") or home_of(caller, "group", id) != caller.directory:
        raise _no_group()
    expected = caller.expects_unchanged(f"group:{id}", CHANGES_OF_GROUP)
    await caller.execute(groups.DeleteGroup(GroupId(id)), expected)
    return caller.answer(None, 204)


async def _change(
    caller: Provisioning, group: GroupId, change: GroupChange, exactly: tuple[UserId, ...] | None
) -> Outcome:
    """All of it or none. It says what it wants absolutely, so nothing that others do meanwhile is lost."""
    name, external_id = change.display_name, change.external_id
    command = groups.ReviseGroup(
        group,
        display_name=caller.seal_if(group, "display_name", name),
        external_id=_external_id(caller, group, external_id) if external_id is not UNSET else None,
        forget_external_id=external_id is None,
        members=exactly,
        add=_members(caller, group, change.add),
        remove=tuple(UserId(member) for member in change.remove if is_id(member, "usr")),
    )
    expected = caller.expects_unchanged(f"group:{group}", CHANGES_OF_GROUP)
    return await _execute(caller, command, expected)


async def _execute(
    caller: Provisioning,
    command: groups.CreateGroup | groups.ReviseGroup,
    expected: Iterable[Expectation] = (),
) -> Outcome:
    try:
        return await caller.execute(command, expected)
    except Missing as missing:
        if isinstance(command, groups.ReviseGroup):
            _own(caller, command.group)
        raise invalid_value(missing.reason) from None


def _members(caller: Provisioning, group: GroupId, members: Iterable[Member]) -> tuple[UserId, ...]:
    """The users among them. Raises ScimError for one that may not be added."""
    wanted = []
    for member in members:
        if member.type == "Group" or is_id(member.value, "grp"):
            # Groups are flat here; refusing would stop the provider's whole job.
            caller.count("nested-group-passed-over")
            continue
        user = UserId(member.value)
        if not is_id(user, "usr") or not (
            home_of(caller, "user", user) == caller.directory or is_member(caller, group, user)
        ):
            raise invalid_value("a member does not exist: each must be a user of this directory")
        wanted.append(user)
    return tuple(wanted)


def _external_id(caller: FromDirectory, group: GroupId, value: str | None) -> Unique | None:
    return None if value is None else caller.unique(group, "external_id", value, value, _scope(caller.directory))


def _scope(directory: DirectoryId) -> str:
    """Groups' external ids are apart from users', so that erasing a user leaves them alone."""
    return f"@{directory}{GROUP.endpoint}"


def _own(caller: FromDirectory, id: str) -> GroupRow:
    if not is_id(id, "grp"):
        raise _no_group()
    row = caller.current(GROUPS, f"group:{id}", id, "group").row
    if row.directory != caller.directory:
        raise _no_group()
    return row


async def _answered(
    caller: FromDirectory, row: GroupRow, outcome: Outcome, members: Iterable[str] | None, status: int = 200
) -> Response:
    """The group after a change; its members are read only where the change does not say them all."""
    shelf = GroupShelf(caller, Moment(outcome.position, outcome.instant))
    resource = shelf.resource(Versioned(row.group, outcome.position, row))
    await shelf.derive(resource, row, "meta")
    if members is not None:
        resource["members"] = _shown_members(caller, members)
    return caller.answer_resource(await shown(shelf, row, resource, caller.projection(GROUP)), resource["meta"], status)


def _shown_members(caller: FromDirectory, members: Iterable[str]) -> list[dict[str, str]]:
    return [{"value": each, "$ref": caller.location(USER, each), "type": "User"} for each in members]


def _no_group() -> problems.Problem:
    return problems.not_found("the group does not exist, or is not this directory's")


class GroupShelf(Shelf[GroupRow]):
    kind: ClassVar[ResourceType] = GROUP
    view: View[GroupRow] = GROUPS
    derived = ("meta", "members")

    def resource(self, found: Versioned[GroupRow]) -> dict[str, Any]:
        row = found.row
        texts = {
            "displayName": self.caller.open("display_name", row.display_name),
            "externalId": self.caller.open("external_id", row.external_id),
        }
        told = {name: text for name, text in texts.items() if text is not None}
        return {"schemas": [GROUP.urn], "id": row.group, **told}

    async def derive(self, resource: dict[str, Any], row: GroupRow, name: str) -> None:
        if name == "members":
            members = [each.row.member async for each in self.rows(MEMBERS, "group", row.group)]
            resource["members"] = _shown_members(self.caller, members)
        else:
            position, changed_at = last_change(self.caller, row.group, self.at.position)
            resource["meta"] = self.caller.meta(GROUP, row.group, row.created_at, changed_at, position)

    async def narrowed(self, attribute: str, value: str) -> list[Versioned[GroupRow]] | None:
        match attribute:
            case "id":
                found = await self.get(value) if is_id(value, "grp") else None
                return [found] if found else []
            case "externalId":
                return await self.find_external_id(_scope(self.caller.directory), value)
            case "members":
                ids = [each.row.group async for each in self.rows(MEMBERS, "member", value)]
                of_user = await (await self.stored()).get_many(GROUPS, self.caller.tenant, ids, self.at)
                return [of_user[group] for group in ids if group in of_user]
        return None
