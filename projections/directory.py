"""The directory as it is at a moment: users, groups, who is a member of what, and the feeds with their tokens."""

from collections.abc import Sequence

import msgspec

from domain.directory import feeds, groups, life, users
from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import CredentialId, DirectoryId, GroupId, Handle, UserId
from domain.view import Close, View


class UserRow(msgspec.Struct, frozen=True):
    """A user who exists. Whoever opens it finds nothing behind the sealed values once the person is erased."""

    user: UserId
    user_name: Sealed
    user_name_handle: Handle
    active: bool
    created_at: Instant
    changed_at: Instant
    display_name: Sealed | None = None
    given_name: Sealed | None = None
    family_name: Sealed | None = None
    email: Sealed | None = None
    attributes: Sealed | None = None
    directory: DirectoryId | None = None
    external_id: Sealed | None = None
    external_id_handle: Handle | None = None


class Users(View[UserRow]):
    name = "users"
    row = UserRow
    follows = (
        life.UserProvisioned,
        users.UserProfileChanged,
        users.UserRenamed,
        users.UserExternalIdChanged,
        life.UserDeactivated,
        life.UserReactivated,
        life.UserDeleted,
    )
    indexes = ("user_name_handle", "external_id_handle", "directory")

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.user,)  # type: ignore[attr-defined]

    def evolve(self, row: UserRow | None, recorded: Recorded) -> UserRow | None:
        at = recorded.instant
        match recorded.event:
            case life.UserProvisioned() as event:
                return UserRow(
                    event.user,
                    event.user_name,
                    event.user_name_handle,
                    event.active,
                    at,
                    at,
                    event.display_name,
                    event.given_name,
                    event.family_name,
                    event.email,
                    event.attributes,
                    event.directory,
                    event.external_id,
                    event.external_id_handle,
                )
            case life.UserDeleted():
                return None
            case _ if row is None:
                return None
            case users.UserProfileChanged() as event:
                return msgspec.structs.replace(
                    row,
                    display_name=event.display_name,
                    given_name=event.given_name,
                    family_name=event.family_name,
                    email=event.email,
                    attributes=event.attributes,
                    changed_at=at,
                )
            case users.UserRenamed(_, name, handle):
                return msgspec.structs.replace(row, user_name=name, user_name_handle=handle, changed_at=at)
            case users.UserExternalIdChanged(_, external_id, handle):
                return msgspec.structs.replace(row, external_id=external_id, external_id_handle=handle, changed_at=at)
            case life.UserDeactivated():
                return msgspec.structs.replace(row, active=False, changed_at=at)
            case life.UserReactivated():
                return msgspec.structs.replace(row, active=True, changed_at=at)
        return row


class GroupRow(msgspec.Struct, frozen=True):
    group: GroupId
    display_name: Sealed
    created_at: Instant
    changed_at: Instant
    directory: DirectoryId | None = None
    external_id: Sealed | None = None
    external_id_handle: Handle | None = None


class Groups(View[GroupRow]):
    name = "groups"
    row = GroupRow
    follows = (life.GroupCreated, groups.GroupRenamed, groups.GroupExternalIdChanged, life.GroupDeleted)
    indexes = ("external_id_handle", "directory")

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.group,)  # type: ignore[attr-defined]

    def evolve(self, row: GroupRow | None, recorded: Recorded) -> GroupRow | None:
        at = recorded.instant
        match recorded.event:
            case life.GroupCreated(group, name, directory, external_id, handle):
                return GroupRow(group, name, at, at, directory, external_id, handle)
            case life.GroupDeleted():
                return None
            case groups.GroupRenamed(_, name) if row:
                return msgspec.structs.replace(row, display_name=name, changed_at=at)
            case groups.GroupExternalIdChanged(_, external_id, handle) if row:
                return msgspec.structs.replace(row, external_id=external_id, external_id_handle=handle, changed_at=at)
        return row


class MemberRow(msgspec.Struct, frozen=True):
    group: GroupId
    member: UserId
    since: Instant


class Members(View[MemberRow]):
    """Keyed `group/member`. A group's end and a user's end are the membership's too."""

    name = "members"
    row = MemberRow
    follows = (groups.MemberAdded, groups.MemberRemoved, life.GroupDeleted, life.UserDeleted)
    indexes = ("group", "member")

    def concerns(self, event: Event) -> Sequence[str | Close]:
        match event:
            case groups.MemberAdded(group, member) | groups.MemberRemoved(group, member):
                return (f"{group}/{member}",)
            case life.GroupDeleted(group):
                return (Close("group", group),)
            case life.UserDeleted(user):
                return (Close("member", user),)
        return ()

    def evolve(self, row: MemberRow | None, recorded: Recorded) -> MemberRow | None:
        match recorded.event:
            case groups.MemberAdded(group, member):
                return row or MemberRow(group, member, recorded.instant)
        return None


class DirectoryRow(msgspec.Struct, frozen=True):
    directory: DirectoryId
    name: Sealed
    provider: str
    created_at: Instant


class Directories(View[DirectoryRow]):
    name = "directories"
    row = DirectoryRow
    follows = (feeds.DirectoryCreated, feeds.DirectoryRenamed, feeds.DirectoryRemoved)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.directory,)  # type: ignore[attr-defined]

    def evolve(self, row: DirectoryRow | None, recorded: Recorded) -> DirectoryRow | None:
        match recorded.event:
            case feeds.DirectoryCreated(directory, name, provider):
                return DirectoryRow(directory, name, provider, recorded.instant)
            case feeds.DirectoryRenamed(_, name) if row:
                return msgspec.structs.replace(row, name=name)
            case feeds.DirectoryRemoved():
                return None
        return row


class TokenRow(msgspec.Struct, frozen=True):
    credential: CredentialId
    directory: DirectoryId
    secret_hash: bytes
    issued_at: Instant
    expires_at: Instant | None = None


class Tokens(View[TokenRow]):
    name = "directory_tokens"
    row = TokenRow
    follows = (feeds.DirectoryTokenIssued, feeds.DirectoryTokenRevoked, feeds.DirectoryRemoved)
    indexes = ("directory",)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        match event:
            case feeds.DirectoryTokenIssued(credential) | feeds.DirectoryTokenRevoked(credential):
                return (credential,)
            case feeds.DirectoryRemoved(directory):
                return (Close("directory", directory),)
        return ()

    def evolve(self, row: TokenRow | None, recorded: Recorded) -> TokenRow | None:
        match recorded.event:
            case feeds.DirectoryTokenIssued(credential, directory, secret_hash, expires_at):
                return TokenRow(credential, directory, secret_hash, recorded.instant, expires_at)
        return None


USERS, GROUPS, MEMBERS, DIRECTORIES, TOKENS = Users(), Groups(), Members(), Directories(), Tokens()
