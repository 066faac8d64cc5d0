"""What if: a copy of history with edits, walked beside the one that happened, and what would have been decided.

One walk decides every recorded decision once more, in the edited history alone; only where its answer is another than
the recorded one is the unedited history asked too. Causes come before what they cause, so what follows from a decision
that would not have been taken can be left out as the walk goes on.
"""

from typing import Final

import msgspec

from domain import agents
from domain.access.check import Decision
from domain.access.roles import RoleDefined
from domain.directory import feeds, life
from domain.event import Entry, Event, Recorded
from domain.flags import FlagDefined
from domain.ids import TenantId
from domain.ledger import CommandRefused, History, Query, RefusalsSummarised
from replay.as_of import Snapshots, as_of
from replay.decided import by_the_node, decided_at
from replay.edits import Inserted, Plan
from replay.handing_on import HANDING, objection_to
from replay.operators import Operators
from replay.parted import Parted
from replay.reached import subjects_of
from replay.standing import DECIDING, Standing, entries

_PAGE: Final = 2_000
_NODE: Final = Decision(True, "the node does this by itself", ("system",))
_UNASKED: Final = Decision(False, "")
MADE: Final[dict[type[Event], str]] = {
    agents.ApiKeyIssued: "credential",
    feeds.DirectoryTokenIssued: "credential",
    agents.OperatorKeyIssued: "credential",
    life.UserProvisioned: "user",
    life.GroupCreated: "group",
    RoleDefined: "role",
    FlagDefined: "flag",
    feeds.DirectoryCreated: "directory",
}
"""What brings a thing into being, and the field that names the thing."""


class Flip(msgspec.Struct, frozen=True):
    """A recorded decision that would have been another, or an event about what would not have been there."""

    entry: Entry
    was: bool
    would: bool
    because: str
    left_out: bool


class Walked(msgspec.Struct, frozen=True):
    """What became of the edits. `flips` are the first ones; all are counted."""

    first: int
    """The first position at which anything could be other."""
    until: int
    events: int
    decisions: int
    flips: tuple[Flip, ...]
    flipped: int
    left_out: int
    """By the edits themselves."""
    followed: int
    """Left out because what they rest on would not have been there."""
    undecidable: int
    """Decisions that can't be taken again from what was recorded: handed on or refused by other rules."""
    parted: Parted


def what_if(
    history: History,
    tenant: TenantId,
    plan: Plan,
    until: int,
    *,
    closed: bool = True,
    most: int = 1_000,
    start: Standing | None = None,
    first: int | None = None,
) -> Walked:
    """Walk from the first edit (or from `first`, if that is earlier) to `until`.

    `start` is the standing before, if it is at hand. Without edits every decision is taken once more as it was.
    `closed`: an event whose authority or whose subject would not have been there is left out too; else it is only told.
    """
    first = min(plan.first, first or plan.first)
    standing = start or standing_before(history, tenant, first)
    return _Walk(history, tenant, plan, first, until, standing, closed=closed, most=most).all()


def standing_before(history: History, tenant: TenantId, position: int, snapshots: Snapshots | None = None) -> Standing:
    """The standing before an event, folded in pages from the nearest snapshot."""
    return Standing(tenant, as_of(history, tenant, DECIDING, position - 1, snapshots))


class _Walk:
    def __init__(
        self,
        history: History,
        tenant: TenantId,
        plan: Plan,
        first: int,
        until: int,
        standing: Standing,
        *,
        closed: bool,
        most: int,
    ) -> None:
        self._history = history
        self._tenant = tenant
        self._plan = plan
        self._first = first
        self._until = until
        self._edited = standing
        self._is_edited = plan.first <= until
        self._parted = Parted(standing.copy() if self._is_edited else standing, standing)
        self._closed = closed
        self._most = most
        self._operators = Operators(history, tenant)
        self._gone: dict[str, int] = {}
        self._flips: list[Flip] = []
        self._flipped = self._left_out = self._followed = self._undecidable = self._decisions = 0
        self._command = ""
        self._would: Decision | None = None
        self._base: Decision | None = _UNASKED

    def all(self) -> Walked:
        plan, events = self._plan, 0
        first = self._first
        for inserted in plan.after(first - 1):
            self._insert(inserted)
        for entry in entries(self._history, self._tenant, Query(after=first - 1, until=self._until), _PAGE):
            events += 1
            self._step(entry)
            for inserted in plan.after(entry.position):
                self._insert(inserted)
        return Walked(
            plan.first,
            self._until,
            events,
            self._decisions,
            tuple(self._flips),
            self._flipped,
            self._left_out,
            self._followed,
            self._undecidable,
            self._parted,
        )

    def _step(self, entry: Entry) -> None:
        recorded = Recorded(entry.tenant, entry.position, entry.instant, entry.event)
        if self._is_edited and self._plan.leaves_out(entry):
            self._left_out += 1
            self._leave_out(recorded)
            return
        edited = self._plan.edited(recorded)
        because = self._objection(entry, edited)
        if because is not None and self._closed:
            self._followed += 1
            self._leave_out(recorded)
        elif edited is not recorded:
            self._parted.differently(recorded, edited)
        else:
            self._parted.alike(recorded)

    def _leave_out(self, recorded: Recorded) -> None:
        made = MADE.get(type(recorded.event))
        if made is not None:
            self._gone[getattr(recorded.event, made)] = recorded.position
        self._parted.differently(recorded, None)

    def _insert(self, inserted: Inserted) -> None:
        recorded = inserted.recorded
        if inserted.entry is not None:
            because = self._objection(inserted.entry, recorded, moved=True)
            if because is not None and self._closed:
                return
        made = MADE.get(type(recorded.event))
        if made is not None:
            self._gone.pop(getattr(recorded.event, made), None)
        self._parted.differently(None, recorded)

    def _objection(self, entry: Entry, edited: Recorded, *, moved: bool = False) -> str | None:
        """Why an event would not have been recorded; None if it would, or nobody can say. Notes the flip."""
        if self._gone:
            missing = next((each for each in subjects_of(entry.event) if each in self._gone), None)
            if missing is not None:
                return self._flip(entry, False, f"{missing} would not have been there")
        was, because = self._was(entry), None
        would = self._decided(entry)
        if was is None or would is None:
            self._undecidable += 1
            return None
        if not would.allowed:
            because = would.because
        elif self._is_edited and type(entry.event) in HANDING:
            because = self._not_handed_on(entry, edited)
        if (because is None) == was:
            return None
        if not self._is_edited or not (moved or self._base_agrees(entry, was)):
            self._undecidable += 1
            return None
        self._flip(entry, because is None, because or "it would have been allowed")
        return because

    def _decided(self, entry: Entry) -> Decision | None:
        """The decision in the edited history: taken once for all events of a command."""
        command = entry.meta.command_id
        if command != self._command:
            self._command, self._base = command, _UNASKED
            self._would = self._decide(entry, self._edited)
            self._decisions += 1
        return self._would

    def _base_agrees(self, entry: Entry, was: bool) -> bool:
        """Whether the unedited history gives the recorded answer, asked only where it matters."""
        if self._base is _UNASKED:
            self._base = self._decide(entry, self._parted.base)
        return self._base is not None and self._base.allowed == was

    def _flip(self, entry: Entry, would: bool, because: str) -> str:
        self._flipped += 1
        if len(self._flips) < self._most:
            left_out = self._closed and not would
            self._flips.append(Flip(entry, self._was(entry) is not False, would, because, left_out))
        return because

    def _not_handed_on(self, entry: Entry, edited: Recorded) -> str | None:
        """What only the edits are in the way of handing on."""
        if self._operators.is_one(entry):
            return None
        credential, at = entry.meta.credential_id or "", decided_at(entry.meta.authority_decision, entry.instant)
        permission, now, base = entry.meta.authority_permission, self._edited, self._parted.base
        because = objection_to(edited.event, now, now, credential, permission, at)
        if because is None or objection_to(entry.event, base, base, credential, permission, at) is not None:
            return None
        return because

    def _was(self, entry: Entry) -> bool | None:
        """What was decided of access; None where that was not recorded."""
        match entry.event:
            case CommandRefused(kind=kind):
                return kind != "NotPermitted"
            case RefusalsSummarised():
                return None
        return True

    def _decide(self, entry: Entry, standing: Standing) -> Decision | None:
        """As access is decided; None where no credential was recorded."""
        meta = entry.meta
        if by_the_node(entry):
            return _NODE
        if meta.credential_id is None:
            return None
        at = decided_at(meta.authority_decision, entry.instant)
        if self._operators.is_one(entry):
            return self._operators.judge(meta.credential_id, meta.authority_permission, at, entry.instant)
        return standing.judge(meta.credential_id, meta.authority_permission, at)
