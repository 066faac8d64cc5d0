"""That these are all: what was left out, added, moved or counted wrongly is refused, whoever made the bundle."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence.bundles import BundleWrong, Verified, bundled_answer, verify_bundle
from domain.evidence.completeness import AnswerWrong, Proven, Range, check_answer
from domain.evidence.stamps import read_stamp
from domain.evidence.tag_counts import TagCount, TagCounts, tag_hash
from tests.domain.evidence.deployment import Deployment, History, small, stored_event
from tests.domain.evidence.signing import verifies

DEPLOYMENT, HISTORY, HEAD, INDEX = small()
OF_A = HISTORY.with_tag("user:a")
MIDDLE = Range("position", 10, 30)
TIMES = Range("recorded_at", HISTORY.instant(10), HISTORY.instant(30))


def bundle(tag: str, asked: Range, change: Callable[[dict[str, Any]], object] = lambda parts: None) -> bytes:
    events, answer = HISTORY.answer(tag, asked)
    parts = json.loads(DEPLOYMENT.bundle(HEAD, INDEX, events, answer))
    change(parts)
    return json.dumps(parts).encode()


def verified(data: bytes, deployment: Deployment = DEPLOYMENT) -> Verified:
    return verify_bundle(data, [deployment.signer.key], verifies)


def event(position: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DEPLOYMENT.bundle(HEAD, INDEX, [HISTORY.proof(position)]))["events"][0]
    return found


@pytest.mark.parametrize("asked", [MIDDLE, TIMES])
def test_all_of_a_person_in_a_range(asked: Range) -> None:
    found = verified(bundle("user:a", asked))
    assert [each.position for each in found.events] == [each for each in OF_A if 10 <= each <= 30]
    assert found.answer is not None
    assert found.answer[:] == ("user:a", asked, 7, 13, OF_A[-1], 40)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.sampled_from(["user:a", "group:g", "command:cmd_7", "actor:usr_1", "flag:flg_39", "user:nobody"]),
    st.sampled_from(["position", "recorded_at"]),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_every_range_of_every_tag_can_be_answered(tag: str, by: Any, one: int, other: int) -> None:
    first, last = sorted((one, other))
    asked = Range("position", first, last) if by == "position" else Range(by, *map(HISTORY.instant, (first, last)))
    found = verified(bundle(tag, asked))
    assert [each.position for each in found.events] == [each for each in HISTORY.with_tag(tag) if first <= each <= last]
    assert found.answer is not None
    assert found.answer.total == len(HISTORY.with_tag(tag))


def test_all_of_no_tag_is_nothing() -> None:
    found = verified(bundle("user:nobody", Range("position", 1, 40)))
    assert found.answer is not None
    assert (found.events, found.answer.matching, found.answer.total, found.answer.last) == ((), 0, 0, 0)


def refused(data: bytes, match: str = "completeness|position") -> None:
    with pytest.raises(BundleWrong, match=match) as problem:
        verified(data)
    assert problem.value.step in ("completeness", "position")


@pytest.mark.parametrize("asked", [MIDDLE, TIMES])
def test_every_omission_is_refused(asked: Range) -> None:
    for at in range(7):
        refused(bundle("user:a", asked, lambda b, at=at: b["events"].pop(at)), "completeness")  # type: ignore[misc]
    for start in range(7):
        for end in range(start + 1, 8):
            refused(bundle("user:a", asked, lambda b, s=start, e=end: b["events"].__delitem__(slice(s, e))))  # type: ignore[misc]
    for side in ("before", "after"):
        refused(bundle("user:a", asked, lambda b, side=side: b["complete"].update({side: None})), "is shown")  # type: ignore[misc]


def test_an_omission_at_either_end_is_refused_where_there_is_no_neighbour() -> None:
    whole = Range("position", 1, 40)
    refused(bundle("user:a", whole, lambda b: b["events"].pop()), "number 12 of 13")
    refused(bundle("user:a", whole, lambda b: b["events"].pop(0)), "the first is number 2")
    refused(bundle("user:a", whole, lambda b: b["events"].clear()), "13 events carry the tag, and none is shown")


def test_a_neighbour_inside_the_range_is_refused() -> None:
    """Leaving out the range's first or last, and calling it a neighbour."""

    def first_left_out(parts: dict[str, Any]) -> None:
        parts["complete"]["before"] = parts["events"].pop(0)

    def last_left_out(parts: dict[str, Any]) -> None:
        parts["complete"]["after"] = parts["events"].pop()

    refused(bundle("user:a", MIDDLE, first_left_out), "does not lie before the range")
    refused(bundle("user:a", MIDDLE, last_left_out), "does not lie after the range")


def test_every_addition_is_refused() -> None:
    for position in range(1, 41):
        if position in OF_A and 10 <= position <= 30:
            continue

        def with_it(parts: dict[str, Any], position: int = position) -> None:
            parts["events"] = sorted([*parts["events"], event(position)], key=lambda each: each["position"])

        refused(bundle("user:a", MIDDLE, with_it), "completeness: position")


def test_every_other_order_is_refused() -> None:
    def swapped(parts: dict[str, Any]) -> None:
        parts["events"][1:3] = parts["events"][2:0:-1]

    refused(bundle("user:a", MIDDLE, swapped), "out of order")
    refused(bundle("user:a", MIDDLE, lambda b: b["events"].reverse()), "out of order")


def exchanged(parts: dict[str, Any]) -> None:
    told = parts["complete"]
    told["before"], told["after"] = told["after"], told["before"]


@pytest.mark.parametrize(
    "change",
    [
        exchanged,
        lambda b: b["complete"].update(before=event(1)),
        lambda b: b["complete"].update(after=event(39)),
        lambda b: b["complete"].update(before=event(9)),
        lambda b: b["complete"]["before"].update(position=6),
    ],
)
def test_other_neighbours_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    refused(bundle("user:a", MIDDLE, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b["complete"].update(tag="group:g"),
        lambda b: b["complete"].update(tag="user:b"),
        lambda b: b["complete"]["range"].update(first=8),
        lambda b: b["complete"]["range"].update(first=1),
        lambda b: b["complete"]["range"].update(last=40),
        lambda b: b["complete"]["range"].update(last=41),
        lambda b: b["complete"]["range"].update(first=31),
        lambda b: b["complete"]["range"].update(by="recorded_at"),
    ],
)
def test_an_answer_to_another_question_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    refused(bundle("user:a", MIDDLE, change), "completeness")


def test_every_wrong_count_is_refused() -> None:
    asked = Range("position", 30, 40)
    entries = json.loads(bundle("user:a", asked))["complete"]["bucket"]
    for at in range(len(entries)):
        for member in (1, 2):
            for by in (-1, 1):

                def miscounted(parts: dict[str, Any], at: int = at, member: int = member, by: int = by) -> None:
                    parts["complete"]["bucket"][at][member] += by

                refused(bundle("user:a", asked, miscounted), "tag counts|possible count")
        refused(bundle("user:a", asked, lambda b, at=at: b["complete"]["bucket"].pop(at)))  # type: ignore[misc]


def test_a_tags_absence_cannot_be_made_up() -> None:
    """The bucket that would show it lies elsewhere, and the right one holds it."""

    def nothing(parts: dict[str, Any]) -> None:
        parts["events"] = []
        parts["complete"].update(before=None, after=None)

    refused(bundle("user:a", MIDDLE, nothing), "13 events carry the tag, and none is shown")
    proof_of = HISTORY.tag_counts().proof
    other = next(tag for tag in map("user:{}".format, range(99)) if proof_of(tag).bucket != proof_of("user:a").bucket)
    elsewhere = json.loads(bundle(other, MIDDLE))["complete"]

    def from_elsewhere(parts: dict[str, Any]) -> None:
        nothing(parts)
        parts["complete"].update(bucket=elsewhere["bucket"], path=elsewhere["path"])

    refused(bundle("user:a", MIDDLE, from_elsewhere), "completeness")


class Dishonest:
    """An operator who signs whatever it likes, but must number events somehow and commit to some counts."""

    def __init__(self) -> None:
        self.deployment, self.history, _, _ = small()

    def answer(self, tag: str, asked: Range, total: int, last: int, positions: list[int]) -> bytes:
        """With these counts committed to, and these events shown."""
        counts = dict(self.history.counts)
        counts[tag] = (total, last)
        committed = TagCounts(TagCount(tag_hash(each), *told) for each, told in counts.items())
        head = self.history.head()._replace(counts=committed.root())
        index = self.deployment.add(head)
        answer = bundled_answer(tag, asked, committed.proof(tag), None, None)
        return self.deployment.bundle(head, index, [self.history.proof(each) for each in positions], answer)


WHOLE = Range("position", 1, 40)


def test_counts_that_contradict_the_events_are_refused() -> None:
    last = OF_A[-1]
    verified(Dishonest().answer("user:a", WHOLE, 13, last, OF_A), small()[0])
    for total, at, positions in (
        (12, last, OF_A),
        (14, last, OF_A),
        (13, last - 1, OF_A),
        (13, last + 1, OF_A),
        (12, OF_A[-2], OF_A),
        (13, 41, OF_A),
        (0, 0, OF_A),
        (12, last, OF_A[:-1]),
        (13, last, OF_A[:-1]),
    ):
        if not 0 <= total <= at:
            continue
        refused(Dishonest().answer("user:a", WHOLE, total, at, positions), "completeness")


def test_a_count_that_hides_the_newest_is_seen_only_by_who_has_the_newest() -> None:
    """What completeness cannot show, and the documentation says so: an audit of the whole history finds it."""
    found = verified(Dishonest().answer("user:a", WHOLE, 12, OF_A[-2], OF_A[:-1]))
    assert found.answer is not None
    assert found.answer.total == 12


def numbered(*nths: int) -> tuple[Deployment, History]:
    """Events of one tag that an operator numbered as it liked."""
    deployment, history = Deployment(), History("ten_acme")
    for position, nth in enumerate(nths, 1):
        history.keep(stored_event(position, history.instant(position), {"user:a": nth}), {"user:a": nth})
    return deployment, history


@pytest.mark.parametrize("nths", [(1, 1, 2), (1, 3), (2, 3), (2, 1), (1, 2, 2)])
def test_numbers_with_gaps_or_twice_the_same_are_refused(nths: tuple[int, ...]) -> None:
    deployment, history = numbered(*nths)
    head = history.head()
    events, answer = history.answer("user:a", Range("position", 1, len(nths)))
    with pytest.raises(BundleWrong, match="completeness"):
        verified(deployment.bundle(head, deployment.add(head), events, answer))


def test_time_that_runs_back_is_refused() -> None:
    """A range of times means something only where time never decreases."""
    deployment, history = Deployment(), History("ten_acme")
    for nth, second in ((1, 5), (2, 9), (3, 7), (4, 12)):
        history.keep(stored_event(nth, second, {"user:a": nth}), {"user:a": nth})
    head = history.head()
    events, answer = history.answer("user:a", Range("position", 1, 4))
    with pytest.raises(BundleWrong, match="position 3 comes after position 2 by its number alone"):
        verified(deployment.bundle(head, deployment.add(head), events, answer))


RANDOM = st.lists(st.sets(st.sampled_from(["user:a", "user:b", "group:g"])), min_size=1, max_size=12)


@settings(derandomize=True, deadline=None, max_examples=400)
@given(RANDOM, st.data())
def test_whatever_is_shown_of_whatever_history_it_is_all_or_refused(tags: list[set[str]], data: st.DataObject) -> None:
    """Any choice of events and neighbours, all of them proved: it is believed only if it is the whole answer."""
    history = History("ten_acme")
    for each in tags:
        history.record(*sorted(each))
    size = len(tags)
    first = data.draw(st.integers(0, size))
    asked = Range("position", first, data.draw(st.integers(first, size)))
    truth = [each for each in history.with_tag("user:a") if first <= each <= asked.last]
    proven = [Proven(each, read_stamp(history.stored[each - 1])) for each in range(1, size + 1)]
    end = st.one_of(st.none(), st.sampled_from(proven))
    shown = data.draw(st.one_of(st.just([proven[each - 1] for each in truth]), st.lists(st.sampled_from(proven))))
    before, after = data.draw(end), data.draw(end)
    head, proof = history.head(), history.tag_counts().proof("user:a")
    try:
        answer = check_answer("user:a", asked, shown, before, after, proof, head)
    except AnswerWrong:
        return
    assert [each.position for each in shown] == truth
    assert (answer.matching, answer.total) == (len(truth), len(history.with_tag("user:a")))
