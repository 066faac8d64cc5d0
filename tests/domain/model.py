"""What a tenant is, told naively with dictionaries looked through from end to end: the oracle of random histories.

It knows the whole state at once, where the domain knows only what a boundary names.
"""

from dataclasses import dataclass, field
from typing import Any

from domain.access.owners import OWNER
from domain.access.roles import AssignRole, ChangeRole, DefineRole, ExpireAssignment, RetireRole, WithdrawRole
from domain.agents import IssueApiKey, RevokeApiKey, RotateApiKey
from domain.command import Command, Missing, Refused, Taken
from domain.directory.groups import AddMember, CreateGroup, DeleteGroup, RemoveMember, RenameGroup, ReviseGroup
from domain.directory.users import DeleteUser, EraseUser, ProvisionUser, ReviseUser, Unique
from domain.flags import ArchiveFlag, ChangeFlagDefault, DefineFlag, SwitchFlagOff, SwitchFlagOn, TargetFlag
from domain.tenants import ResumeTenant, SuspendTenant

GONE = "gone"


@dataclass
class Model:
    suspended: bool = False
    users: dict[str, Any] = field(default_factory=dict)
    """Each: name, external_id, profile and active; or GONE, or "erased"."""
    ever: dict[str, list[str]] = field(default_factory=dict)
    """Every handle that a user ever had."""
    erased_handles: set[str] = field(default_factory=set)
    groups: dict[str, Any] = field(default_factory=dict)
    members: set[tuple[str, str]] = field(default_factory=set)
    roles: dict[str, Any] = field(default_factory=dict)
    held: dict[tuple[str, str], int | None] = field(default_factory=dict)
    """(role, subject) → end."""
    keys: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    targets: dict[tuple[str, str], str] = field(default_factory=dict)

    def apply(self, command: Command, now: int) -> None:
        """Changes the state, or raises the refusal."""
        if self.suspended and not isinstance(command, SuspendTenant | ResumeTenant | EraseUser | ExpireAssignment):
            raise Refused("suspended")
        getattr(self, type(command).__name__)(command, now)

    # Tenant

    def SuspendTenant(self, _: SuspendTenant, __: int) -> None:
        self.suspended = True

    def ResumeTenant(self, _: ResumeTenant, __: int) -> None:
        self.suspended = False

    # Users

    def living(self) -> dict[str, Any]:
        return {user: state for user, state in self.users.items() if isinstance(state, dict)}

    def user(self, user: str) -> dict[str, Any]:
        if user not in self.living():
            raise Missing("user")
        state: dict[str, Any] = self.users[user]
        return state

    def owners(self) -> set[str]:
        """The active ones."""
        return {user for user, state in self.living().items() if state["active"] and (OWNER, user) in self.held}

    def take(self, user: str, what: str, unique: Unique) -> None:
        if unique.handle in self.erased_handles:
            raise Refused("erased")
        for other, state in self.living().items():
            if other != user and state[what] is not None and state[what].handle == unique.handle:
                raise Taken(what)

    def has(self, user: str, what: str, unique: Unique | None) -> None:
        current = self.users[user][what]
        if unique is None or current is None or not unique.value.same_as(current.value):
            self.users[user][what] = unique
        if unique is not None and unique.handle not in self.ever.setdefault(user, []):
            self.ever[user].append(unique.handle)

    def must_not_be_last(self, user: str) -> None:
        if self.owners() == {user}:
            raise Refused("last owner")

    def ProvisionUser(self, command: ProvisionUser, _: int) -> None:
        user = command.user
        if user in self.users:
            raise Taken("user")
        self.take(user, "name", command.name)
        if command.external_id:
            self.take(user, "external_id", command.external_id)
        self.users[user] = {"name": None, "external_id": None, "profile": command.profile, "active": command.active}
        self.has(user, "name", command.name)
        if command.external_id:
            self.has(user, "external_id", command.external_id)

    def ReviseUser(self, command: ReviseUser, _: int) -> None:
        state = self.user(command.user)
        if command.name:
            self.take(command.user, "name", command.name)
        if command.external_id:
            self.take(command.user, "external_id", command.external_id)
        if command.active is False and state["active"]:
            self.must_not_be_last(command.user)
        if command.name:
            self.has(command.user, "name", command.name)
        if command.external_id or command.forget_external_id:
            self.has(command.user, "external_id", command.external_id)
        state["profile"] = command.profile or state["profile"]
        state["active"] = state["active"] if command.active is None else command.active

    def RenameUser(self, command: Any, now: int) -> None:
        self.ReviseUser(ReviseUser(command.user, command.name), now)

    def ChangeProfile(self, command: Any, now: int) -> None:
        self.ReviseUser(ReviseUser(command.user, profile=command.profile), now)

    def DeactivateUser(self, command: Any, now: int) -> None:
        self.ReviseUser(ReviseUser(command.user, active=False), now)

    def ReactivateUser(self, command: Any, now: int) -> None:
        self.ReviseUser(ReviseUser(command.user, active=True), now)

    def DeleteUser(self, command: DeleteUser, _: int) -> None:
        self.user(command.user)
        self.must_not_be_last(command.user)
        self.users[command.user] = GONE
        self.members = {(group, member) for group, member in self.members if member != command.user}
        self.held = {(role, who): end for (role, who), end in self.held.items() if who != command.user}
        self.targets = {(flag, who): told for (flag, who), told in self.targets.items() if who != command.user}

    def EraseUser(self, command: EraseUser, now: int) -> None:
        user = command.user
        if self.users.get(user, "erased") == "erased":
            raise Missing("user")
        if self.users[user] != GONE:
            self.DeleteUser(DeleteUser(user), now)
        self.users[user] = "erased"
        states = self.living().values()
        kept = {state[what].handle for state in states for what in ("name", "external_id") if state[what]}
        self.erased_handles |= set(self.ever[user]) - kept

    # Groups

    def group(self, group: str) -> dict[str, Any]:
        if self.groups.get(group, GONE) == GONE:
            raise Missing("group")
        state: dict[str, Any] = self.groups[group]
        return state

    def CreateGroup(self, command: CreateGroup, _: int) -> None:
        if command.group in self.groups:
            raise Taken("group")
        for member in command.members:
            self.user(member)
        self.groups[command.group] = {"name": command.display_name}
        self.members |= {(command.group, member) for member in command.members}

    def RenameGroup(self, command: RenameGroup, _: int) -> None:
        state = self.group(command.group)
        if not command.display_name.same_as(state["name"]):
            state["name"] = command.display_name

    def ReviseGroup(self, command: ReviseGroup, _: int) -> None:
        self.group(command.group)
        current = {member for group, member in self.members if group == command.group}
        add = set(command.add if command.members is None else command.members)
        remove = set(command.remove) if command.members is None else current
        for member in add:
            self.user(member)
        self.members -= {(command.group, member) for member in remove - add}
        self.members |= {(command.group, member) for member in add}

    def AddMember(self, command: AddMember, now: int) -> None:
        self.ReviseGroup(ReviseGroup(command.group, add=(command.member,)), now)

    def RemoveMember(self, command: RemoveMember, now: int) -> None:
        self.ReviseGroup(ReviseGroup(command.group, remove=(command.member,)), now)

    def DeleteGroup(self, command: DeleteGroup, _: int) -> None:
        self.group(command.group)
        self.groups[command.group] = GONE
        self.members = {(group, member) for group, member in self.members if group != command.group}
        self.held = {(role, who): end for (role, who), end in self.held.items() if who != command.group}

    # Roles

    def role(self, role: str) -> dict[str, Any]:
        if self.roles.get(role, GONE) == GONE:
            raise Missing("role")
        state: dict[str, Any] = self.roles[role]
        return state

    def DefineRole(self, command: DefineRole, _: int) -> None:
        if command.role in self.roles:
            raise Taken("role")
        if command.name in {state["name"] for state in self.roles.values() if state != GONE}:
            raise Taken("name")
        self.roles[command.role] = {"name": command.name, "permissions": command.permissions}

    def ChangeRole(self, command: ChangeRole, _: int) -> None:
        self.role(command.role)["permissions"] = command.permissions

    def RetireRole(self, command: RetireRole, _: int) -> None:
        self.role(command.role)
        self.roles[command.role] = GONE
        self.held = {(role, who): end for (role, who), end in self.held.items() if role != command.role}

    def AssignRole(self, command: AssignRole, now: int) -> None:
        if command.role == OWNER:
            if command.subject.startswith("grp") or command.expires_at is not None:
                raise Refused("owner")
        else:
            self.role(command.role)
        if command.subject not in self.living() and self.groups.get(command.subject, GONE) == GONE:
            raise Missing("subject")
        if command.expires_at is not None and command.expires_at <= now:
            raise Refused("past")
        self.held[command.role, command.subject] = command.expires_at

    def WithdrawRole(self, command: WithdrawRole, now: int) -> None:
        held = command.role, command.subject
        if held in self.held and (self.held[held] or now + 1) > now:
            if command.role == OWNER:
                self.must_not_be_last(command.subject)
            del self.held[held]

    def ExpireAssignment(self, command: ExpireAssignment, now: int) -> None:
        held = command.role, command.subject
        if (self.held.get(held) or now + 1) <= now:
            del self.held[held]

    # Keys

    def IssueApiKey(self, command: IssueApiKey, _: int) -> None:
        if command.credential in self.keys:
            raise Taken("key")
        if command.holder.startswith("usr") and not self.living().get(command.holder, {}).get("active"):
            raise Refused("holder")
        self.keys[command.credential] = {"holder": command.holder, "hash": command.secret_hash, "revoked": False}

    def RotateApiKey(self, command: RotateApiKey, _: int) -> None:
        key = self.keys.get(command.credential)
        if key is None or key["revoked"] or (key["holder"].startswith("usr") and key["holder"] not in self.living()):
            raise Missing("key")
        key["hash"] = command.secret_hash

    def RevokeApiKey(self, command: RevokeApiKey, _: int) -> None:
        if command.credential not in self.keys:
            raise Missing("key")
        self.keys[command.credential]["revoked"] = True

    # Flags

    def flag(self, flag: str) -> dict[str, Any]:
        if self.flags.get(flag, GONE) == GONE:
            raise Missing("flag")
        state: dict[str, Any] = self.flags[flag]
        return state

    def DefineFlag(self, command: DefineFlag, _: int) -> None:
        if command.flag in self.flags:
            raise Taken("flag")
        if command.key in {state["key"] for state in self.flags.values() if state != GONE}:
            raise Taken("key")
        self.flags[command.flag] = {"key": command.key, "default": command.default_variant, "on": True}

    def ChangeFlagDefault(self, command: ChangeFlagDefault, _: int) -> None:
        self.flag(command.flag)["default"] = command.variant

    def SwitchFlagOff(self, command: SwitchFlagOff, _: int) -> None:
        self.flag(command.flag)["on"] = False

    def SwitchFlagOn(self, command: SwitchFlagOn, _: int) -> None:
        self.flag(command.flag)["on"] = True

    def TargetFlag(self, command: TargetFlag, _: int) -> None:
        self.flag(command.flag)
        if command.variant is None:
            self.targets.pop((command.flag, command.subject), None)
            return
        if command.subject.startswith("usr"):
            self.user(command.subject)
        self.targets[command.flag, command.subject] = command.variant

    def ArchiveFlag(self, command: ArchiveFlag, _: int) -> None:
        self.flag(command.flag)
        self.flags[command.flag] = GONE
        self.targets = {(flag, who): told for (flag, who), told in self.targets.items() if flag != command.flag}
