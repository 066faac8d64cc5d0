"""Completeness: that the events one was given are all that carry a tag in a range, and none was left out.

Each event says the how-manieth with each of its tags it is, without gaps, and the tenant's head commits to how many
there are of each tag and where the last is. So a run of consecutive numbers has nothing between, and its ends are
shown by the neighbours just outside the range, by number one, or by the count.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from domain.evidence.heads import Head
from domain.evidence.stamps import Stamp
from domain.evidence.tag_counts import CountProof, verify_count


class AnswerWrong(Exception):
    """Events are not shown to be all; the message says why."""


class Range(NamedTuple):
    """From `first` to `last`, both within: positions, or microseconds since 1970 in UTC."""

    by: Literal["position", "recorded_at"]
    first: int
    last: int

    def place_of(self, stamp: Stamp) -> int:
        """An event's place in the order that the range is of."""
        return stamp.position if self.by == "position" else stamp.instant


class Proven(NamedTuple):
    """An event whose place in the tenant's tree is proved already."""

    position: int
    stamp: Stamp


class Answer(NamedTuple):
    """That all events with a tag in a range are known, of `size` that the tenant had."""

    tag: str
    range: Range
    matching: int
    """How many are in the range."""
    total: int
    """How many carry the tag in all."""
    last: int
    """The position of the last that carries it; 0 if none does."""
    size: int


def check_answer(
    tag: str,
    asked: Range,
    events: Sequence[Proven],
    before: Proven | None,
    after: Proven | None,
    proof: CountProof,
    head: Head,
) -> Answer:
    """That `events`, in order, are all with the tag in the range. Raises AnswerWrong, or ProofWrong for the count.

    `before` and `after` are the tag's nearest events outside the range, where there are any.
    """
    if asked.first > asked.last or (asked.by == "position" and asked.last > head.size):
        raise AnswerWrong(f"the range is none within the {head.size} events that the checkpoint covers")
    _, total, last = verify_count(tag, proof, head.counts)
    if last > head.size:
        raise AnswerWrong("the tag's last event lies beyond the history")
    run = [each for each in (before, *events, after) if each is not None]
    _must_lie_right(asked, events, before, after)
    _must_be_a_run(tag, run)
    if total and not run:
        raise AnswerWrong(f"{total} events carry the tag, and none is shown, not even one beside the range")
    if run:
        _must_have_its_ends(run, tag, before, after, total, last)
    return Answer(tag, asked, len(events), total, last, head.size)


def _must_lie_right(asked: Range, events: Sequence[Proven], before: Proven | None, after: Proven | None) -> None:
    for each in events:
        if not asked.first <= asked.place_of(each.stamp) <= asked.last:
            raise AnswerWrong(f"position {each.position} is not in the range")
    if before is not None and asked.place_of(before.stamp) >= asked.first:
        raise AnswerWrong(f"position {before.position} does not lie before the range")
    if after is not None and asked.place_of(after.stamp) <= asked.last:
        raise AnswerWrong(f"position {after.position} does not lie after the range")


def _must_be_a_run(tag: str, run: Sequence[Proven]) -> None:
    for each in run:
        if tag not in each.stamp.nth:
            raise AnswerWrong(f"position {each.position} does not carry the tag")
    for one, next_one in pairwise(run):
        if next_one.stamp.nth[tag] != one.stamp.nth[tag] + 1:
            raise AnswerWrong(
                f"position {one.position} is number {one.stamp.nth[tag]} with the tag, "
                f"and position {next_one.position} after it is number {next_one.stamp.nth[tag]}"
            )
        if next_one.position <= one.position or next_one.stamp.instant < one.stamp.instant:
            raise AnswerWrong(f"position {next_one.position} comes after position {one.position} by its number alone")


def _must_have_its_ends(
    run: Sequence[Proven], tag: str, before: Proven | None, after: Proven | None, total: int, last: int
) -> None:
    first_nth, last_nth = run[0].stamp.nth[tag], run[-1].stamp.nth[tag]
    if before is None and first_nth != 1:
        raise AnswerWrong(f"the first is number {first_nth} with the tag, and none before it is shown")
    if last_nth > total or run[-1].position > last:
        raise AnswerWrong(f"position {run[-1].position} is beyond the {total} events that carry the tag")
    if (last_nth == total) != (run[-1].position == last):
        raise AnswerWrong(f"the last of the tag is at {last}, which position {run[-1].position} contradicts")
    if after is None and last_nth != total:
        raise AnswerWrong(f"the last is number {last_nth} of {total} with the tag, and none after it is shown")
