"""A group: a named set of users inside one tenant."""

from typing import assert_never

from domain.boundary import Boundary, Tally, about, edge
from domain.command import Command, Decider, Known, Latest, Missing, Taken
from domain.directory.feeds import life_of_directory
from domain.directory.life import GroupCreated, GroupDeleted, Lives, life_of_group, life_of_user
from domain.directory.unique import Unique, UniqueValues
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
    ends_with = "member"
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
        if self.external_id:
            wanted |= holder_of_group(self.external_id.handle)
        return wanted | life_of_directory(self.directory) if self.directory else wanted


class RenameGroup(Command):
    permission = "groups:manage"
    group: GroupId
    display_name: Sealed

    def boundary(self) -> Boundary:
        return life_of_group(self.group) | names_of_group(self.group)


class ReviseGroup(Command):
    """Several changes of a group at once, as a directory sends them: all of them or none.

    `members`, if given, is the exact set from now on; `add` and `remove` change the set there is. Who is in both is
    added.
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
        return wanted | edges_of(self.group, self.add + self.remove) | lives_of(self.add + self.remove)

    def then(self, known: "KnownGroup") -> Boundary:
        if self.members is None:
            return Boundary()
        return lives_of(tuple(member for member in known.tallies["members"] if member not in known.lives.users))


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
        return life_of_group(self.group) | lives_of((self.member,)) | edges_of(self.group, (self.member,))


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
    """All who were added and not removed, for the one question that needs them: which ones an exact set leaves out."""
    return Tally("members", f"group:{group}", (MemberAdded, MemberRemoved), dict, _note_member)


class KnownGroup(Known):
    """Groups' lives and names, who holds the values asked about, and which of the users asked about are members."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.lives = Lives()
        self.display_names: Latest[GroupId, Sealed] = Latest()
        self.external_ids: UniqueValues[GroupId] = UniqueValues("group", "external id")
        self.added: set[UserId] = set()

    def evolve(self, recorded: Recorded) -> None:
        self.lives.evolve(recorded)
        match recorded.event:
            case GroupCreated(group, name, _, external_id, handle):
                self.display_names.note(group, name, recorded)
                self.external_ids.taken(group, external_id, handle, None, recorded)
            case GroupRenamed(group, name):
                self.display_names.note(group, name, recorded)
            case GroupExternalIdChanged(group, external_id, handle, former):
                self.external_ids.taken(group, external_id, handle, former, recorded)
            case GroupDeleted(_, handle):
                self.external_ids.freed(handle, recorded)
            case MemberAdded(_, member):
                self.added.add(member)
            case MemberRemoved(_, member):
                self.added.discard(member)

    def is_member(self, member: UserId) -> bool:
        """Whether a user was added and still exists: a membership ends with the user."""
        return member in self.added and self.lives.user_exists(member)

    def every_member(self) -> list[UserId]:
        return [member for member in self.tallies["members"] if self.lives.user_exists(member)]

    def exists(self, group: GroupId) -> None:
        if not self.lives.group_exists(group):
            raise Missing("the group does not exist")

    def users_exist(self, members: tuple[UserId, ...]) -> None:
        for member in members:
            if not self.lives.user_exists(member):
                raise Missing("a member does not exist: each must be a user of this tenant")


def decide(command: GroupsCommand, known: KnownGroup) -> list[Event]:
    match command:
        case CreateGroup(group, name, directory, external_id, members):
            if group in known.lives.groups:
                raise Taken("the group exists already")
            if directory and not known.lives.directory_exists(directory):
                raise Missing("the directory does not exist")
            if external_id:
                known.external_ids.must_be_free(external_id, group)
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
            held = known.external_ids[group]
            return [GroupDeleted(group, held.handle if held else None)]
        case AddMember(group, member):
            known.exists(group)
            known.users_exist((member,))
            return [] if known.is_member(member) else [MemberAdded(group, member)]
        case RemoveMember(group, member):
            known.exists(group)
            return [MemberRemoved(group, member)] if known.is_member(member) else []
        case _:
            assert_never(command)


def _renamed(group: GroupId, name: Sealed, known: KnownGroup) -> list[Event]:
    return [] if name.same_as(known.display_names[group]) else [GroupRenamed(group, name)]


def _revised(command: ReviseGroup, known: KnownGroup) -> list[Event]:
    group = command.group
    events: list[Event] = []
    if command.display_name:
        events += _renamed(group, command.display_name, known)
    if command.external_id or command.forget_external_id:
        events += _external_id_changed(group, command.external_id, known)
    return [*events, *_members_changed(command, known)]


def _members_changed(command: ReviseGroup, known: KnownGroup) -> list[Event]:
    if command.members is None:
        add = dict.fromkeys(command.add)
        current = {member for member in (*command.add, *command.remove) if known.is_member(member)}
        remove = dict.fromkeys(command.remove)
    else:
        add = dict.fromkeys(command.members)
        remove = dict.fromkeys(known.every_member())
        current = set(remove)
    known.users_exist(tuple(add))
    removed = [MemberRemoved(command.group, member) for member in remove if member in current and member not in add]
    added = [MemberAdded(command.group, member) for member in add if member not in current]
    return [*removed, *added]


def _external_id_changed(group: GroupId, wanted: Unique | None, known: KnownGroup) -> list[Event]:
    current = known.external_ids[group]
    former = current.handle if current else None
    if wanted is None:
        return [GroupExternalIdChanged(group, None, None, former)] if current else []
    known.external_ids.must_be_free(wanted, group)
    if current and wanted.value.same_as(current.value):
        return []
    return [GroupExternalIdChanged(group, wanted.value, wanted.handle, former)]


decider = Decider(
    commands=(CreateGroup, RenameGroup, ReviseGroup, DeleteGroup, AddMember, RemoveMember),
    begin=KnownGroup,
    decide=decide,
)
