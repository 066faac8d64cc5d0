"""A role: named permissions, held by users and groups, perhaps until an end."""

from typing import assert_never

from domain.access.owners import (
    OWNER,
    AssignmentExpired,
    KnownOwners,
    RoleAssigned,
    RoleWithdrawn,
    assignment,
)
from domain.boundary import Boundary, about, tagged
from domain.command import Command, Decider, Missing, Refused, Taken
from domain.directory.life import life_of_group, life_of_user
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import GroupId, RoleId, UserId, is_id


class RoleDefined(Event):
    names = (("role_name", "name"),)
    role: RoleId
    name: Code
    permissions: tuple[Code, ...]
    description: Sealed | None = None


class RoleChanged(Event):
    """The permissions and description from now on."""

    role: RoleId
    permissions: tuple[Code, ...]
    description: Sealed | None = None


class RoleRetired(Event):
    """It grants nothing any more, can't be assigned, and its name is free."""

    names = (("role_name", "name"),)
    role: RoleId
    name: Code


class DefineRole(Command):
    permission = "roles:manage"
    role: RoleId
    name: Code
    permissions: tuple[Code, ...]
    description: Sealed | None = None

    def boundary(self) -> Boundary:
        return life_of_role(self.role) | tagged(f"role_name:{self.name}", RoleDefined, RoleRetired)


class ChangeRole(Command):
    permission = "roles:manage"
    role: RoleId
    permissions: tuple[Code, ...]
    description: Sealed | None = None

    def boundary(self) -> Boundary:
        return life_of_role(self.role)


class RetireRole(Command):
    permission = "roles:manage"
    role: RoleId

    def boundary(self) -> Boundary:
        return life_of_role(self.role)


class AssignRole(Command):
    permission = "roles:assign"
    role: RoleId
    subject: UserId | GroupId
    expires_at: Instant | None = None

    def boundary(self) -> Boundary:
        return life_of_role(self.role) | life_of_holder(self.subject) | assignment(self.role, self.subject)


class WithdrawRole(Command):
    permission = "roles:assign"
    role: RoleId
    subject: UserId | GroupId

    def boundary(self) -> Boundary:
        return life_of_role(self.role) | life_of_holder(self.subject) | assignment(self.role, self.subject)

    def then(self, known: "KnownRole") -> Boundary:
        if self.role != OWNER:
            return Boundary()
        return known.owners.others_than(UserId(self.subject), known.tallies)


class ExpireAssignment(Command):
    """A timer's: say that an end has come."""

    permission = "roles:assign"
    while_suspended = True
    role: RoleId
    subject: UserId | GroupId

    def boundary(self) -> Boundary:
        return life_of_role(self.role) | life_of_holder(self.subject) | assignment(self.role, self.subject)


RolesCommand = DefineRole | ChangeRole | RetireRole | AssignRole | WithdrawRole | ExpireAssignment


def life_of_role(role: RoleId) -> Boundary:
    """What a role is, and whether it still is."""
    return about(role, RoleDefined, RoleChanged, RoleRetired)


def life_of_holder(subject: UserId | GroupId) -> Boundary:
    """Whether a user or group exists."""
    return life_of_user(UserId(subject)) if is_id(subject, "usr") else life_of_group(GroupId(subject))


class KnownRole(KnownOwners):
    """A role, who has its name, and one assignment of it."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.roles: dict[RoleId, RoleDefined | None] = {}
        self.named: dict[str, RoleId | None] = {}
        self.assigned: RoleAssigned | None = None

    def evolve(self, recorded: Recorded) -> None:
        super().evolve(recorded)
        match recorded.event:
            case RoleDefined(role, name) as defined:
                self.roles[role] = defined
                self.named[name] = role
            case RoleChanged(role, permissions, description):
                before = self.roles.get(role)
                if before:
                    self.roles[role] = RoleDefined(role, before.name, permissions, description)
            case RoleRetired(role, name):
                self.roles[role] = None
                self.named[name] = None
            case RoleAssigned() as assigned:
                self.assigned = assigned
            case RoleWithdrawn() | AssignmentExpired():
                self.assigned = None

    def role(self, role: RoleId) -> RoleDefined:
        defined = self.roles.get(role)
        if defined is None:
            raise Missing("the role does not exist, or is retired")
        return defined

    def exists(self, subject: UserId | GroupId) -> bool:
        return self.lives.user_exists(UserId(subject)) or self.lives.group_exists(GroupId(subject))

    def standing(self, role: RoleId) -> RoleAssigned | None:
        """The assignment; none if its role or its holder has ended, and it with them. Its own end may have come."""
        held = self.assigned
        alive = role == OWNER or self.roles.get(role) is not None
        return held if held and alive and self.exists(held.subject) else None

    def in_force(self, role: RoleId) -> RoleAssigned | None:
        """The assignment, unless its end has come."""
        held = self.standing(role)
        return held if held and (held.expires_at is None or held.expires_at > self.now) else None


def decide(command: RolesCommand, known: KnownRole) -> list[Event]:
    match command:
        case DefineRole(role, name, permissions, description):
            if role in known.roles or role == OWNER:
                raise Taken("the role exists already")
            if known.named.get(name) is not None or name == "owner":
                raise Taken("another role has this name; choose another")
            return [RoleDefined(role, name, permissions, description)]
        case ChangeRole(role, permissions, description):
            before = known.role(role)
            same = description is None if before.description is None else before.description.same_as(description)
            if before.permissions == permissions and same:
                return []
            return [RoleChanged(role, permissions, description)]
        case RetireRole(role):
            return [RoleRetired(role, known.role(role).name)]
        case AssignRole(role, subject, expires_at):
            return _assigned(role, subject, expires_at, known)
        case WithdrawRole(role, subject):
            if known.in_force(role) is None:
                return []
            if role == OWNER:
                known.owners.may_lose(UserId(subject), known.lives)
            return [RoleWithdrawn(role, subject)]
        case ExpireAssignment(role, subject):
            ended = known.standing(role)
            if ended is None or ended.expires_at is None or ended.expires_at > known.now:
                return []
            return [AssignmentExpired(role, subject, ended.expires_at)]
        case _:
            assert_never(command)


def _assigned(role: RoleId, subject: UserId | GroupId, expires_at: Instant | None, known: KnownRole) -> list[Event]:
    if role == OWNER:
        if not is_id(subject, "usr"):
            raise Refused("owners are people; assign the owner role to a user, not to a group")
        if expires_at is not None:
            raise Refused("the owner role does not expire; assign it without an end")
    else:
        known.role(role)
    if not known.exists(subject):
        raise Missing("the user or group does not exist")
    if expires_at is not None and expires_at <= known.now:
        raise Refused("the end of the assignment is not in the future")
    held = known.in_force(role)
    if held is not None and held.expires_at == expires_at:
        return []
    return [RoleAssigned(role, subject, expires_at)]


decider = Decider(
    commands=(DefineRole, ChangeRole, RetireRole, AssignRole, WithdrawRole, ExpireAssignment),
    begin=KnownRole,
    decide=decide,
)
