"""Groups and their members over REST."""

from typing import Annotated, Final

from fastapi import Path

from api.access import change_of, permissions_of
from api.acting import Acting, Reading, resident
from api.bodies import Answer, Body, Changed, Cursor, Limit, ShortText, changed, page_of, place_of, router, time_text
from api.http.paging import Page
from api.permitted import may, may_read
from api.users import UserInPath
from domain.access.handing import Given, Handing
from domain.access.owners import RoleAssigned
from domain.boundary import Item
from domain.directory import groups
from domain.ids import GroupId, UserId
from domain.view import Versioned
from projections.access import ASSIGNMENTS
from projections.directory import GROUPS, MEMBERS, GroupRow, MemberRow

MayReadGroups = Annotated[Reading, may_read("groups:read")]
MayManageGroups = Annotated[Acting, may("groups:manage")]
GroupInPath = Annotated[str, Path(pattern=r"^grp_[0-9a-f]{32}$")]

BEYOND_GIVER: Final = (
    "whoever joins this group gets roles that permit what you may not do; ask somebody who may do all of it"
)

routes = router("groups")


class NewGroup(Body):
    display_name: ShortText


class GroupChanges(Body):
    display_name: ShortText


class Group(Answer):
    id: str
    display_name: str | None
    directory: str | None = None
    external_id: str | None = None
    created_at: str
    changed_at: str
    since: int


class Member(Answer):
    user: str
    member_since: str
    since: int


def group_body(acting: Acting, found: Versioned[GroupRow]) -> Group:
    row = found.row
    return Group(
        id=row.group,
        display_name=acting.open("display_name", row.display_name),
        directory=row.directory,
        external_id=acting.open("external_id", row.external_id),
        created_at=time_text(row.created_at),
        changed_at=time_text(row.changed_at),
        since=found.since,
    )


def _member_body(found: Versioned[MemberRow]) -> Member:
    return Member(user=found.row.member, member_since=time_text(found.row.since), since=found.since)


@routes.post("/tenants/{tenant}/groups", status_code=201)
async def create_group(body: NewGroup, caller: MayManageGroups) -> Group:
    group = GroupId(caller.new_subject("grp"))
    outcome = await caller.execute(groups.CreateGroup(group, caller.seal(group, "display_name", body.display_name)))
    row = caller.row_of(GROUPS, outcome)
    caller.etag_of(outcome.position)
    return group_body(caller, Versioned(row.group, outcome.position, row))


@routes.get("/tenants/{tenant}/groups")
async def list_groups(reading: MayReadGroups, limit: Limit = 100, cursor: Cursor = None) -> Page[Group]:
    after = place_of(reading, cursor, "groups")
    found = await reading.node.views.page(GROUPS, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "groups", lambda each: group_body(reading, each))


@routes.get("/tenants/{tenant}/groups/{group}")
async def read_group(group: GroupInPath, reading: MayReadGroups) -> Group:
    found = await reading.must_get(GROUPS, group, "group")
    reading.etag_of(found.since)
    return group_body(reading, found)


@routes.patch("/tenants/{tenant}/groups/{group}")
async def rename_group(group: GroupInPath, body: GroupChanges, caller: MayManageGroups) -> Changed:
    expected = caller.expects_unchanged(f"group:{group}", GROUPS.follows)
    name = caller.seal(group, "display_name", body.display_name)
    return changed(await caller.execute(groups.RenameGroup(GroupId(group), name), expected))


@routes.delete("/tenants/{tenant}/groups/{group}")
async def delete_group(group: GroupInPath, caller: MayManageGroups) -> Changed:
    expected = caller.expects_unchanged(f"group:{group}", GROUPS.follows)
    return changed(await caller.execute(groups.DeleteGroup(GroupId(group)), expected))


@routes.get("/tenants/{tenant}/groups/{group}/members")
async def list_members(
    group: GroupInPath, reading: MayReadGroups, limit: Limit = 100, cursor: Cursor = None
) -> Page[Member]:
    await reading.must_get(GROUPS, group, "group")
    of = f"members of {group}"
    after = place_of(reading, cursor, of)
    found = await reading.node.views.find(
        MEMBERS, reading.tenant, reading.at, "group", group, after=after, limit=limit + 1
    )
    return page_of(reading, found, limit, of, _member_body)


@routes.put("/tenants/{tenant}/groups/{group}/members/{user}")
async def add_member(group: GroupInPath, user: UserInPath, caller: MayManageGroups) -> Changed:
    """Whoever becomes a member gets the group's roles, so only somebody who may give those can say who does."""
    await caller.hands_on(lambda: _membership_of(caller, group))
    return changed(await caller.execute(groups.AddMember(GroupId(group), UserId(user))))


def _membership_of(caller: Acting, group: str) -> Handing:
    """What a member gets: the roles that the group has, as long as it has them."""
    in_memory = resident(caller.node, caller.tenant)
    now = caller.node.clock()
    given, depends = [], [Item((f"group:{group}",), (RoleAssigned,))]
    for _, row in in_memory.rows.find(ASSIGNMENTS, "subject", group):
        if row.expires_at is None or row.expires_at > now:
            given.append(Given(permissions_of(caller, row.role), row.expires_at))
            depends.append(change_of(row.role))
    return Handing(tuple(given), BEYOND_GIVER, depends=tuple(depends))


@routes.delete("/tenants/{tenant}/groups/{group}/members/{user}")
async def remove_member(group: GroupInPath, user: UserInPath, caller: MayManageGroups) -> Changed:
    return changed(await caller.execute(groups.RemoveMember(GroupId(group), UserId(user))))


class Membership(Answer):
    group: str
    member_since: str
    since: int


@routes.get("/tenants/{tenant}/users/{user}/groups")
async def list_groups_of_user(
    user: UserInPath, reading: MayReadGroups, limit: Limit = 100, cursor: Cursor = None
) -> Page[Membership]:
    of = f"groups of {user}"
    after = place_of(reading, cursor, of)
    found = await reading.node.views.find(
        MEMBERS, reading.tenant, reading.at, "member", user, after=after, limit=limit + 1
    )
    return page_of(
        reading,
        found,
        limit,
        of,
        lambda each: Membership(group=each.row.group, member_since=time_text(each.row.since), since=each.since),
    )
