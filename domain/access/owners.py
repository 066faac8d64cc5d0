"""Owners: the people without whom a tenant would be nobody's; the last active one can't be removed by any way."""

from typing import Any, Final

from domain.boundary import Boundary, Tally, edge
from domain.command import Known, Refused
from domain.directory.life import Lives, life_of_user
from domain.event import Event, Instant, Recorded
from domain.ids import GroupId, RoleId, UserId

OWNER: Final = RoleId("rol_owner")
"""The built-in role of a tenant's owners. People hold it directly and without an end."""


class RoleAssigned(Event):
    ends_with = "subject"
    edges = (("assignment", "role", "subject"),)
    role: RoleId
    subject: UserId | GroupId
    expires_at: Instant | None = None


class RoleWithdrawn(Event):
    edges = (("assignment", "role", "subject"),)
    role: RoleId
    subject: UserId | GroupId


class AssignmentExpired(Event):
    """Said by a timer once the end has come; what decides is the end itself."""

    edges = (("assignment", "role", "subject"),)
    role: RoleId
    subject: UserId | GroupId
    expires_at: Instant


def assignment(role: RoleId, subject: str) -> Boundary:
    """Whether a subject has a role."""
    return edge("assignment", role, subject, RoleAssigned, RoleWithdrawn, AssignmentExpired)


def is_owner(user: UserId) -> Boundary:
    """Whether a user is an owner."""
    return assignment(OWNER, user)


def _note_owner(owners: dict[str, None], recorded: Recorded) -> None:
    match recorded.event:
        case RoleAssigned(subject=subject):
            owners[subject] = None
        case RoleWithdrawn(subject=subject):
            owners.pop(subject, None)


EVERY_OWNER: Final = Tally("owners", f"role:{OWNER}", (RoleAssigned, RoleWithdrawn), dict, _note_owner)


class Owners:
    """Whether the user in question is an owner, and who else is."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.everyone: dict[UserId, None] | None = None

    def evolve(self, recorded: Recorded) -> None:
        match recorded.event:
            case RoleAssigned(role, subject) if role == OWNER:
                self.asked.add(subject)
            case RoleWithdrawn(role, subject) if role == OWNER:
                self.asked.discard(subject)

    def others_than(self, user: UserId, tallies: dict[str, Any]) -> Boundary:
        """What must be seen before this user may stop being an owner."""
        if user not in self.asked:
            return Boundary()
        if "owners" not in tallies:
            return Boundary(tallies=(EVERY_OWNER,))
        if self.everyone is not None:
            return Boundary()
        self.everyone = dict(tallies["owners"])
        return Boundary(tuple(item for other in self.everyone if other != user for item in life_of_user(other).items))

    def may_lose(self, user: UserId, lives: Lives) -> None:
        """Raises Refused if the user is the last active owner."""
        if user not in self.asked or lives.users.get(user) != "active":
            return
        if not any(lives.users.get(other) == "active" for other in self.everyone or () if other != user):
            raise Refused("this is the tenant's last active owner; make somebody else an owner first")


class KnownOwners(Known):
    """Lives and owners, as several capabilities ask for them."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.lives = Lives()
        self.owners = Owners()

    def evolve(self, recorded: Recorded) -> None:
        self.lives.evolve(recorded)
        self.owners.evolve(recorded)
