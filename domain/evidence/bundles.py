"""A bundle: one file by which anybody with the log's public key can check events of one tenant, offline.

It leads from each event to the root of the tenant's tree, from the tenant's head to the root of the deployment's log,
and from there to a signed checkpoint; of other tenants it holds nothing but hashes of what nobody can guess. It may
answer a question as well, so that one can check that no event is left out: see `completeness`.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from domain.event import MOST_BYTES as MOST_EVENT_BYTES
from domain.evidence.checkpoints import Checkpoint, CheckpointWrong, parse_checkpoint
from domain.evidence.completeness import Answer, AnswerWrong, Proven, Range, check_answer
from domain.evidence.heads import BLIND_BYTES, Head
from domain.evidence.notes import COSIGNATURE, ED25519, NoteWrong, PublicKey, Signed, Verifies, open_note
from domain.evidence.proofs import MOST_HASHES, MOST_LEAVES, ProofWrong, verify_inclusion
from domain.evidence.stamps import Stamp, StampWrong, read_stamp
from domain.evidence.tag_counts import MOST_IN_BUCKET, CountProof, TagCount
from domain.evidence.tree import leaf_hash

SUFFIX: Final = ".muniment.json"
MOST_BUNDLE_BYTES: Final = 64 << 20
MOST_EVENTS: Final = 20_000
MEDIA_TYPE: Final = "application/json"

_Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Path = Annotated[tuple[_Hash, ...], msgspec.Meta(max_length=MOST_HASHES)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_LEAVES)]
_Text = Annotated[str, msgspec.Meta(max_length=MOST_EVENT_BYTES)]


class BundleWrong(Exception):
    """A bundle does not prove what it says."""

    def __init__(self, step: str, problem: str, position: int | None = None) -> None:
        where = step if position is None else f"{step} {position}"
        super().__init__(f"{where}: {problem}")
        self.step = step
        """Which step fails: bundle, signature, checkpoint, head, position, or completeness."""
        self.problem = problem
        self.position = position


class EventProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event's stored bytes, and the way from their leaf to the root of the tenant's tree."""

    position: _Count
    stored: Annotated[bytes, msgspec.Meta(max_length=MOST_EVENT_BYTES)]
    proof: _Path


class BundledHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tenant's head, and the way from its leaf to the root of the deployment's log."""

    tenant: _Text
    size: _Count
    root: _Hash
    counts: _Hash
    blind: Annotated[bytes, msgspec.Meta(min_length=BLIND_BYTES, max_length=BLIND_BYTES)]
    index: _Count
    """Of the leaf in the deployment's log, from 0."""
    proof: _Path


class BundledRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `first` to `last`, both within: positions, or microseconds since 1970 in UTC."""

    by: Literal["position", "recorded_at"]
    first: _Count
    last: _Count


class BundledAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the bundle's events are all of, and what shows it."""

    tag: _Text
    range: BundledRange
    depth: Annotated[int, msgspec.Meta(ge=0, le=64)]
    tags: _Count
    bucket: Annotated[tuple[tuple[_Hash, _Count, _Count], ...], msgspec.Meta(max_length=MOST_IN_BUCKET)]
    """Each: a tag's hash, how many events carry it, the position of the last."""
    path: _Path
    before: EventProof | None
    """The tag's last event before the range, if there is one."""
    after: EventProof | None
    """The tag's first event after the range, if there is one."""


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file, as JSON: bytes are base64, and no member may be missing or unknown."""

    format: Literal["muniment/bundle/v1"]
    checkpoint: _Text
    """The deployment's signed note."""
    head: BundledHead
    events: Annotated[tuple[EventProof, ...], msgspec.Meta(max_length=MOST_EVENTS)]
    """In order of their positions."""
    complete: BundledAnswer | None


class VerifiedEvent(NamedTuple):
    """An event that is in the history."""

    position: int
    stored: bytes
    stamp: Stamp


class Verified(NamedTuple):
    """What a bundle proves."""

    checkpoint: Checkpoint
    by: tuple[Signed, ...]
    """The trusted keys that signed the checkpoint: the log's own, and witnesses with their times."""
    head: Head
    leaf: int
    """The index of the head's leaf in the deployment's log."""
    events: tuple[VerifiedEvent, ...]
    answer: Answer | None
    """What the events are all of, among the first `head.size` of the tenant."""


def write_bundle(
    checkpoint: str,
    head: Head,
    index: int,
    proof: Sequence[bytes],
    events: Sequence[EventProof],
    answer: BundledAnswer | None = None,
) -> bytes:
    """The file: `checkpoint` is the signed note, `index` and `proof` the place of the head in the deployment's log."""
    bundled = BundledHead(*head, index, tuple(proof))
    return msgspec.json.encode(Bundle("muniment/bundle/v1", checkpoint, bundled, tuple(events), answer))


def bundled_answer(
    tag: str, wanted: Range, proof: CountProof, before: EventProof | None, after: EventProof | None
) -> BundledAnswer:
    """What shows that a bundle's events are all with the tag in the range: the neighbours, and the tag's count."""
    asked = BundledRange(wanted.by, wanted.first, wanted.last)
    return BundledAnswer(tag, asked, proof.depth, proof.tags, proof.bucket, proof.path, before, after)


def read_bundle(data: bytes) -> Bundle:
    """What the file says, nothing of which is checked. Raises BundleWrong."""
    if len(data) > MOST_BUNDLE_BYTES:
        raise BundleWrong("bundle", f"it is larger than {MOST_BUNDLE_BYTES >> 20} MiB")
    try:
        return msgspec.json.decode(data, type=Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BundleWrong("bundle", f"it is no bundle of this version: {str(problem)[:200]}") from None


def verify_bundle(data: bytes, trusted: Sequence[PublicKey], verifies: Verifies, *, witnesses: int = 0) -> Verified:
    """What the bundle proves to somebody who trusts these keys. Raises BundleWrong.

    A key of the log itself (of kind 1, called like the log's origin) must have signed, and at least so many of the
    trusted `witnesses` (of kind 4).
    """
    bundle = read_bundle(data)
    checkpoint, by = _check_signatures(bundle.checkpoint, trusted, verifies, witnesses)
    head = _check_head(bundle.head, checkpoint)
    events, before = [], 0
    for each in bundle.events:
        if each.position <= before:
            raise BundleWrong("position", "the events are out of order", each.position)
        before = each.position
        events.append(_check_event(each, head))
    answer = None if bundle.complete is None else _check_complete(bundle.complete, events, head)
    return Verified(checkpoint, by, head, bundle.head.index, tuple(events), answer)


def _check_signatures(
    note: str, trusted: Sequence[PublicKey], verifies: Verifies, witnesses: int
) -> tuple[Checkpoint, tuple[Signed, ...]]:
    try:
        opened = open_note(note.encode("utf-8", "replace"), trusted, verifies)
    except NoteWrong as problem:
        raise BundleWrong("signature", str(problem)) from None
    try:
        checkpoint = parse_checkpoint(opened.text)
    except CheckpointWrong as problem:
        raise BundleWrong("checkpoint", str(problem)) from None
    if not any(each.key.kind == ED25519 and each.key.name == checkpoint.origin for each in opened.by):
        raise BundleWrong("signature", "no trusted key of the log itself signed the checkpoint")
    seen = len({each.key.public for each in opened.by if each.key.kind == COSIGNATURE})
    if seen < witnesses:
        raise BundleWrong("signature", f"{seen} trusted witnesses signed the checkpoint, and {witnesses} are needed")
    return checkpoint, opened.by


def _check_head(bundled: BundledHead, checkpoint: Checkpoint) -> Head:
    head = Head(bundled.tenant, bundled.size, bundled.root, bundled.counts, bundled.blind)
    try:
        leaf = leaf_hash(head.commitment())
        verify_inclusion(leaf, bundled.index, checkpoint.size, bundled.proof, checkpoint.root)
    except (ProofWrong, UnicodeEncodeError):
        raise BundleWrong("head", "the tenant's head is not in the log that the checkpoint is of") from None
    return head


def _check_event(event: EventProof, head: Head) -> VerifiedEvent:
    try:
        verify_inclusion(leaf_hash(event.stored), event.position - 1, head.size, event.proof, head.root)
        stamp = read_stamp(event.stored)
    except ProofWrong as problem:
        raise BundleWrong("position", f"the event is not in the tenant's history: {problem}", event.position) from None
    except StampWrong as problem:
        raise BundleWrong("position", str(problem), event.position) from None
    if stamp.position != event.position:
        raise BundleWrong("position", f"the event says that it is at {stamp.position}", event.position)
    return VerifiedEvent(event.position, event.stored, stamp)


def _check_complete(bundled: BundledAnswer, events: Sequence[VerifiedEvent], head: Head) -> Answer:
    neighbours = [None if each is None else _check_event(each, head) for each in (bundled.before, bundled.after)]
    before, after = (None if each is None else Proven(each.position, each.stamp) for each in neighbours)
    bucket = tuple(TagCount(*each) for each in bundled.bucket)
    proof = CountProof(bundled.depth, bundled.tags, bucket, bundled.path)
    asked = Range(bundled.range.by, bundled.range.first, bundled.range.last)
    try:
        within = [Proven(each.position, each.stamp) for each in events]
        return check_answer(bundled.tag, asked, within, before, after, proof, head)
    except (AnswerWrong, ProofWrong) as problem:
        raise BundleWrong("completeness", str(problem)) from None
