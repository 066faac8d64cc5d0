"""Tag counts: for each tag of a tenant how many events carry it and which was the last, under one root.

Tags are hashed, and the first `depth` bits of a tag's hash say in which of 2^depth buckets it is kept. A bucket is the
list of its tags in order of their hashes, so it shows what is in it and what is not; an RFC 6962 tree over the buckets
leads to one root, which covers the depth and the number of tags as well. The depth follows from the number of tags, so
one set of counts has one root.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from domain.evidence.levels import Levels
from domain.evidence.proofs import MOST_LEAVES, Node, ProofWrong, inclusion_proof, root_at, root_from
from domain.evidence.tree import leaf_hash

COUNT_BYTES: Final = 48
MOST_IN_BUCKET: Final = 65_536
MOST_DEPTH: Final = 40
_LABEL: Final = b"muniment/counts/v1"
_PER_BUCKET: Final = 8


class TagCount(NamedTuple):
    """How many events carry a tag, and the position of the last."""

    tag: bytes
    """The tag's hash."""
    total: int
    last: int


class CountProof(NamedTuple):
    """A whole bucket and its way to the root: it proves the count of each tag in it, and that no other is there."""

    depth: int
    tags: int
    """How many tags the tenant has."""
    bucket: tuple[TagCount, ...]
    path: tuple[bytes, ...]


def tag_hash(tag: str) -> bytes:
    """What stands for a tag: SHA-256 of its UTF-8."""
    return hashlib.sha256(tag.encode("utf-8", "surrogatepass")).digest()


def depth_of(tags: int) -> int:
    """How many bits choose the bucket among so many tags: buckets hold between four and eight, on average."""
    return ((tags - 1) // _PER_BUCKET).bit_length() if tags else 0


def bucket_of(tag: bytes, depth: int) -> int:
    """The number of the bucket that a tag's hash belongs to."""
    return int.from_bytes(tag[:8], "big") >> (64 - depth)


def bucket_hash(bucket: Iterable[TagCount]) -> bytes:
    """The leaf hash of a bucket, whose tags are in order of their hashes: 48 bytes each."""
    return leaf_hash(b"".join(tag + total.to_bytes(8, "big") + last.to_bytes(8, "big") for tag, total, last in bucket))


def counts_root(tags: int, buckets: bytes) -> bytes:
    """The root of the counts of so many tags, whose buckets' tree has the root `buckets`."""
    return hashlib.sha256(_LABEL + bytes((depth_of(tags),)) + tags.to_bytes(8, "big") + buckets).digest()


def count_proof(tag: bytes, tags: int, bucket: Sequence[TagCount], node: Node) -> CountProof:
    """The proof for a tag's hash; `bucket` is the one it belongs to, `node` of the tree over all 2^depth buckets."""
    depth = depth_of(tags)
    path = inclusion_proof(bucket_of(tag, depth), 1 << depth, node)
    return CountProof(depth, tags, tuple(bucket), tuple(path))


def verify_count(tag: str, proof: CountProof, root: bytes) -> TagCount:
    """How often the tag was carried, and when last; (0, 0) if never. Raises ProofWrong."""
    wanted = tag_hash(tag)
    if not 0 <= proof.tags <= MOST_LEAVES or proof.depth != depth_of(proof.tags) or proof.depth > MOST_DEPTH:
        raise ProofWrong("the depth does not follow from the number of tags")
    if len(proof.bucket) > min(proof.tags, MOST_IN_BUCKET):
        raise ProofWrong("the bucket holds more tags than there are")
    before = b""
    for each in proof.bucket:
        if len(each.tag) != 32 or not 0 < each.total <= each.last <= MOST_LEAVES:
            raise ProofWrong("a tag in the bucket has no possible count")
        if each.tag <= before:
            raise ProofWrong("the tags in the bucket are out of order")
        if bucket_of(each.tag, proof.depth) != bucket_of(wanted, proof.depth):
            raise ProofWrong("a tag in the bucket belongs to another one")
        before = each.tag
    place = bucket_of(wanted, proof.depth)
    if counts_root(proof.tags, root_from(bucket_hash(proof.bucket), place, 1 << proof.depth, proof.path)) != root:
        raise ProofWrong("the bucket and its way lead to another root of the tag counts")
    return next((each for each in proof.bucket if each.tag == wanted), TagCount(wanted, 0, 0))


class TagCounts:
    """All counts of a tenant, in memory: what a store of them must agree with."""

    def __init__(self, counts: Iterable[TagCount]) -> None:
        self.counts = sorted(counts)
        self.depth = depth_of(len(self.counts))
        self._buckets: list[list[TagCount]] = [[] for _ in range(1 << self.depth)]
        for each in self.counts:
            self._buckets[bucket_of(each.tag, self.depth)].append(each)
        self._tree = Levels(bucket_hash(each) for each in self._buckets)

    def root(self) -> bytes:
        return counts_root(len(self.counts), root_at(self._tree.size, self._tree.node))

    def proof(self, tag: str) -> CountProof:
        """Of its count, or that no event carries it."""
        hashed = tag_hash(tag)
        return count_proof(hashed, len(self.counts), self._buckets[bucket_of(hashed, self.depth)], self._tree.node)


EMPTY_COUNTS: Final = TagCounts(()).root()
"""The root of a tenant without events."""
