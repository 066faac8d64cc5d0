"""Handing on: nobody gives more than they have, nor for longer, nor in another's name.

Keys, roles, tokens and memberships are given; all of them are judged by the same rules.
"""

from typing import Final

import msgspec

from domain.access.check import Subject, all_permissions, end_of
from domain.access.owners import OWNER
from domain.boundary import Item
from domain.ids import UserId

FORMER: Final = (
    "this secret was replaced when its key was rotated, and hands nothing on; use the key's new one,"
    " or have somebody rotate the key who may"
)
OUTLASTS: Final = (
    "what is handed on can't outlast its giver: give it an end no later than that of your key and your roles,"
    " or ask somebody whose own have none"
)
ANOTHERS: Final = (
    "whoever has a user's key acts in their name: ask the user, an owner of the tenant or an operator,"
    " or leave the holder out"
)


class Given(msgspec.Struct, frozen=True):
    """Permissions that somebody gets, until when."""

    permissions: frozenset[str]
    until: int | None = None


class Handing(msgspec.Struct, frozen=True):
    """What a command would give to others, as it is now."""

    given: tuple[Given, ...]
    beyond: str
    """What a giver who has less is told."""
    within: frozenset[str] = frozenset()
    """What the giver must have too, although nobody gets it anew."""
    holder: UserId | None = None
    """In whose name the receiver will act, if in a user's."""
    depends: tuple[Item, ...] = ()
    """What would make it something else."""


class Giver(msgspec.Struct, frozen=True):
    """Who gives: by which credential of whose, and under which permission."""

    subject: Subject
    actor: str
    permission: str
    expires_at: int | None = None
    former: bool = False


def objection(giver: Giver, handing: Handing, ours: frozenset[str], at: int) -> str | None:
    """Why it may not be handed on; None if it may. Of permissions that are not `ours`, anybody may hand on any."""
    if giver.subject.operator or not (handing.given or handing.within):
        return None
    if giver.former:
        return FORMER
    if handing.holder is not None and giver.actor != handing.holder and not _is_owner(giver.subject, at):
        return ANOTHERS
    needed = handing.within.union(*(each.permissions for each in handing.given)) & ours
    if not needed <= all_permissions(giver.subject, at):
        return handing.beyond
    if any(_outlasts(giver, handing, each, ours, at) for each in handing.given):
        return OUTLASTS
    return None


def _is_owner(subject: Subject, at: int) -> bool:
    return any(held.role == OWNER and (held.expires_at is None or held.expires_at > at) for held in subject.roles or ())


def _outlasts(giver: Giver, handing: Handing, given: Given, ours: frozenset[str], at: int) -> bool:
    """What stands for the giver in person is bounded by their roles anyway: then only their credential's end counts."""
    ends = [giver.expires_at]
    if handing.holder != giver.actor:
        ends.append(end_of(giver.subject, (given.permissions & ours) | {giver.permission}, at))
    return any(end is not None and (given.until is None or given.until > end) for end in ends)
