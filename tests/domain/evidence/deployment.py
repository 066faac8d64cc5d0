"""A small deployment for tests: tenants with histories, their log, its keys, and the bundles a node would make."""

import hashlib
from collections.abc import Sequence

from adapters.avro.codec import Body, encode_tags, frame
from domain.directory.groups import MemberAdded
from domain.evidence.bundles import BundledAnswer, EventProof, bundled_answer, write_bundle
from domain.evidence.checkpoints import Checkpoint
from domain.evidence.completeness import Range
from domain.evidence.heads import Head
from domain.evidence.levels import Levels
from domain.evidence.notes import COSIGNATURE, Note
from domain.evidence.proofs import inclusion_proof, root_at
from domain.evidence.tag_counts import TagCount, TagCounts, tag_hash
from domain.evidence.tree import leaf_hash
from tests.domain.evidence.signing import Signer

ORIGIN = "muniment.example/log"
FIRST = 1_700_000_000_000_000
SECOND = 1_000_000


def stored_event(position: int, instant: int, nth: dict[str, int]) -> bytes:
    """As the ledger keeps it; what follows the tags is short."""
    body = Body(b"who and why", f"event {position}".encode(), encode_tags(list(nth)))
    return frame(MemberAdded, position, instant, list(nth.values()), f"event-{position}", body).stored


class History:
    """A tenant's: its stored bytes, tree and tag counts; an event a second."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.stored: list[bytes] = []
        self.nth: list[dict[str, int]] = []
        self.tree = Levels()
        self.counts: dict[str, tuple[int, int]] = {}

    def record(self, *tags: str) -> None:
        position = len(self.stored) + 1
        nth = {tag: self.counts.get(tag, (0, 0))[0] + 1 for tag in tags}
        self.keep(stored_event(position, self.instant(position), nth), nth)

    def keep(self, stored: bytes, nth: dict[str, int]) -> None:
        """Bytes as they are: a dishonest operator may number as it likes."""
        self.stored.append(stored)
        self.nth.append(nth)
        self.tree.append(leaf_hash(stored))
        for tag, number in nth.items():
            self.counts[tag] = (number, len(self.stored))

    def instant(self, position: int) -> int:
        return FIRST + (position - 1) * SECOND

    def with_tag(self, tag: str) -> list[int]:
        return [position for position, nth in enumerate(self.nth, 1) if tag in nth]

    def tag_counts(self) -> TagCounts:
        return TagCounts(TagCount(tag_hash(tag), total, last) for tag, (total, last) in self.counts.items())

    def head(self, number: int = 0) -> Head:
        blind = hashlib.sha256(f"{self.tenant} {len(self.stored)} {number}".encode()).digest()
        root = root_at(self.tree.size, self.tree.node)
        return Head(self.tenant, self.tree.size, root, self.tag_counts().root(), blind)

    def proof(self, position: int) -> EventProof:
        proof = inclusion_proof(position - 1, self.tree.size, self.tree.node)
        return EventProof(position, self.stored[position - 1], tuple(proof))

    def answer(self, tag: str, asked: Range) -> tuple[list[EventProof], BundledAnswer]:
        """All events with the tag in the range, and what shows that they are all."""
        place = {each: each if asked.by == "position" else self.instant(each) for each in self.with_tag(tag)}
        within = [each for each, at in place.items() if asked.first <= at <= asked.last]
        before = [each for each, at in place.items() if at < asked.first]
        after = [each for each, at in place.items() if at > asked.last]
        answer = bundled_answer(
            tag,
            asked,
            self.tag_counts().proof(tag),
            self.proof(before[-1]) if before else None,
            self.proof(after[0]) if after else None,
        )
        return [self.proof(each) for each in within], answer


class Deployment:
    """The log of all tenants' heads, its key and one witness."""

    def __init__(self) -> None:
        self.signer = Signer(ORIGIN)
        self.witness = Signer("witness.example", COSIGNATURE)
        self.log = Levels()
        self.entries: list[bytes] = []

    def add(self, head: Head) -> int:
        """The leaf's index."""
        self.entries.append(head.commitment())
        self.log.append(leaf_hash(head.commitment()))
        return self.log.size - 1

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(ORIGIN, self.log.size, root_at(self.log.size, self.log.node))

    def note(self) -> str:
        text = self.checkpoint().text
        return str(Note(text, (self.signer.sign(text), self.witness.sign(text, FIRST // SECOND))))

    def bundle(
        self, head: Head, index: int, events: Sequence[EventProof], answer: BundledAnswer | None = None
    ) -> bytes:
        proof = inclusion_proof(index, self.log.size, self.log.node)
        return write_bundle(self.note(), head, index, proof, events, answer)


def small() -> tuple[Deployment, History, Head, int]:
    """Three tenants, of which one is looked at: 40 events, `user:a` in every third and `group:g` in every ninth.

    There are 50 tags in all, so that there are several buckets of them.
    """
    deployment, history = Deployment(), History("ten_acme")
    for number in range(40):
        history.record(*_tags(number))
    deployment.add(Head("ten_before", 3, bytes(32), bytes(32), b"before".ljust(32)))
    head = history.head()
    index = deployment.add(head)
    deployment.add(Head("ten_after", 9, bytes(32), bytes(32), b"after".ljust(32)))
    return deployment, history, head, index


def _tags(number: int) -> list[str]:
    tags = ["actor:usr_1", f"command:cmd_{number}"]
    if number % 3 == 1:
        tags.append("user:a")
    if number % 9 == 1:
        tags.append("group:g")
    if number > 32:
        tags.append(f"flag:flg_{number}")
    return tags
