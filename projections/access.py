"""Access as it is at a moment: roles with their permissions, and who has them until when."""

from collections.abc import Sequence

import msgspec

from domain.access import owners, roles
from domain.directory import life
from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import RoleId
from domain.view import Close, View


class RoleRow(msgspec.Struct, frozen=True):
    role: RoleId
    name: str
    permissions: tuple[str, ...]
    created_at: Instant
    changed_at: Instant
    description: Sealed | None = None


class Roles(View[RoleRow]):
    """The roles that a tenant defined; the built-in ones are the same everywhere and always."""

    name = "roles"
    row = RoleRow
    follows = (roles.RoleDefined, roles.RoleChanged, roles.RoleRetired)
    indexes = ("name",)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.role,)  # type: ignore[attr-defined]

    def evolve(self, row: RoleRow | None, recorded: Recorded) -> RoleRow | None:
        at = recorded.instant
        match recorded.event:
            case roles.RoleDefined(role, name, permissions, description):
                return RoleRow(role, name, permissions, at, at, description)
            case roles.RoleChanged(_, permissions, description) if row:
                return msgspec.structs.replace(row, permissions=permissions, description=description, changed_at=at)
            case roles.RoleRetired():
                return None
        return row


class AssignmentRow(msgspec.Struct, frozen=True):
    """Whoever reads it leaves out what has expired at the moment asked about."""

    role: RoleId
    subject: str
    since: Instant
    expires_at: Instant | None = None


class Assignments(View[AssignmentRow]):
    """Keyed `role/subject`. The end of a role, user or group ends what hangs on it."""

    name = "assignments"
    row = AssignmentRow
    follows = (
        owners.RoleAssigned,
        owners.RoleWithdrawn,
        owners.AssignmentExpired,
        roles.RoleRetired,
        life.UserDeleted,
        life.GroupDeleted,
    )
    indexes = ("role", "subject")

    def concerns(self, event: Event) -> Sequence[str | Close]:
        match event:
            case (
                owners.RoleAssigned(role, subject)
                | owners.RoleWithdrawn(role, subject)
                | owners.AssignmentExpired(role, subject)
            ):
                return (f"{role}/{subject}",)
            case roles.RoleRetired(role):
                return (Close("role", role),)
            case life.UserDeleted(user):
                return (Close("subject", user),)
            case life.GroupDeleted(group):
                return (Close("subject", group),)
        return ()

    def evolve(self, row: AssignmentRow | None, recorded: Recorded) -> AssignmentRow | None:
        match recorded.event:
            case owners.RoleAssigned(role, subject, expires_at):
                return AssignmentRow(role, subject, recorded.instant, expires_at)
        return None


ROLES, ASSIGNMENTS = Roles(), Assignments()
