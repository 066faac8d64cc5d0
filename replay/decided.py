"""A decision as it was recorded with an event: who asked, by what, for what, when, and what was answered."""

from typing import Final

import msgspec

from domain.event import Entry, Instant
from domain.ids import DEPLOYMENT, TenantId
from domain.ledger import CommandRefused, RefusalsSummarised

_MILLISECOND: Final = 1_000


class Decided(msgspec.Struct, frozen=True):
    """`allowed` is None where what was recorded does not say (a summary of refusals)."""

    allowed: bool | None
    because: str | None
    """What the caller was told, if they were refused."""
    kind: str | None
    """NotPermitted where access was refused; Refused, Missing or Taken where the rules refused; else None."""
    permission: str
    policies: tuple[str, ...]
    position: int
    """How far the tenant's history was known to whoever decided."""
    at: Instant
    """When, to the millisecond."""
    id: str


def decided(entry: Entry) -> Decided:
    """What an event says of the decision that let it be recorded."""
    meta = entry.meta
    allowed: bool | None = True
    because: str | None = None
    kind: str | None = None
    match entry.event:
        case CommandRefused(kind=kind, reason=because):
            allowed = kind != "NotPermitted"
        case RefusalsSummarised(reason=because):
            allowed = None
    return Decided(
        allowed,
        because,
        kind,
        meta.authority_permission,
        meta.authority_policies,
        meta.authority_position,
        decided_at(meta.authority_decision, entry.instant),
        meta.authority_decision,
    )


def decided_at(decision: str, recorded: Instant) -> Instant:
    """When a decision was taken: its id says, to the millisecond; never after what followed from it was recorded."""
    digits = decision[4:16]
    try:
        made = int(digits, 16) * _MILLISECOND if decision.startswith("dec_") and len(digits) == 12 else recorded
    except ValueError:
        made = recorded
    return Instant(min(made, recorded))


def whose(entry: Entry) -> TenantId:
    """In whose history the credential is: operators' are the deployment's."""
    return DEPLOYMENT if entry.meta.actor_kind == "operator" else entry.tenant


def by_the_node(entry: Entry) -> bool:
    """Whether the node itself acted, by its own rules, and no credential was asked for."""
    return entry.meta.actor_kind == "system" and entry.meta.credential_id is None


def in_the_deployment(at: Instant, recorded: Instant) -> Instant:
    """The instant up to which the deployment's history counts for a decision in a tenant, taken at an instant."""
    return Instant(min(recorded, at + _MILLISECOND - 1))
