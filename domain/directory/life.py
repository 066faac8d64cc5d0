"""The life of a person and of a group: the events that say whether they are there, which other capabilities ask too."""

from domain.boundary import Boundary, about
from domain.command import Latest
from domain.directory.feeds import DirectoryCreated, DirectoryRemoved
from domain.event import Event, Recorded, Sealed
from domain.ids import DirectoryId, GroupId, Handle, UserId


class UserProvisioned(Event):
    user: UserId
    user_name: Sealed
    user_name_handle: Handle
    display_name: Sealed | None = None
    given_name: Sealed | None = None
    family_name: Sealed | None = None
    email: Sealed | None = None
    attributes: Sealed | None = None
    directory: DirectoryId | None = None
    external_id: Sealed | None = None
    external_id_handle: Handle | None = None
    active: bool = True


class UserDeactivated(Event):
    user: UserId


class UserReactivated(Event):
    user: UserId


class UserDeleted(Event):
    """The names are free again."""

    user: UserId
    user_name_handle: Handle
    external_id_handle: Handle | None


class SubjectErased(Event):
    """The keys that open what was recorded of the person are destroyed; so is what the handles stood for."""

    user: UserId
    handles: tuple[Handle, ...]


class GroupCreated(Event):
    group: GroupId
    display_name: Sealed
    directory: DirectoryId | None = None
    external_id: Sealed | None = None
    external_id_handle: Handle | None = None


class GroupDeleted(Event):
    """It has no members from here on."""

    group: GroupId
    external_id_handle: Handle | None = None


def life_of_user(user: UserId) -> Boundary:
    """Whether a user exists, is active, is erased."""
    return about(user, UserProvisioned, UserDeactivated, UserReactivated, UserDeleted, SubjectErased)


def life_of_group(group: GroupId) -> Boundary:
    """Whether a group exists."""
    return about(group, GroupCreated, GroupDeleted)


class Lives:
    """Who exists, as far as has been asked."""

    def __init__(self) -> None:
        self.users: Latest[UserId, str] = Latest()
        """active, inactive, deleted or erased"""
        self.groups: Latest[GroupId, str] = Latest()
        """active or deleted"""
        self.directories: Latest[DirectoryId, str] = Latest()
        """active or removed"""

    def evolve(self, recorded: Recorded) -> None:
        match recorded.event:
            case UserProvisioned(user=user, active=active):
                self.users.note(user, "active" if active else "inactive", recorded)
            case UserDeactivated(user=user):
                self.users.note(user, "inactive", recorded)
            case UserReactivated(user=user):
                self.users.note(user, "active", recorded)
            case UserDeleted(user=user):
                self.users.note(user, "deleted", recorded)
            case SubjectErased(user=user):
                self.users.note(user, "erased", recorded)
            case GroupCreated(group=group):
                self.groups.note(group, "active", recorded)
            case GroupDeleted(group=group):
                self.groups.note(group, "deleted", recorded)
            case DirectoryCreated(directory=directory):
                self.directories.note(directory, "active", recorded)
            case DirectoryRemoved(directory=directory):
                self.directories.note(directory, "removed", recorded)

    def user_exists(self, user: UserId) -> bool:
        return self.users.get(user) in ("active", "inactive")

    def group_exists(self, group: GroupId) -> bool:
        return self.groups.get(group) == "active"

    def directory_exists(self, directory: DirectoryId) -> bool:
        return self.directories.get(directory) == "active"
