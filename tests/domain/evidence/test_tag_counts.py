"""The counts of tags have one root, prove what is there and what is not, and nothing else."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence.levels import Levels
from domain.evidence.proofs import ProofWrong
from domain.evidence.tag_counts import (
    EMPTY_COUNTS,
    CountProof,
    TagCount,
    TagCounts,
    bucket_hash,
    bucket_of,
    counts_root,
    depth_of,
    tag_hash,
    verify_count,
)
from domain.evidence.tree import EMPTY_ROOT, leaf_hash


def counts(tags: int) -> TagCounts:
    return TagCounts(TagCount(tag_hash(f"user:{number}"), 1 + number % 7, 100 + number) for number in range(tags))


def test_the_depth_follows_from_the_number_of_tags() -> None:
    assert [depth_of(tags) for tags in (0, 1, 8, 9, 16, 17, 32, 33, 1_000_000)] == [0, 0, 0, 1, 1, 2, 2, 3, 17]


@pytest.mark.parametrize("tags", [0, 1, 2, 8, 9, 40, 300])
def test_every_tag_and_every_absence_is_proved(tags: int) -> None:
    these = counts(tags)
    root = these.root()
    for number in range(tags):
        assert verify_count(f"user:{number}", these.proof(f"user:{number}"), root)[1:] == (1 + number % 7, 100 + number)
    for number in range(20):
        assert verify_count(f"group:{number}", these.proof(f"group:{number}"), root)[1:] == (0, 0)


def test_the_root_is_what_the_documentation_says() -> None:
    """Computed again from the words alone: two buckets, a tree over them, the depth and the number of tags."""
    nine = [TagCount(tag_hash(f"user:{number}"), number + 1, 50 + number) for number in range(9)]
    buckets = [b"", b""]
    for tag, total, last in sorted(nine):
        buckets[tag[0] >> 7] += tag + total.to_bytes(8, "big") + last.to_bytes(8, "big")
    leaves = [hashlib.sha256(b"\x00" + each).digest() for each in buckets]
    top = hashlib.sha256(b"\x01" + leaves[0] + leaves[1]).digest()
    assert TagCounts(nine).root() == hashlib.sha256(b"muniment/counts/v1\x01" + (9).to_bytes(8, "big") + top).digest()
    assert EMPTY_COUNTS == counts_root(0, leaf_hash(b"")) != EMPTY_ROOT


def test_a_deeper_tree_splits_each_bucket_in_two() -> None:
    for tag in (tag_hash(f"user:{number}") for number in range(200)):
        for depth in range(20):
            assert bucket_of(tag, depth + 1) >> 1 == bucket_of(tag, depth)


def test_order_does_not_matter_and_every_number_does() -> None:
    some = [TagCount(tag_hash(f"user:{number}"), 1, 100) for number in range(30)]
    root = TagCounts(some).root()
    assert TagCounts(reversed(some)).root() == root
    for at in (0, 13, 29):
        for changed in (some[at]._replace(total=2), some[at]._replace(last=101)):
            assert TagCounts([*some[:at], changed, *some[at + 1 :]]).root() != root
        assert TagCounts(some[:at] + some[at + 1 :]).root() != root


def forged(proof: CountProof, tag: str) -> list[CountProof]:
    """What somebody may try who wants another count to be believed."""
    hashed, bucket = tag_hash(tag), proof.bucket
    more, fewer = ([each._replace(total=each.total + by) for each in bucket] for by in (1, -1))
    later = [each._replace(last=each.last + 1) for each in bucket]
    without = [each for each in bucket if each.tag != hashed]
    return [
        *(proof._replace(bucket=tuple(each)) for each in (more, fewer, later, without, reversed(bucket), bucket * 2)),
        proof._replace(bucket=(*bucket, TagCount(b"\xff" * 32, 1, 1))),
        proof._replace(bucket=(*bucket, TagCount(b"short", 1, 1))),
        proof._replace(depth=proof.depth + 1),
        proof._replace(depth=proof.depth - 1),
        proof._replace(tags=proof.tags + 1),
        proof._replace(tags=proof.tags - 1),
        proof._replace(tags=proof.tags * 2, depth=proof.depth + 1),
        proof._replace(tags=-1, depth=0),
        proof._replace(tags=1 << 62, depth=depth_of(1 << 62)),
        proof._replace(path=proof.path[1:]),
        proof._replace(path=(*proof.path, bytes(32))),
        proof._replace(path=(bytes(32), *proof.path[1:])),
        proof._replace(path=tuple(reversed(proof.path))),
    ]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(20, 120), st.integers(0, 150))
def test_a_changed_proof_is_refused(tags: int, number: int) -> None:
    these, tag = counts(tags), f"user:{number}"
    proof = these.proof(tag)
    for each in forged(proof, tag):
        if each == proof:
            continue
        with pytest.raises(ProofWrong):
            verify_count(tag, each, these.root())


def test_a_neighbours_bucket_does_not_show_an_absence() -> None:
    these = counts(100)
    for number in range(100):
        for other in range(100):
            mine, theirs = (bucket_of(tag_hash(f"user:{each}"), depth_of(100)) for each in (number, other))
            if mine != theirs:
                with pytest.raises(ProofWrong):
                    verify_count(f"user:{number}", these.proof(f"user:{other}"), these.root())


def test_a_bucket_lies_where_its_number_says() -> None:
    """The tree over buckets is an ordinary one: an adapter that keeps hashes alone makes the same root."""
    some = sorted(TagCount(tag_hash(f"user:{number}"), 1, 100) for number in range(70))
    depth = depth_of(len(some))
    buckets: list[list[TagCount]] = [[] for _ in range(1 << depth)]
    for each in some:
        buckets[bucket_of(each.tag, depth)].append(each)
    tree = Levels(bucket_hash(each) for each in buckets)
    assert counts_root(len(some), tree.node(depth, 0)) == TagCounts(some).root()
    assert [each for bucket in buckets for each in bucket] == some
