"""One thing of a tenant at a moment: a user, group, role, key or flag, with what belongs to it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Request, Response

from api import access, agents, flags, groups, users
from api.access import RoleInPath
from api.acting import Reading
from api.agents import KeyInPath
from api.flags import FlagInPath
from api.groups import GroupInPath
from api.pages.naming import names_of
from api.pages.rendering import may, show
from api.pages.route import pages
from api.pages.state import SECTIONS, context
from api.permitted import may_read
from api.users import UserInPath
from domain.access.owners import OWNER

routes = pages()
_SECTION: Final = {each.key: each for each in SECTIONS}
MOST: Final = 500

MayReadUsers = Annotated[Reading, may_read("users:read")]
MayReadGroups = Annotated[Reading, may_read("groups:read")]
MayReadRoles = Annotated[Reading, may_read("roles:read")]
MayReadKeys = Annotated[Reading, may_read("keys:read")]
MayReadFlags = Annotated[Reading, may_read("flags:read")]


async def _if_may(reading: Reading, permission: str, ask: Callable[[], Awaitable[Any]]) -> Any:
    """What belongs to the thing and needs a permission of its own; None without it."""
    return await ask() if may(reading.node, reading.credential, permission) else None


async def _page(
    request: Request, reading: Reading, section: str, id: str, title: str | None, ids: list[str], **more: Any
) -> Response:
    return show(
        request,
        "thing.html",
        **context(request, reading, _SECTION[section]),
        id=id,
        title=title or id,
        names=await names_of(reading, ids),
        most=MOST,
        **more,
    )


@routes.get("/tenants/{tenant}/state/users/{user}")
async def show_user(request: Request, user: UserInPath, reading: MayReadUsers) -> Response:
    found = await users.read_user(user, reading)
    member = await _if_may(reading, "groups:read", lambda: groups.list_groups_of_user(user, reading, limit=MOST))
    roles = await _if_may(reading, "roles:read", lambda: access.list_assignments_of_user(user, reading, limit=MOST))
    ids = [each.group for each in member.items] if member else []
    ids += [each.role for each in roles.items] if roles else []
    ids += [found.directory] if found.directory else []
    title = found.display_name or found.user_name
    return await _page(request, reading, "users", user, title, ids, thing=found, memberships=member, assignments=roles)


@routes.get("/tenants/{tenant}/state/groups/{group}")
async def show_group(request: Request, group: GroupInPath, reading: MayReadGroups) -> Response:
    found = await groups.read_group(group, reading)
    members = await groups.list_members(group, reading, limit=MOST)
    roles = await _if_may(reading, "roles:read", lambda: access.list_assignments_of_user(group, reading, limit=MOST))
    ids = [each.user for each in members.items] + ([each.role for each in roles.items] if roles else [])
    ids += [found.directory] if found.directory else []
    return await _page(
        request, reading, "groups", group, found.display_name, ids, thing=found, members=members, assignments=roles
    )


@routes.get("/tenants/{tenant}/state/roles/{role}")
async def show_role(request: Request, role: RoleInPath, reading: MayReadRoles) -> Response:
    found = None if role == OWNER else await access.read_role(role, reading)
    holders = await access.list_assignments(role, reading, limit=MOST)
    ids = [each.subject for each in holders.items]
    title = found.name if found else "owner"
    return await _page(request, reading, "roles", role, title, ids, thing=found, holders=holders)


@routes.get("/tenants/{tenant}/state/keys/{key}")
async def show_key(request: Request, key: KeyInPath, reading: MayReadKeys) -> Response:
    found = await agents.read_key(key, reading)
    return await _page(request, reading, "keys", key, found.name, [found.holder], thing=found)


@routes.get("/tenants/{tenant}/state/flags/{flag}")
async def show_flag(request: Request, flag: FlagInPath, reading: MayReadFlags) -> Response:
    found = await flags.read_flag(flag, reading)
    targets = await flags.list_targets(flag, reading, limit=MOST)
    ids = [each.subject for each in targets.items]
    return await _page(request, reading, "flags", flag, found.key, ids, thing=found, targets=targets)
