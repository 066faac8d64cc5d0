"""What clients wish for: how each wish is asked over HTTP, and which command of the domain it is."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from domain.access.owners import OWNER
from domain.access.roles import AssignRole, DefineRole, RetireRole, WithdrawRole
from domain.command import Command
from domain.directory.groups import AddMember, CreateGroup, DeleteGroup, RemoveMember, RenameGroup
from domain.directory.unique import Unique
from domain.directory.users import DeactivateUser, DeleteUser, ProvisionUser, ReactivateUser, ReviseUser
from domain.event import Code, Event, Sealed
from domain.flags import ArchiveFlag, ChangeFlagDefault, DefineFlag, SwitchFlagOff, SwitchFlagOn, TargetFlag
from domain.ids import FlagId, GroupId, Handle, RoleId, TenantId, UserId
from projections.access import ROLES
from projections.directory import GROUPS, USERS
from projections.flags import FLAGS
from tests.torture.noted import Wish

OWNERS: Final[str] = OWNER
VARIANTS: Final = Code('{"on":true,"off":false}')


class Kind(NamedTuple):
    """One kind of wish."""

    method: str
    path: str
    """Below the tenant; `{subject}`, `{other}` are the wish's."""
    body: Callable[[Wish], dict[str, Any] | None]
    command: Callable[[Wish, str], Command]
    """Of the wish, and the id of what came into being by it."""
    makes: str = ""
    """What it begins: the prefix of its id, and the event's field that names it."""
    versioned: tuple[str, tuple[type[Event], ...]] | None = None
    """For what may carry If-Match: the kind of the tag, and the events that make another version."""


def _nothing(_: Wish) -> None:
    return None


def sealed(subject: str, text: str) -> Sealed:
    """A value as the checker knows it: what was asked for, in the open."""
    return Sealed(subject, b"", b"", text.encode())


def _name(user: str, text: str) -> Unique:
    return Unique(sealed(user, text), Handle(text))


_USER: Final = ("user", USERS.follows)
_GROUP: Final = ("group", GROUPS.follows)
_ROLE: Final = ("role", ROLES.follows)

KINDS: Final[dict[str, Kind]] = {
    "provision_user": Kind(
        "POST",
        "/users",
        lambda wish: {"user_name": wish.text},
        lambda wish, made: ProvisionUser(UserId(made), _name(made, wish.text)),
        makes="user",
    ),
    "rename_user": Kind(
        "PATCH",
        "/users/{subject}",
        lambda wish: {"user_name": wish.text},
        lambda wish, _: ReviseUser(UserId(wish.subject), _name(wish.subject, wish.text)),
        versioned=_USER,
    ),
    "pause_user": Kind(
        "PATCH",
        "/users/{subject}",
        lambda _: {"active": False},
        lambda wish, _: ReviseUser(UserId(wish.subject), active=False),
        versioned=_USER,
    ),
    "deactivate_user": Kind(
        "POST", "/users/{subject}/deactivate", _nothing, lambda wish, _: DeactivateUser(UserId(wish.subject))
    ),
    "reactivate_user": Kind(
        "POST", "/users/{subject}/reactivate", _nothing, lambda wish, _: ReactivateUser(UserId(wish.subject))
    ),
    "delete_user": Kind(
        "DELETE", "/users/{subject}", _nothing, lambda wish, _: DeleteUser(UserId(wish.subject)), versioned=_USER
    ),
    "create_group": Kind(
        "POST",
        "/groups",
        lambda wish: {"display_name": wish.text},
        lambda wish, made: CreateGroup(GroupId(made), sealed(made, wish.text)),
        makes="group",
    ),
    "rename_group": Kind(
        "PATCH",
        "/groups/{subject}",
        lambda wish: {"display_name": wish.text},
        lambda wish, _: RenameGroup(GroupId(wish.subject), sealed(wish.subject, wish.text)),
        versioned=_GROUP,
    ),
    "delete_group": Kind(
        "DELETE", "/groups/{subject}", _nothing, lambda wish, _: DeleteGroup(GroupId(wish.subject)), versioned=_GROUP
    ),
    "add_member": Kind(
        "PUT",
        "/groups/{subject}/members/{other}",
        _nothing,
        lambda wish, _: AddMember(GroupId(wish.subject), UserId(wish.other)),
    ),
    "remove_member": Kind(
        "DELETE",
        "/groups/{subject}/members/{other}",
        _nothing,
        lambda wish, _: RemoveMember(GroupId(wish.subject), UserId(wish.other)),
    ),
    "define_role": Kind(
        "POST",
        "/roles",
        lambda wish: {"name": wish.text, "permissions": ["torture:endure"]},
        lambda wish, made: DefineRole(RoleId(made), Code(wish.text), (Code("torture:endure"),)),
        makes="role",
    ),
    "retire_role": Kind(
        "DELETE", "/roles/{subject}", _nothing, lambda wish, _: RetireRole(RoleId(wish.subject)), versioned=_ROLE
    ),
    "assign_role": Kind(
        "PUT",
        "/roles/{subject}/assignments/{other}",
        lambda _: {},
        lambda wish, _: AssignRole(RoleId(wish.subject), _holder(wish.other)),
    ),
    "withdraw_role": Kind(
        "DELETE",
        "/roles/{subject}/assignments/{other}",
        _nothing,
        lambda wish, _: WithdrawRole(RoleId(wish.subject), _holder(wish.other)),
    ),
    "define_flag": Kind(
        "POST",
        "/flags",
        lambda wish: {"key": wish.text},
        lambda wish, made: DefineFlag(
            FlagId(made), Code(wish.text), Code("boolean"), VARIANTS, Code("off"), Code("off")
        ),
        makes="flag",
    ),
    "change_flag": Kind(
        "PATCH",
        "/flags/{subject}",
        lambda wish: {"default_variant": wish.text},
        lambda wish, _: ChangeFlagDefault(FlagId(wish.subject), Code(wish.text)),
        versioned=("flag", FLAGS.follows),
    ),
    "switch_flag_off": Kind(
        "POST", "/flags/{subject}/switch_off", _nothing, lambda wish, _: SwitchFlagOff(FlagId(wish.subject))
    ),
    "switch_flag_on": Kind(
        "POST", "/flags/{subject}/switch_on", _nothing, lambda wish, _: SwitchFlagOn(FlagId(wish.subject))
    ),
    "target_flag": Kind(
        "PUT",
        "/flags/{subject}/targets/{other}",
        lambda wish: {"variant": wish.text},
        lambda wish, _: TargetFlag(FlagId(wish.subject), _target(wish.other), Code(wish.text)),
    ),
    "untarget_flag": Kind(
        "DELETE",
        "/flags/{subject}/targets/{other}",
        _nothing,
        lambda wish, _: TargetFlag(FlagId(wish.subject), _target(wish.other), None),
    ),
    "archive_flag": Kind("DELETE", "/flags/{subject}", _nothing, lambda wish, _: ArchiveFlag(FlagId(wish.subject))),
}

SILENT: Final = frozenset({"rename_user", "pause_user"})
"""Their answers don't say whether anything changed, and may be that there is nobody before it comes to be recorded."""


def _holder(subject: str) -> UserId | GroupId:
    return UserId(subject) if subject.startswith("usr") else GroupId(subject)


def _target(subject: str) -> UserId | TenantId:
    return UserId(subject) if subject.startswith("usr") else TenantId(subject)


def command_of(wish: Wish, made: str) -> Command:
    """The domain's command; values are those that were asked for, and stand for themselves."""
    return KINDS[wish.kind].command(wish, made)


def request_of(tenant: str, wish: Wish) -> tuple[str, str, dict[str, Any] | None]:
    """Method, path and body."""
    kind = KINDS[wish.kind]
    path = kind.path.format(subject=wish.subject, other=wish.other)
    return kind.method, f"/v1/tenants/{tenant}{path}", kind.body(wish)
