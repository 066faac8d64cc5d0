"""A user: a person known to a tenant, with a name that is unique there."""

from typing import Final, assert_never

import msgspec

from domain.access.owners import KnownOwners, is_owner
from domain.boundary import Boundary, Tally, about
from domain.command import Command, Decider, Latest, Missing, Taken
from domain.directory.feeds import life_of_directory
from domain.directory.life import (
    SubjectErased,
    UserDeactivated,
    UserDeleted,
    UserProvisioned,
    UserReactivated,
    life_of_user,
)
from domain.directory.unique import Unique as Unique
from domain.directory.unique import UniqueValues
from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import DirectoryId, Handle, UserId

MOST_HANDLES: Final = 6
"""As many as one SubjectErased names: each is a tag, and who caused the event needs tags too."""


class UserProfileChanged(Event):
    """The whole profile as it is from now on."""

    user: UserId
    display_name: Sealed | None
    given_name: Sealed | None
    family_name: Sealed | None
    email: Sealed | None
    attributes: Sealed | None


class UserRenamed(Event):
    user: UserId
    user_name: Sealed
    user_name_handle: Handle
    former_handle: Handle


class UserExternalIdChanged(Event):
    """What the person's directory calls them from now on; None if it has no word for them."""

    user: UserId
    external_id: Sealed | None
    external_id_handle: Handle | None
    former_handle: Handle | None


class Profile(msgspec.Struct, frozen=True):
    """What a tenant knows of a person, all of it sealed; `attributes` holds the rest of the SCIM resource as JSON."""

    display_name: Sealed | None = None
    given_name: Sealed | None = None
    family_name: Sealed | None = None
    email: Sealed | None = None
    attributes: Sealed | None = None


class ProvisionUser(Command):
    permission = "users:manage"
    user: UserId
    name: Unique
    profile: Profile = Profile()
    directory: DirectoryId | None = None
    external_id: Unique | None = None
    active: bool = True

    def boundary(self) -> Boundary:
        wanted = life_of_user(self.user) | holder_of(self.name.handle)
        if self.external_id:
            wanted |= holder_of(self.external_id.handle)
        return wanted | life_of_directory(self.directory) if self.directory else wanted


class ReviseUser(Command):
    """Everything about a user at once, as a directory sends it; what is None stays as it is."""

    permission = "users:manage"
    user: UserId
    name: Unique | None = None
    profile: Profile | None = None
    external_id: Unique | None = None
    forget_external_id: bool = False
    active: bool | None = None

    def boundary(self) -> Boundary:
        wanted = life_of_user(self.user) | names_of(self.user) | about(self.user, UserProfileChanged)
        for unique in (self.name, self.external_id):
            if unique is not None:
                wanted |= holder_of(unique.handle)
        return wanted | is_owner(self.user) if self.active is False else wanted

    def then(self, known: "KnownUser") -> Boundary:
        return known.owners.others_than(self.user, known.tallies) if self.active is False else Boundary()


class ChangeProfile(Command):
    permission = "users:manage"
    user: UserId
    profile: Profile

    def boundary(self) -> Boundary:
        return life_of_user(self.user) | about(self.user, UserProfileChanged)


class RenameUser(Command):
    permission = "users:manage"
    user: UserId
    name: Unique

    def boundary(self) -> Boundary:
        return life_of_user(self.user) | names_of(self.user) | holder_of(self.name.handle)


class DeactivateUser(Command):
    permission = "users:manage"
    user: UserId

    def boundary(self) -> Boundary:
        return life_of_user(self.user) | is_owner(self.user)

    def then(self, known: "KnownUser") -> Boundary:
        return known.owners.others_than(self.user, known.tallies)


class ReactivateUser(Command):
    permission = "users:manage"
    user: UserId

    def boundary(self) -> Boundary:
        return life_of_user(self.user)


class DeleteUser(Command):
    permission = "users:manage"
    user: UserId

    def boundary(self) -> Boundary:
        return life_of_user(self.user) | names_of(self.user) | is_owner(self.user)

    def then(self, known: "KnownUser") -> Boundary:
        return known.owners.others_than(self.user, known.tallies)


class EraseUser(Command):
    """Delete the person if they still exist, and destroy the keys that open what was ever recorded of them."""

    permission = "users:erase"
    while_suspended = True
    while_deleted = True
    user: UserId

    def boundary(self) -> Boundary:
        ever = Boundary(tallies=(handles_ever_of(self.user),))
        return life_of_user(self.user) | names_of(self.user) | is_owner(self.user) | ever

    def then(self, known: "KnownUser") -> Boundary:
        return known.owners.others_than(self.user, known.tallies) | known.holders_of_all_handles()


UsersCommand = (
    ProvisionUser | ReviseUser | ChangeProfile | RenameUser | DeactivateUser | ReactivateUser | DeleteUser | EraseUser
)


def names_of(user: UserId) -> Boundary:
    """What a user is called."""
    return about(user, UserProvisioned, UserRenamed, UserExternalIdChanged)


def holder_of(handle: Handle) -> Boundary:
    """Who has a user name, or whom a directory's own id means."""
    return about(handle, UserProvisioned, UserRenamed, UserExternalIdChanged, UserDeleted, SubjectErased)


def handles_ever_of(user: UserId) -> Tally:
    """Every handle that ever stood for something of this user."""
    return Tally("handles", f"user:{user}", (UserProvisioned, UserRenamed, UserExternalIdChanged), dict, _note_handles)


def _note_handles(handles: dict[Handle, None], recorded: Recorded) -> None:
    match recorded.event:
        case UserProvisioned(user_name_handle=name, external_id_handle=external):
            handles.update(dict.fromkeys(each for each in (name, external) if each))
        case UserRenamed(user_name_handle=handle) | UserExternalIdChanged(external_id_handle=handle) if handle:
            handles[handle] = None


class KnownUser(KnownOwners):
    """Users' lives, names and profiles; who holds the values asked about; who else is an owner."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.names: UniqueValues[UserId] = UniqueValues("user", "user name")
        self.external_ids: UniqueValues[UserId] = UniqueValues("user", "external id")
        self.profiles: Latest[UserId, Profile] = Latest()
        self._asked_all = False

    def evolve(self, recorded: Recorded) -> None:
        super().evolve(recorded)
        match recorded.event:
            case UserProvisioned() as event:
                self._profile_is(event, recorded)
                self.names.taken(event.user, event.user_name, event.user_name_handle, None, recorded)
                self.external_ids.taken(event.user, event.external_id, event.external_id_handle, None, recorded)
            case UserProfileChanged() as event:
                self._profile_is(event, recorded)
            case UserRenamed(user, value, handle, former):
                self.names.taken(user, value, handle, former, recorded)
            case UserExternalIdChanged(user, value, handle, former):
                self.external_ids.taken(user, value, handle, former, recorded)
            case UserDeleted(_, name, external_id):
                self.names.freed(name, recorded)
                self.external_ids.freed(external_id, recorded)
            case SubjectErased(_, handles):
                self.names.erased(handles)
                self.external_ids.erased(handles)

    def _profile_is(self, event: UserProvisioned | UserProfileChanged, recorded: Recorded) -> None:
        profile = Profile(event.display_name, event.given_name, event.family_name, event.email, event.attributes)
        self.profiles.note(event.user, profile, recorded)

    def holders_of_all_handles(self) -> Boundary:
        """Who has now what the user in question ever had; asked once."""
        handles = () if self._asked_all else tuple(self.tallies["handles"])
        self._asked_all = True
        return Boundary(tuple(item for handle in handles for item in holder_of(handle).items))

    def handles_to_erase(self, user: UserId) -> list[Handle]:
        """All that ever stood for something of the user, but those that others have now."""
        of_others = (self.names.others_have, self.external_ids.others_have)
        return [handle for handle in self.tallies["handles"] if not any(have(handle, user) for have in of_others)]

    def exists(self, user: UserId) -> None:
        if not self.lives.user_exists(user):
            raise Missing("the user does not exist")


def decide(command: UsersCommand, known: KnownUser) -> list[Event]:
    match command:
        case ProvisionUser(user, name, _, directory, external_id):
            if user in known.lives.users:
                raise Taken("the user exists already")
            if directory and not known.lives.directory_exists(directory):
                raise Missing("the directory does not exist")
            known.names.must_be_free(name, user)
            if external_id:
                known.external_ids.must_be_free(external_id, user)
            return [_provisioned(command)]
        case ReviseUser(user):
            known.exists(user)
            return _revised(command, known)
        case ChangeProfile(user, profile):
            known.exists(user)
            return _profile_changed(user, profile, known)
        case RenameUser(user, name):
            known.exists(user)
            return _renamed(user, name, known)
        case DeactivateUser(user):
            known.exists(user)
            return _activity(user, False, known)
        case ReactivateUser(user):
            known.exists(user)
            return _activity(user, True, known)
        case DeleteUser(user):
            known.exists(user)
            return _deleted(user, known)
        case EraseUser(user):
            if known.lives.users.get(user, "erased") == "erased":
                raise Missing("the user does not exist, or is erased already")
            return _erased(user, known)
        case _:
            assert_never(command)


def _provisioned(command: ProvisionUser) -> UserProvisioned:
    profile, external = command.profile, command.external_id
    return UserProvisioned(
        command.user,
        command.name.value,
        command.name.handle,
        profile.display_name,
        profile.given_name,
        profile.family_name,
        profile.email,
        profile.attributes,
        command.directory,
        external.value if external else None,
        external.handle if external else None,
        command.active,
    )


def _revised(command: ReviseUser, known: KnownUser) -> list[Event]:
    events: list[Event] = []
    if command.name:
        events += _renamed(command.user, command.name, known)
    if command.external_id or command.forget_external_id:
        events += _external_id_changed(command.user, command.external_id, known)
    if command.profile:
        events += _profile_changed(command.user, command.profile, known)
    if command.active is not None:
        events += _activity(command.user, command.active, known)
    return events


def _renamed(user: UserId, name: Unique, known: KnownUser) -> list[Event]:
    known.names.must_be_free(name, user)
    current = known.names[user]
    if current is None or name.value.same_as(current.value):
        return []
    return [UserRenamed(user, name.value, name.handle, current.handle)]


def _external_id_changed(user: UserId, wanted: Unique | None, known: KnownUser) -> list[Event]:
    current = known.external_ids[user]
    if wanted is None:
        return [UserExternalIdChanged(user, None, None, current.handle)] if current else []
    known.external_ids.must_be_free(wanted, user)
    if current and wanted.value.same_as(current.value):
        return []
    return [UserExternalIdChanged(user, wanted.value, wanted.handle, current.handle if current else None)]


def _profile_changed(user: UserId, wanted: Profile, known: KnownUser) -> list[Event]:
    current = known.profiles[user]
    same = all(
        (new is None and old is None) or (new is not None and new.same_as(old))
        for new, old in zip(msgspec.structs.astuple(wanted), msgspec.structs.astuple(current), strict=True)
    )
    return [] if same else [UserProfileChanged(user, *msgspec.structs.astuple(wanted))]


def _activity(user: UserId, active: bool, known: KnownUser) -> list[Event]:
    if active == (known.lives.users[user] == "active"):
        return []
    if active:
        return [UserReactivated(user)]
    known.owners.may_lose(user, known.lives)
    return [UserDeactivated(user)]


def _deleted(user: UserId, known: KnownUser) -> list[Event]:
    if not known.tenant_deleted:
        known.owners.may_lose(user, known.lives)
    name, external_id = known.names[user], known.external_ids[user]
    return [UserDeleted(user, name.handle, external_id.handle if external_id else None)] if name else []


def _erased(user: UserId, known: KnownUser) -> list[Event]:
    events = _deleted(user, known) if known.lives.user_exists(user) else []
    mine = known.handles_to_erase(user)
    chunks = [mine[start : start + MOST_HANDLES] for start in range(0, len(mine), MOST_HANDLES)] or [[]]
    return [*events, *(SubjectErased(user, tuple(chunk)) for chunk in chunks)]


decider = Decider(
    commands=(
        ProvisionUser,
        ReviseUser,
        ChangeProfile,
        RenameUser,
        DeactivateUser,
        ReactivateUser,
        DeleteUser,
        EraseUser,
    ),
    begin=KnownUser,
    decide=decide,
)
