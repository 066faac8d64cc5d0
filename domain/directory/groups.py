"""A group: a named set of users inside one tenant."""

from typing import assert_never

from domain.boundary import Boundary, Tally, about, edge
from domain.command import Command, Decider, Known, Missing, Taken
from domain.directory.life import GroupCreated, GroupDeleted, Lives, life_of_group, life_of_user
from domain.directory.users import Unique
from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import DirectoryId, GroupId, Handle, UserId


class GroupRenamed(Event):
    group: GroupId
    display_name: Sealed


class GroupExternalIdChanged(Event):
    """What the group's directory calls it from now on; None if it has no word for it."""

    group: GroupId
    external_id: Sealed | None
    external_id_handle: Handle | None
    former_handle: Handle | None


class MemberAdded(Event):
    edges = (("member", "group", "member"),)
    group: GroupId
    member: UserId


class MemberRemoved(Event):
    edges = (("member", "group", "member"),)
    group: GroupId
    member: UserId


class CreateGroup(Command):
    permission = "groups:manage"
    group: GroupId
    display_name: Sealed
    directory: DirectoryId | None = None
    external_id: Unique | None = None
    members: tuple[UserId, ...] = ()

    def boundary(self) -> Boundary:
        wanted = life_of_group(self.group) | lives_of(self.members)
        return wanted | holder_of_group(self.external_id.handle) if self.external_id else wanted


class RenameGroup(Command):
    permission = "groups:manage"
    group: GroupId
    display_name: Sealed

    def boundary(self) -> Boundary:
        return life_of_group(self.group) | names_of_group(self.group)


class ReviseGroup(Command):
    """Several changes of a group at once, as a directory sends them: all of them or none.

    `members`, if given, is the exact set from now on; `add` and `remove` change the set there is.
    """

    permission = "groups:manage"
    group: GroupId
    display_name: Sealed | None = None
    external_id: Unique | None = None
    forget_external_id: bool = False
    members: tuple[UserId, ...] | None = None
    add: tuple[UserId, ...] = ()
    remove: tuple[UserId, ...] = ()

    def boundary(self) -> Boundary:
        wanted = life_of_group(self.group) | names_of_group(self.group)
        if self.external_id:
            wanted |= holder_of_group(self.external_id.handle)
        if self.members is not None:
            tallies = Boundary(tallies=(every_member_of(self.group),))
            return wanted | tallies | lives_of(self.members)
        return wanted | edges_of(self.group, self.add + self.remove) | lives_of(self.add)


class DeleteGroup(Command):
    permission = "groups:manage"
    group: GroupId

    def boundary(self) -> Boundary:
        return life_of_group(self.group) | names_of_group(self.group)


class AddMember(Command):
    permission = "groups:manage"
    group: GroupId
    member: UserId

    def boundary(self) -> Boundary:
        return life_of_group(self.group) | lives_of((self.member,)) | edges_of(self.group, (self.member,))


class RemoveMember(Command):
    permission = "groups:manage"
    group: GroupId
    member: UserId

    def boundary(self) -> Boundary:
        return life_of_group(self.group) | edges_of(self.group, (self.member,))


GroupsCommand = CreateGroup | RenameGroup | ReviseGroup | DeleteGroup | AddMember | RemoveMember


def names_of_group(group: GroupId) -> Boundary:
    """What a group is called."""
    return about(group, GroupRenamed, GroupExternalIdChanged)


def holder_of_group(handle: Handle) -> Boundary:
    """Which group a directory's own id means."""
    return about(handle, GroupCreated, GroupExternalIdChanged, GroupDeleted)


def lives_of(members: tuple[UserId, ...]) -> Boundary:
    """Whether each of these exists."""
    return Boundary(tuple(item for member in members for item in life_of_user(member).items))


def edges_of(group: GroupId, members: tuple[UserId, ...]) -> Boundary:
    """Whether each of these is a member."""
    return Boundary(
        tuple(item for member in members for item in edge("member", group, member, MemberAdded, MemberRemoved).items)
    )


def _note_member(members: dict[UserId, None], recorded: Recorded) -> None:
    match recorded.event:
        case MemberAdded(member=member):
            members[member] = None
        case MemberRemoved(member=member):
            members.pop(member, None)


def every_member_of(group: GroupId) -> Tally:
    """All members, for the one question that needs them: which ones an exact set leaves out."""
    return Tally("members", f"group:{group}", (MemberAdded, MemberRemoved), dict, _note_member)


class KnownGroup(Known):
    """A group's life and names, and which of the users asked about are members."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.lives = Lives()
        self.display_name: Sealed | None = None
        self.external_id: Unique | None = None
        self.holders: dict[Handle, GroupId | None] = {}
        self.members: set[UserId] = set()

    def evolve(self, recorded: Recorded) -> None:
        self.lives.evolve(recorded)
        match recorded.event:
            case GroupCreated(group, name, _, external_id, handle):
                self.display_name = name
                self.external_id = Unique(external_id, handle) if external_id and handle else None
                if handle:
                    self.holders[handle] = group
            case GroupRenamed(_, name):
                self.display_name = name
            case GroupExternalIdChanged(group, external_id, handle, former):
                self.external_id = Unique(external_id, handle) if external_id and handle else None
                if former:
                    self.holders[former] = None
                if handle:
                    self.holders[handle] = group
            case GroupDeleted(_, handle) if handle:
                self.holders[handle] = None
            case MemberAdded(_, member):
                self.members.add(member)
            case MemberRemoved(_, member):
                self.members.discard(member)

    def exists(self, group: GroupId) -> None:
        if not self.lives.group_exists(group):
            raise Missing("the group does not exist")

    def users_exist(self, members: tuple[UserId, ...]) -> None:
        for member in members:
            if not self.lives.user_exists(member):
                raise Missing("a member does not exist: each must be a user of this tenant")

    def is_free(self, unique: Unique, group: GroupId) -> None:
        if self.holders.get(unique.handle) not in (None, group):
            raise Taken("another group of this directory has this external id")


def decide(command: GroupsCommand, known: KnownGroup) -> list[Event]:
    match command:
        case CreateGroup(group, name, directory, external_id, members):
            if group in known.lives.groups:
                raise Taken("the group exists already")
            if external_id:
                known.is_free(external_id, group)
            known.users_exist(members)
            value, handle = (external_id.value, external_id.handle) if external_id else (None, None)
            created = GroupCreated(group, name, directory, value, handle)
            return [created, *(MemberAdded(group, member) for member in dict.fromkeys(members))]
        case RenameGroup(group, name):
            known.exists(group)
            return _renamed(group, name, known)
        case ReviseGroup(group):
            known.exists(group)
            return _revised(command, known)
        case DeleteGroup(group):
            known.exists(group)
            return [GroupDeleted(group, known.external_id.handle if known.external_id else None)]
        case AddMember(group, member):
            known.exists(group)
            known.users_exist((member,))
            return [] if member in known.members else [MemberAdded(group, member)]
        case RemoveMember(group, member):
            known.exists(group)
            return [MemberRemoved(group, member)] if member in known.members else []
        case _:
            assert_never(command)


def _renamed(group: GroupId, name: Sealed, known: KnownGroup) -> list[Event]:
    return [] if name.same_as(known.display_name) else [GroupRenamed(group, name)]


def _revised(command: ReviseGroup, known: KnownGroup) -> list[Event]:
    group = command.group
    events: list[Event] = []
    if command.display_name:
        events += _renamed(group, command.display_name, known)
    if command.external_id or command.forget_external_id:
        events += _external_id_changed(group, command.external_id, known)
    if command.members is None:
        add, remove, current = command.add, command.remove, known.members
    else:
        current = known.tallies["members"].keys()
        add, remove = command.members, tuple(current - set(command.members))
    known.users_exist(add)
    events += [MemberRemoved(group, member) for member in dict.fromkeys(remove) if member in current]
    events += [MemberAdded(group, member) for member in dict.fromkeys(add) if member not in current]
    return events


def _external_id_changed(group: GroupId, wanted: Unique | None, known: KnownGroup) -> list[Event]:
    current = known.external_id
    former = current.handle if current else None
    if wanted is None:
        return [GroupExternalIdChanged(group, None, None, former)] if current else []
    known.is_free(wanted, group)
    if current and wanted.value.same_as(current.value):
        return []
    return [GroupExternalIdChanged(group, wanted.value, wanted.handle, former)]


decider = Decider(
    commands=(CreateGroup, RenameGroup, ReviseGroup, DeleteGroup, AddMember, RemoveMember),
    begin=KnownGroup,
    decide=decide,
)
