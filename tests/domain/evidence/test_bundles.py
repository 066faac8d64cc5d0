"""A bundle proves what it holds to whoever trusts the log's key, and each step that fails says so with its place."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from domain.evidence import bundles
from domain.evidence.bundles import BundleWrong, Verified, verify_bundle
from domain.evidence.heads import Head
from domain.evidence.notes import COSIGNATURE, Signed, parse_key
from domain.evidence.tree import leaf_hash
from tests.domain.evidence.deployment import FIRST, SECOND, small
from tests.domain.evidence.signing import Signer, verifies
from tests.evidence_vectors import FOLDER

DEPLOYMENT, HISTORY, HEAD, INDEX = small()
TRUSTED = [DEPLOYMENT.signer.key]
EVENTS = [HISTORY.proof(position) for position in (1, 7, 40)]
BUNDLE = DEPLOYMENT.bundle(HEAD, INDEX, EVENTS)


def verified(data: bytes) -> Verified:
    return verify_bundle(data, TRUSTED, verifies)


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    parts = json.loads(BUNDLE)
    change(parts)
    return json.dumps(parts).encode()


def flipped(text: str, at: int = 0) -> str:
    """Base64 with one bit of its bytes turned."""
    told = bytearray(base64.b64decode(text))
    told[at] ^= 1
    return base64.b64encode(told).decode()


def test_it_proves_its_events() -> None:
    found = verified(BUNDLE)
    assert found.checkpoint == DEPLOYMENT.checkpoint()
    assert found.by == (Signed(DEPLOYMENT.signer.key, None),)
    assert (found.head, found.leaf) == (HEAD, INDEX)
    assert [each.position for each in found.events] == [1, 7, 40]
    assert [each.stored for each in found.events] == [HISTORY.stored[each - 1] for each in (1, 7, 40)]
    assert [each.stamp.instant for each in found.events] == [HISTORY.instant(each) for each in (1, 7, 40)]
    assert found.answer is None


def test_it_proves_a_head_alone() -> None:
    assert verified(DEPLOYMENT.bundle(HEAD, INDEX, [])).head == HEAD


def test_it_tells_of_no_other_tenant() -> None:
    told = json.loads(BUNDLE)
    others = {base64.b64encode(each).decode() for each in DEPLOYMENT.entries}
    leaves = {base64.b64encode(leaf_hash(each)).decode() for each in DEPLOYMENT.entries}
    assert b"ten_before" not in BUNDLE
    assert b"ten_after" not in BUNDLE
    assert not others & set(json.dumps(told).split('"'))
    assert set(told["head"]["proof"]) & leaves  # a hash of a blinded commitment: nothing to guess by


def test_a_head_says_nothing_without_its_blind() -> None:
    assert len({HEAD._replace(blind=bytes((each,)) * 32).commitment() for each in range(20)}) == 20


def test_every_field_of_a_head_is_committed_to() -> None:
    others = [
        HEAD._replace(tenant="ten_acmf"),
        HEAD._replace(size=41),
        HEAD._replace(root=bytes(32)),
        HEAD._replace(counts=bytes(32)),
        HEAD._replace(blind=bytes(32)),
        Head(HEAD.tenant + "\x00", HEAD.size, HEAD.root, HEAD.counts, HEAD.blind),
    ]
    assert len({each.commitment() for each in [HEAD, *others]}) == 7


@pytest.mark.parametrize(
    ("change", "step", "position"),
    [
        (lambda b: b.update(format="muniment/bundle/v2"), "bundle", None),
        (lambda b: b.update(more=1), "bundle", None),
        (lambda b: b.pop("complete"), "bundle", None),
        (lambda b: b["head"].update(size=-1), "bundle", None),
        (lambda b: b["head"].update(size=1 << 63), "bundle", None),
        (lambda b: b["head"].update(root="AAAA"), "bundle", None),
        (lambda b: b["head"].update(blind=""), "bundle", None),
        (lambda b: b["events"][0].update(stored="*"), "bundle", None),
        (lambda b: b["events"][0].update(proof=["AAAA"]), "bundle", None),
        (lambda b: b["events"][0].update(proof=b["events"][0]["proof"] * 20), "bundle", None),
        (lambda b: b["events"][0].update(position="1"), "bundle", None),
        (lambda b: b["events"][0].update(position=1.5), "bundle", None),
        (lambda b: b.update(checkpoint=b["checkpoint"].replace("\n3\n", "\n4\n")), "signature", None),
        (lambda b: b.update(checkpoint=b["checkpoint"] + "\n"), "signature", None),
        (lambda b: b.update(checkpoint=""), "signature", None),
        (lambda b: b["head"].update(tenant="ten_other"), "head", None),
        (lambda b: b["head"].update(size=39), "head", None),
        (lambda b: b["head"].update(root=flipped(b["head"]["root"])), "head", None),
        (lambda b: b["head"].update(counts=flipped(b["head"]["counts"])), "head", None),
        (lambda b: b["head"].update(blind=flipped(b["head"]["blind"])), "head", None),
        (lambda b: b["head"].update(index=0), "head", None),
        (lambda b: b["head"].update(index=3), "head", None),
        (lambda b: b["head"]["proof"].pop(), "head", None),
        (lambda b: b["head"]["proof"].reverse(), "head", None),
        (lambda b: b["events"].reverse(), "position", 7),
        (lambda b: b["events"].append(b["events"][0]), "position", 1),
        (lambda b: b["events"].insert(1, b["events"][0]), "position", 1),
        (lambda b: b["events"][1].update(stored=flipped(b["events"][1]["stored"], 30)), "position", 7),
        (lambda b: b["events"][1].update(position=8), "position", 8),
        (lambda b: b["events"][2].update(position=41), "position", 41),
        (lambda b: b["events"][0].update(position=0), "position", 0),
        (lambda b: b["events"][1]["proof"].pop(), "position", 7),
        (lambda b: b["events"][2].update(stored=b["events"][1]["stored"]), "position", 40),
        (lambda b: b["events"][2].update(stored=""), "position", 40),
    ],
)
def test_what_was_changed_is_found_with_its_place(
    change: Callable[[dict[str, Any]], object], step: str, position: int | None
) -> None:
    with pytest.raises(BundleWrong) as problem:
        verified(changed(change))
    assert (problem.value.step, problem.value.position) == (step, position)
    assert step in str(problem.value)


def test_every_bit_of_an_event_counts() -> None:
    stored = json.loads(BUNDLE)["events"][1]["stored"]
    for at in range(len(base64.b64decode(stored))):
        with pytest.raises(BundleWrong, match="position 7"):
            verified(changed(lambda b, at=at: b["events"][1].update(stored=flipped(stored, at))))  # type: ignore[misc]


def test_an_event_that_says_it_is_elsewhere_is_refused() -> None:
    """An operator who put one event in another's place before the checkpoint."""
    deployment, history, _, _ = small()
    history.keep(HISTORY.stored[6], {})
    head = history.head()
    bundle = deployment.bundle(head, deployment.add(head), [history.proof(41)])
    with pytest.raises(BundleWrong, match="position 41: the event says that it is at 7"):
        verify_bundle(bundle, TRUSTED, verifies)


def test_bytes_that_are_no_event_are_refused() -> None:
    deployment, history, _, _ = small()
    history.keep(b"what is this", {})
    head = history.head()
    bundle = deployment.bundle(head, deployment.add(head), [history.proof(41)])
    with pytest.raises(BundleWrong, match="position 41: the bytes are no stored event"):
        verify_bundle(bundle, TRUSTED, verifies)


def test_only_the_logs_own_key_is_enough() -> None:
    for trusted in ([], [DEPLOYMENT.witness.key], [Signer("other.example").key], [Signer("muniment.example/lo").key]):
        with pytest.raises(BundleWrong) as problem:
            verify_bundle(BUNDLE, trusted, verifies)
        assert problem.value.step == "signature"


def test_another_logs_key_does_not_speak_for_this_one() -> None:
    deployment, _, head, index = small()
    deployment.signer = Signer("other.example")
    with pytest.raises(BundleWrong, match="no trusted key of the log itself"):
        verify_bundle(deployment.bundle(head, index, EVENTS), [deployment.signer.key], verifies)


def test_witnesses_may_be_asked_for() -> None:
    trusted = [*TRUSTED, DEPLOYMENT.witness.key]
    found = verify_bundle(BUNDLE, trusted, verifies, witnesses=1)
    assert found.by[1] == Signed(DEPLOYMENT.witness.key, FIRST // SECOND)
    with pytest.raises(BundleWrong, match="1 trusted witnesses signed the checkpoint, and 2 are needed"):
        verify_bundle(BUNDLE, [*trusted, Signer("w2.example", COSIGNATURE).key], verifies, witnesses=2)
    with pytest.raises(BundleWrong, match="0 trusted witnesses"):
        verify_bundle(BUNDLE, TRUSTED, verifies, witnesses=1)


def test_an_older_checkpoint_does_not_reach_a_newer_head() -> None:
    deployment, history, _, _ = small()
    old = deployment.note()
    history.record("actor:usr_1")
    head = history.head()
    bundle = json.loads(deployment.bundle(head, deployment.add(head), [history.proof(41)]))
    verified(json.dumps(bundle).encode())
    bundle["checkpoint"] = old
    with pytest.raises(BundleWrong, match="head: the tenant's head is not in the log"):
        verified(json.dumps(bundle).encode())


def test_it_is_bounded() -> None:
    with pytest.raises(BundleWrong, match="larger than 64 MiB"):
        verified(b" " * (bundles.MOST_BUNDLE_BYTES + 1))
    with pytest.raises(BundleWrong, match="bundle: it is no bundle of this version"):
        verified(changed(lambda b: b.update(events=b["events"][:1] * (bundles.MOST_EVENTS + 1))))
    with pytest.raises(BundleWrong, match="bundle"):
        verified(b"[" * 100_000)


def test_what_was_written_then_is_verified_today() -> None:
    """The bundles are in people's hands: no version may stop to read them, or write others by the same name."""
    trusted = [parse_key(each) for each in (FOLDER / "bundle.vkey").read_text().split()]
    kept = verify_bundle((FOLDER / "bundle.muniment.json").read_bytes(), trusted, verifies, witnesses=1)
    assert [each.position for each in kept.events] == [1, 7, 40]
    complete = verify_bundle((FOLDER / "complete.muniment.json").read_bytes(), trusted, verifies, witnesses=1)
    assert complete.answer is not None
    assert (complete.answer.tag, complete.answer.matching, complete.answer.total) == ("user:a", 7, 13)
    assert (FOLDER / "bundle.muniment.json").read_bytes() == BUNDLE
