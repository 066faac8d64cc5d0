"""What a recorded event handed on to others, judged again by the rules for handing on."""

from typing import Final

from domain import agents
from domain.access import roles
from domain.access.check import DEPLOYMENT_PERMISSIONS, DIRECTORY_PERMISSIONS, TENANT_PERMISSIONS
from domain.access.handing import Given, Giver, Handing, objection
from domain.access.owners import RoleAssigned
from domain.directory.feeds import DirectoryTokenIssued
from domain.directory.groups import MemberAdded
from domain.event import Event
from domain.ids import UserId, is_id
from replay.standing import VIEWS, Standing, permitted_by

HANDING: Final = frozenset(
    {agents.ApiKeyIssued, DirectoryTokenIssued, RoleAssigned, MemberAdded, roles.RoleDefined, roles.RoleChanged}
)
"""The events that give something to others."""
BEYOND: Final = "its giver may not do all that was handed on"
_OURS: Final = TENANT_PERMISSIONS | DEPLOYMENT_PERMISSIONS


def objection_to(
    event: Event, giver: Standing, there: Standing, credential: str, permission: str, at: int
) -> str | None:
    """Why an event's giver might not have handed this on; None if they might, or the event hands nothing on.

    `giver` holds the credential; `there` is the tenant in which something is given.
    """
    handing = _handing(event, there, at)
    found = giver.credential(credential) if handing else None
    if handing is None or found is None or found.directory is not None:
        return None
    return objection(Giver(found.subject, found.actor_id, permission, found.expires_at), handing, _OURS, at)


def _handing(event: Event, there: Standing, at: int) -> Handing | None:
    match event:
        case agents.ApiKeyIssued(holder=holder, permissions=permissions, expires_at=end):
            person = UserId(holder) if is_id(holder, "usr") else None
            return Handing((Given(frozenset(permissions), end),), BEYOND, holder=person)
        case DirectoryTokenIssued(expires_at=end):
            return Handing((Given(DIRECTORY_PERMISSIONS, end),), BEYOND)
        case RoleAssigned(role=role, expires_at=end):
            return Handing((Given(permitted_by(there, role), end),), BEYOND)
        case MemberAdded(group=group):
            found = [row for _, row in there.rows.find(VIEWS.assignments, "subject", group)]
            held = [each for each in found if each.expires_at is None or each.expires_at > at]
            return Handing(tuple(Given(permitted_by(there, each.role), each.expires_at) for each in held), BEYOND)
        case roles.RoleDefined(permissions=permissions):
            return Handing((), BEYOND, within=frozenset(permissions))
        case roles.RoleChanged(role=role, permissions=permissions):
            before, wanted = permitted_by(there, role), frozenset(permissions)
            added = wanted - before
            return Handing((Given(added),) if added else (), BEYOND, within=before | wanted)
    return None
