"""What clients were told against what is recorded: nothing acknowledged is missing, nothing is there twice."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from domain.ledger import RefusalsSummarised
from tests.torture.histories import ONCE, Done
from tests.torture.noted import Asked, Notes, Read
from tests.torture.verdict import Verdict
from tests.torture.wishes import SILENT

THERE = "every acknowledged command is recorded"
WHERE = "it is where its answer said"
ALIKE = "a command's answer is what was recorded of it"
WANTED = "nothing is recorded that nobody asked for"
AMBIGUOUS = "a command without an answer is recorded once or not at all"
LATER = "a command that began after an answer comes after it"
EXPECTED = "no answer that must not be given"
ALIVE = "after each fault others take over, and clients are answered again"

SETUP: Final = "setup-"
"""How the correlations of the run's own preparations begin."""
_KINDS: Final = {"Missing": 404, "Taken": 409, "Refused": 409, "NotPermitted": 403}


class Told(NamedTuple):
    """What was told by times: `floor` is what must be seen by whoever begins then."""

    ends: Sequence[float]
    highest: Sequence[int]

    @classmethod
    def of(cls, answers: Iterable[tuple[float, int]]) -> "Told":
        """When something was told (or asked), and a position."""
        ordered = sorted(answers)
        return cls([end for end, _ in ordered], list(accumulate((position for _, position in ordered), max)))

    def before(self, time: float) -> int:
        """The highest position before this time; 0 if there is none."""
        place = bisect_left(self.ends, time)
        return self.highest[place - 1] if place else 0


class Claim(NamedTuple):
    """An answer to a command that left no trace: it must have been true at a position from `since` to `until`."""

    asked: Asked
    since: int
    until: int


class Answers:
    """What was asked, matched with what was recorded."""

    def __init__(self, notes: Notes, histories: Mapping[str, Sequence[Done]]) -> None:
        self.asked_by: dict[str, Asked] = {
            attempt.correlation: asked for asked in notes.asked for attempt in asked.attempts
        }
        self._done_by: dict[tuple[str, str], list[Done]] = defaultdict(list)
        for history in histories.values():
            for done in history:
                if not done.only_sums_up:
                    self._done_by[done.tenant, done.correlation].append(done)
        self._answered = self._by_tenant(_answers_of(notes.asked, notes.reads))
        begun = [
            (done.tenant, asked.call if asked else 0.0, done.last)
            for done in (each for history in histories.values() for each in history)
            for asked in (self.asked_by.get(done.correlation),)
        ]
        self._begun = self._by_tenant(begun)
        self.claims: dict[str, list[Claim]] = defaultdict(list)
        """By tenant, what has to be checked against its history."""

    def _by_tenant(self, answers: Iterable[tuple[str, float, int]]) -> dict[str, Told]:
        grouped: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for tenant, time, position in answers:
            grouped[tenant].append((time, position))
        return {tenant: Told.of(each) for tenant, each in grouped.items()}

    def floor(self, tenant: str, call: float) -> int:
        """What was told before: whoever asks then must be told no less."""
        told = self._answered.get(tenant)
        return told.before(call) if told else 0

    def ceiling(self, tenant: str, end: float) -> int:
        """The last position that can have been there: what is beyond was asked for later."""
        begun = self._begun.get(tenant)
        return begun.before(end) if begun else 0

    def recorded(self, asked: Asked) -> list[Done]:
        return [
            done for attempt in asked.attempts for done in self._done_by.get((asked.tenant, attempt.correlation), ())
        ]

    def check(self, asked: Asked, verdict: Verdict) -> None:
        done, what = self.recorded(asked), _name(asked)
        verdict.must(len(done) <= 1, ONCE, f"{what} is there {len(done)} times: {[each.last for each in done]}")
        if asked.result == "ambiguous":
            verdict.must(len(done) <= 1, AMBIGUOUS, f"{what} is there {len(done)} times")
        elif done:
            self._check_recorded(asked, done[0], verdict)
        elif asked.result == "done" and (asked.keyed or asked.wish.kind not in SILENT):
            verdict.must(False, THERE, f"{what} was acknowledged at {asked.position}, and is not there")
        elif asked.result in ("done", "nothing") and asked.keyed:
            verdict.must(False, THERE, f"{what} was acknowledged as having no effect, and that is not there")
        elif asked.status in (404, 409) and asked.keyed and asked.wish.kind not in SILENT:
            verdict.must(False, THERE, f"{what} was refused ({asked.status}), and that is not there")
        else:
            since, until = self.floor(asked.tenant, asked.call), self.ceiling(asked.tenant, asked.end)
            self.claims[asked.tenant].append(Claim(asked, since, max(since, until)))
        for each in done:
            floor = self.floor(asked.tenant, asked.call)
            verdict.must(each.first > floor, LATER, f"{what} is at {each.first}, when {floor} was told before it began")

    def _check_recorded(self, asked: Asked, done: Done, verdict: Verdict) -> None:
        what = _name(asked)
        if asked.result == "refused":
            status = _KINDS.get(done.refused or "")
            verdict.must(
                status == asked.status, ALIKE, f"{what} was refused ({asked.status}), recorded is {_say(done)}"
            )
            return
        verdict.see(THERE)
        verdict.must(done.last == asked.position, WHERE, f"{what} was told {asked.position}, and is at {done.last}")
        verdict.must(done.refused is None, ALIKE, f"{what} was acknowledged, recorded is {_say(done)}")
        if asked.result == "nothing":
            verdict.must(done.had_no_effect, ALIKE, f"{what} had no effect, recorded is {_say(done)}")


def _answers_of(asked: Iterable[Asked], reads: Iterable[Read]) -> Iterable[tuple[str, float, int]]:
    for each in asked:
        if each.result in ("done", "nothing"):
            yield each.tenant, each.end, each.position
    for read in reads:
        if read.position:
            yield read.tenant, read.end, read.position


def check_answers(notes: Notes, histories: Mapping[str, Sequence[Done]], verdict: Verdict) -> Answers:
    """Every command of the load, and every event of its tenants."""
    answers = Answers(notes, histories)
    for asked in notes.asked:
        answers.check(asked, verdict)
    for tenant in notes.tenants:
        for done in histories.get(tenant, ()):
            verdict.must(_is_wanted(done, answers), WANTED, f"{tenant}:{done.first} is {_say(done)}")
    verdict.see(EXPECTED, len(notes.asked) + len(notes.reads))
    for surprise in notes.surprises:
        verdict.wrong(EXPECTED, surprise)
    for fault in notes.faults:
        problem = fault.problem if fault.quiet else f"nothing went on {fault.problem}"
        verdict.must(not problem, ALIVE, f"{fault.kind} ({fault.target}) at {fault.begun:.2f}: {problem}")
    return answers


def _is_wanted(done: Done, answers: Answers) -> bool:
    if done.correlation.startswith(SETUP) or done.only_sums_up:
        return True
    asked = answers.asked_by.get(done.correlation)
    return asked is not None and asked.tenant == done.tenant


def _name(asked: Asked) -> str:
    attempts = "+".join(each.correlation for each in asked.attempts)
    return f"{asked.wish.kind} in {asked.tenant} ({attempts}, {asked.call:.2f} to {asked.end:.2f})"


def _say(done: Done) -> str:
    names = [type(each.event).__name__ for each in done.lines if not isinstance(each.event, RefusalsSummarised)]
    return f"{', '.join(names)}{f' as {done.refused}' if done.refused else ''} at {done.first}"
