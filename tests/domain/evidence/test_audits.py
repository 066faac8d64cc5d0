"""Who has everything, or compares with others, finds what a single bundle can't show."""

import pytest

from domain.evidence.auditing import Audit, AuditWrong
from domain.evidence.bundles import Verified, verify_bundle
from domain.evidence.contradictions import contradictions
from domain.evidence.tag_counts import TagCount, TagCounts, tag_hash
from tests.domain.evidence.deployment import Deployment, History, small, stored_event
from tests.domain.evidence.signing import verifies

DEPLOYMENT, HISTORY, HEAD, INDEX = small()


def audited(history: History) -> Audit:
    audit = Audit()
    for stored in history.stored:
        audit.add(stored)
    return audit


def test_an_honest_history_holds() -> None:
    audit = audited(HISTORY)
    audit.check(HEAD)
    assert audit.size == 40
    Audit().check(History("ten_new").head())


def test_it_is_followed_from_head_to_head() -> None:
    history, audit = History("ten_acme"), Audit()
    for number in range(30):
        history.record("actor:usr_1", f"user:{number % 7}")
        audit.add(history.stored[-1])
        audit.check(history.head())


def test_counts_that_hide_an_event_are_found() -> None:
    """The lie of `test_completeness`: nothing but an audit of the whole history sees it."""
    counts = dict(HISTORY.counts)
    counts["user:a"] = (12, HISTORY.with_tag("user:a")[-2])
    lie = TagCounts(TagCount(tag_hash(tag), *told) for tag, told in counts.items()).root()
    with pytest.raises(AuditWrong, match="other counts of tags than the first 40 events have"):
        audited(HISTORY).check(HEAD._replace(counts=lie))


def test_a_changed_history_is_found() -> None:
    audit = Audit()
    for position, stored in enumerate(HISTORY.stored, 1):
        audit.add(stored.replace(b"event 7", b"event 8") if position == 7 else stored)
    with pytest.raises(AuditWrong, match="not those that the head commits to"):
        audit.check(HEAD)
    with pytest.raises(AuditWrong, match="the head is of 39 events, and 40 are known"):
        audited(HISTORY).check(HEAD._replace(size=39))


@pytest.mark.parametrize(
    ("position", "instant", "nth", "said"),
    [
        (42, 2**60, {}, "the event says that it is at 42"),
        (41, 1, {}, "recorded before the one before it"),
        (41, 2**60, {"user:a": 13}, "number 13 with user:a, after number 13"),
        (41, 2**60, {"user:a": 15}, "number 15 with user:a, after number 13"),
        (41, 2**60, {"user:new": 2}, "number 2 with user:new, after number 0"),
    ],
)
def test_wrong_numbers_are_found(position: int, instant: int, nth: dict[str, int], said: str) -> None:
    with pytest.raises(AuditWrong, match=f"position 41: .*{said}"):
        audited(HISTORY).add(stored_event(position, instant, nth))


def test_no_event_at_all_is_found() -> None:
    with pytest.raises(AuditWrong, match="position 41: the bytes are no stored event"):
        audited(HISTORY).add(b"nothing")


def told(deployment: Deployment, history: History, *positions: int) -> Verified:
    head = history.head()
    bundle = deployment.bundle(head, deployment.add(head), [history.proof(each) for each in positions])
    return verify_bundle(bundle, [deployment.signer.key], verifies)


def test_bundles_of_one_history_agree() -> None:
    deployment, history, _, _ = small()
    first = told(deployment, history, 1, 7)
    history.record("actor:usr_1")
    assert list(contradictions([("a", first), ("b", told(deployment, history, 7, 41)), ("a again", first)])) == []


def test_a_split_view_is_seen_when_two_compare() -> None:
    ours, theirs = small(), small()
    theirs[1].stored[6] = theirs[1].stored[6].replace(b"event 7", b"event 8")
    forked = History("ten_acme")
    for stored, nth in zip(theirs[1].stored, theirs[1].nth, strict=True):
        forked.keep(stored, nth)
    pair = [("ours", told(ours[0], ours[1], 7)), ("theirs", told(theirs[0], forked, 7))]
    assert list(contradictions(pair)) == [
        f"ours and theirs contradict each other about {what}"
        for what in (
            "the log muniment.example/log of 4 leaves",
            "leaf 3 of the log muniment.example/log",
            "ten_acme at 40 events",
            "ten_acme at position 7",
        )
    ]
