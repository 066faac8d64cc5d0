"""Retention: how long a tenant's history is kept, the legal holds that keep all of it, and what was trimmed."""

from typing import Any, Final, assert_never

from domain.boundary import Boundary, Tally, about
from domain.command import Command, Decider, Known, Missing, Refused, Taken
from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import HoldId, TenantId

DAY: Final = 86_400_000_000
"""Microseconds."""
SHORTEST: Final = 1
LONGEST: Final = 36_500
"""Days that a history can be told to be kept."""
MOST_HOLDS: Final = 1_000


class RetentionChanged(Event):
    """Events are kept for so many days; None: for ever."""

    tenant: TenantId
    days: int | None


class LegalHoldPlaced(Event):
    """Nothing of the tenant's history may be trimmed while this is in force."""

    tenant: TenantId
    hold: HoldId
    reason: Sealed | None = None


class LegalHoldLifted(Event):
    tenant: TenantId
    hold: HoldId


class HistoryTrimmed(Event):
    """The events up to `last` were older than the tenant's retention: the archive does not keep them any more.

    `root` and `frontier` are those of the tenant's tree over exactly these events: with them, later events can still be
    proved to be in the tree, and later trees to have grown from this one.
    """

    tenant: TenantId
    last: int
    last_at: Instant
    root: bytes
    frontier: bytes


class ChangeRetention(Command):
    permission = "retention:manage"
    tenant: TenantId
    days: int | None

    def boundary(self) -> Boundary:
        return about(self.tenant, RetentionChanged)


class PlaceLegalHold(Command):
    permission = "holds:manage"
    while_suspended = True
    while_deleted = True
    tenant: TenantId
    hold: HoldId
    reason: Sealed | None = None

    def boundary(self) -> Boundary:
        return life_of_hold(self.hold) | Boundary(tallies=(every_hold_of(self.tenant),))


class LiftLegalHold(Command):
    permission = "holds:manage"
    while_suspended = True
    while_deleted = True
    tenant: TenantId
    hold: HoldId

    def boundary(self) -> Boundary:
        return life_of_hold(self.hold)


class TrimHistory(Command):
    """What the node asks for itself once a retention is over."""

    permission = "retention:manage"
    while_suspended = True
    while_deleted = True
    tenant: TenantId
    last: int
    last_at: Instant
    root: bytes
    frontier: bytes

    def boundary(self) -> Boundary:
        tallies = Boundary(tallies=(every_hold_of(self.tenant),))
        return about(self.tenant, RetentionChanged, HistoryTrimmed) | tallies


RetentionCommand = ChangeRetention | PlaceLegalHold | LiftLegalHold | TrimHistory


def life_of_hold(hold: HoldId) -> Boundary:
    """Whether a hold was placed, and lifted."""
    return about(hold, LegalHoldPlaced, LegalHoldLifted)


def every_hold_of(tenant: TenantId) -> Tally:
    """The holds that are in force."""
    return Tally("legal_holds", f"tenant:{tenant}", (LegalHoldPlaced, LegalHoldLifted), set, note_hold)


def note_hold(holds: set[HoldId], recorded: Recorded) -> None:
    match recorded.event:
        case LegalHoldPlaced(hold=hold):
            holds.add(hold)
        case LegalHoldLifted(hold=hold):
            holds.discard(hold)


class KnownRetention(Known):
    """The period, what was trimmed, the life of a hold; the holds in force are a tally."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.days: int | None = None
        self.trimmed = 0
        self.hold = "none"

    def evolve(self, recorded: Recorded) -> None:
        match recorded.event:
            case RetentionChanged(days=days):
                self.days = days
            case HistoryTrimmed(last=last):
                self.trimmed = last
            case LegalHoldPlaced():
                self.hold = "placed"
            case LegalHoldLifted():
                self.hold = "lifted"

    @property
    def holds(self) -> Any:
        return self.tallies["legal_holds"]


def decide(command: RetentionCommand, known: KnownRetention) -> list[Event]:
    match command:
        case ChangeRetention(tenant, days):
            if days is not None and not SHORTEST <= days <= LONGEST:
                raise Refused(f"a history is kept for {SHORTEST} to {LONGEST} days, or for ever")
            return [] if days == known.days else [RetentionChanged(tenant, days)]
        case PlaceLegalHold(tenant, hold, reason):
            if known.hold != "none":
                raise Taken("the legal hold exists already")
            if len(known.holds) >= MOST_HOLDS:
                raise Refused(f"a tenant can have {MOST_HOLDS} legal holds; lift one first")
            return [LegalHoldPlaced(tenant, hold, reason)]
        case LiftLegalHold(tenant, hold):
            if known.hold != "placed":
                raise Missing("the legal hold does not exist")
            return [LegalHoldLifted(tenant, hold)]
        case TrimHistory(tenant, last, last_at, root, frontier):
            if known.holds:
                raise Refused("the tenant's history is under legal hold; it is kept until the hold is lifted")
            if known.days is None:
                raise Refused("the tenant's history is kept for ever; set a retention period first")
            if last <= known.trimmed:
                return []
            if last_at + known.days * DAY > known.now:
                raise Refused("these events are not older than the tenant's retention period")
            return [HistoryTrimmed(tenant, last, last_at, root, frontier)]
        case _:
            assert_never(command)


decider = Decider(
    commands=(ChangeRetention, PlaceLegalHold, LiftLegalHold, TrimHistory), begin=KnownRetention, decide=decide
)
