"""A tenant's history told again by a naive model: each command as it was recorded, each answer where it was given."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from domain.command import Command, Refused
from domain.directory.life import UserProvisioned
from domain.directory.users import UserRenamed
from domain.event import Event, Recorded
from domain.ids import TenantId
from domain.ledger import RefusalsSummarised
from domain.view import Rows
from projections.every import EVERY_VIEW
from tests.domain.model import Model
from tests.torture.answers import Answers, Claim
from tests.torture.histories import Done
from tests.torture.noted import Asked, Read
from tests.torture.questions import FROM_MEMORY, QUESTIONS, Known, differs_from_fold
from tests.torture.topic import Line
from tests.torture.verdict import Verdict
from tests.torture.wishes import KINDS, command_of

RULES = "each command was decided by all that was recorded before it"
VERSIONS = "what If-Match named was still so"
HANDLES = "one user name has one handle, and one handle one name"
FOLDS = "the product's folds tell what the model tells"
CLAIMS = "an answer that left no trace was true while it was given"
READS = "a read shows what was so at the position that it says"
FRESH = "a read shows everything that was acknowledged before it began"
BOUNDARY = "no read sees a part of a command"

COMPARED_EVERY: Final = 100
"""Commands after which the folds and the model are compared."""
_STATUS: Final = {404: ("Missing",), 409: ("Taken", "Refused"), 403: ("NotPermitted",)}


class Pending(NamedTuple):
    """What must be true at a position from `since` to `until`."""

    since: int
    until: int
    says: str
    holds: Callable[[], bool]


class Replayed:
    """Goes through a tenant's commands in their order."""

    def __init__(self, tenant: str, answers: Answers, verdict: Verdict) -> None:
        self.tenant = tenant
        self.model = Model()
        self.rows = Rows(EVERY_VIEW)
        self.parted = False
        """Whether model and history have parted: what follows would only say so again."""
        self._answers = answers
        self._verdict = verdict
        self._versions: dict[str, dict[type[Event], int]] = defaultdict(dict)
        self._handles: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def run(self, history: Sequence[Done], claims: Sequence[Claim], reads: Sequence[Read]) -> None:
        """`reads` are those of this tenant; those that are of no certain position count as claims."""
        placed: dict[int, list[Read]] = defaultdict(list)
        pending = [self._truth(claim) for claim in claims]
        for read in reads:
            if read.position and read.kind not in FROM_MEMORY:
                placed[read.position].append(read)
            else:
                pending.append(self._moment(read))
        waiting = _Waiting(pending, self._verdict)
        self._look(0, placed, waiting)
        for number, done in enumerate(history, 1):
            self._step(done)
            if self.parted:
                return
            self._look(done.last, placed, waiting)
            if number % COMPARED_EVERY == 0 or number == len(history):
                parts = differs_from_fold(self._known)
                self.parted = not self._verdict.must(parts is None, FOLDS, f"{self.tenant}:{done.last}: {parts}")
        for position, left in placed.items():
            for read in left:
                self._verdict.must(False, BOUNDARY, f"{_name(read)} says position {position}, where no command ends")
        waiting.end()

    @property
    def _known(self) -> Known:
        return Known(self.tenant, self.model, self.rows)

    def _moment(self, read: Read) -> Pending:
        """That there was one, after all that was told before and until it was answered, at which it was so."""
        since = self._answers.floor(self.tenant, read.call)
        if read.position:
            self._must_be_fresh(read, since)
        until = max(since, self._answers.ceiling(self.tenant, read.end))
        says = f"{_name(read)} was answered {read.found}, from {since} to {until}"
        ask = QUESTIONS[read.kind].expected
        return Pending(since, until, says, lambda: ask(self._known, read.subject) == read.found)

    def _must_be_fresh(self, read: Read, floor: int) -> None:
        says = f"{_name(read)} says {read.position}, {floor} was told before"
        self._verdict.must(read.position >= floor, FRESH, says)

    def _truth(self, claim: Claim) -> Pending:
        asked, between = claim.asked, f"from {claim.since} to {claim.until}"
        says = f"{asked.wish.kind} in {asked.tenant} was answered {asked.status} ({asked.result}), {between}"
        return Pending(claim.since, claim.until, says, lambda: self._is_true(asked))

    # The commands

    def _step(self, done: Done) -> None:
        asked = self._answers.asked_by.get(done.correlation)
        if asked is not None and not done.only_sums_up:
            self._decide(done, asked)
        for line in done.lines:
            tenant, event = TenantId(self.tenant), line.event
            self.rows.evolve(Recorded(tenant, line.position, line.instant, event))
            for tag in line.tags:
                self._versions[tag][type(event)] = line.position
            if isinstance(event, UserProvisioned | UserRenamed) and asked is not None:
                self._name(asked.wish.text, event.user_name_handle, line.position)

    def _decide(self, done: Done, asked: Asked) -> None:
        where = f"{self.tenant}:{done.first}, {asked.wish.kind}"
        if asked.if_match is not None:
            version = self._version(asked)
            self._verdict.must(version <= asked.if_match, VERSIONS, f"{where}: {version} came after {asked.if_match}")
        expected, after = self._would(command_of(asked.wish, _made(done, asked)), done.lines[0])
        told = done.refused or ("nothing" if done.had_no_effect else "changes")
        if not self._verdict.must(told == expected, RULES, f"{where}: the model says {expected}, the topic {told}"):
            self.parted = True
        self.model = after

    def _would(self, command: Command, line: Line | None) -> tuple[str, Model]:
        """What the model says to a command now, and how it would be then."""
        after = _copy(self.model)
        try:
            after.apply(command, line.instant if line else 0)
        except Refused as refused:
            return type(refused).__name__, self.model
        return ("nothing" if after == self.model else "changes"), after

    def _version(self, asked: Asked) -> int:
        versioned = KINDS[asked.wish.kind].versioned
        assert versioned is not None
        kind, types = versioned
        changes = self._versions.get(f"{kind}:{asked.wish.subject}", {})
        return max((changes.get(each, 0) for each in types), default=0)

    def _name(self, name: str, handle: str, position: int) -> None:
        same = self._handles.setdefault(name, handle) == handle and self._names.setdefault(handle, name) == name
        self._verdict.must(same, HANDLES, f"{self.tenant}:{position}")

    # The answers

    def _look(self, position: int, placed: dict[int, list[Read]], waiting: "_Waiting") -> None:
        """What was answered as of here, and what may have been."""
        for read in placed.pop(position, ()):
            self._must_be_fresh(read, self._answers.floor(self.tenant, read.call))
            expected = QUESTIONS[read.kind].expected(self._known, read.subject)
            self._verdict.must(read.found == expected, READS, f"{_name(read)} at {position}: not what the history says")
        waiting.look(position)

    def _is_true(self, asked: Asked) -> bool:
        if asked.status == 412:
            return asked.if_match is not None and self._version(asked) > asked.if_match
        expected, _ = self._would(command_of(asked.wish, f"{KINDS[asked.wish.kind].makes}_unknown"), None)
        return expected in _STATUS.get(asked.status, ("nothing",))


class _Waiting:
    """What must be true at some position of a stretch, until it is."""

    def __init__(self, pending: Sequence[Pending], verdict: Verdict) -> None:
        self._later = sorted(pending, key=lambda each: -each.since)
        self._open: list[Pending] = []
        self._verdict = verdict

    def look(self, position: int) -> None:
        while self._later and self._later[-1].since <= position:
            self._open.append(self._later.pop())
        still = []
        for each in self._open:
            if each.until < position:
                self._verdict.must(False, CLAIMS, each.says)
            elif each.holds():
                self._verdict.see(CLAIMS)
            else:
                still.append(each)
        self._open = still

    def end(self) -> None:
        for each in (*self._open, *self._later):
            self._verdict.must(False, CLAIMS, each.says)


def _made(done: Done, asked: Asked) -> str:
    """The id of what came into being; one that nobody has if nothing did."""
    makes = KINDS[asked.wish.kind].makes
    event = next((each.event for each in done.lines if not isinstance(each.event, RefusalsSummarised)), None)
    return str(getattr(event, makes, f"{makes}_unknown")) if makes else ""


def _copy(model: Model) -> Model:
    """As far as commands change it."""

    def of(states: Mapping[str, object]) -> dict[str, object]:
        return {key: dict(state) if isinstance(state, dict) else state for key, state in states.items()}

    return dataclasses.replace(
        model,
        users=of(model.users),
        ever={user: [*handles] for user, handles in model.ever.items()},
        groups=of(model.groups),
        members=set(model.members),
        roles=of(model.roles),
        held=dict(model.held),
        flags=of(model.flags),
        targets=dict(model.targets),
    )


def _name(read: Read) -> str:
    return f"{read.kind} {read.subject} of {read.tenant} at node {read.node} ({read.call:.2f} to {read.end:.2f})"
