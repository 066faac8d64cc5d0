"""Proofs hold for every leaf and every pair of sizes, are those of the RFC's recursion, and hold for nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence.levels import Levels
from domain.evidence.proofs import (
    MOST_LEAVES,
    ProofWrong,
    consistency_proof,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from domain.evidence.tree import EMPTY_ROOT, Frontier, leaf_hash
from tests.domain.evidence.test_tree import merkle_tree_hash
from tests.evidence_vectors import vectors

MOST = 200
ENTRIES = [b"entry %d" % number for number in range(MOST)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
TREE = Levels(LEAVES)
ROOTS = [merkle_tree_hash(ENTRIES[:size]) for size in range(MOST + 1)]
CT = vectors("rfc6962")


def path(index: int, entries: list[bytes]) -> list[bytes]:
    """RFC 6962 §2.1.1, word for word."""
    if len(entries) == 1:
        return []
    split = 1 << (len(entries) - 1).bit_length() - 1
    if index < split:
        return [*path(index, entries[:split]), merkle_tree_hash(entries[split:])]
    return [*path(index - split, entries[split:]), merkle_tree_hash(entries[:split])]


def subproof(old: int, entries: list[bytes], known: bool) -> list[bytes]:
    """RFC 6962 §2.1.2, word for word."""
    if old == len(entries):
        return [] if known else [merkle_tree_hash(entries)]
    split = 1 << (len(entries) - 1).bit_length() - 1
    if old <= split:
        return [*subproof(old, entries[:split], known), merkle_tree_hash(entries[split:])]
    return [*subproof(old - split, entries[split:], False), merkle_tree_hash(entries[:split])]


def test_every_size_has_its_root() -> None:
    frontier = Frontier()
    assert root_at(0, TREE.node) == EMPTY_ROOT == ROOTS[0]
    for size, leaf in enumerate(LEAVES, 1):
        frontier.append(leaf)
        assert root_at(size, TREE.node) == frontier.root() == ROOTS[size]


def test_every_leaf_of_every_size_is_proved() -> None:
    for size in range(1, MOST + 1):
        for index in range(size):
            proof = inclusion_proof(index, size, TREE.node)
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
            for other in {index - 1, index + 1, index ^ 2, size - 1 - index} - {index}:
                with pytest.raises(ProofWrong):
                    verify_inclusion(LEAVES[index], other, size, proof, ROOTS[size])


def test_every_pair_of_sizes_is_proved() -> None:
    for new in range(MOST + 1):
        for old in range(new + 1):
            proof = consistency_proof(old, new, TREE.node)
            verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)
            if 0 < old < new:
                for wrong in (ROOTS[old - 1], ROOTS[old + 1]):
                    with pytest.raises(ProofWrong):
                        verify_consistency(old, wrong, new, ROOTS[new], proof)
                with pytest.raises(ProofWrong):
                    verify_consistency(old, ROOTS[old], new, ROOTS[new - 1], proof)


def test_proofs_are_those_of_the_rfc() -> None:
    for size in range(1, 34):
        for index in range(size):
            assert inclusion_proof(index, size, TREE.node) == path(index, ENTRIES[:size])
        for old in range(1, size + 1):
            assert consistency_proof(old, size, TREE.node) == subproof(old, ENTRIES[:size], True)


def test_the_vectors_of_certificate_transparency_hold() -> None:
    entries = [bytes.fromhex(each) for each in CT["entries"]]
    roots = [bytes.fromhex(each) for each in CT["roots"]]
    tree = Levels(leaf_hash(each) for each in entries)
    assert [root_at(size, tree.node) for size in range(9)] == roots
    for each in CT["inclusion"]:
        index, size, proof = each["index"], each["size"], [bytes.fromhex(node) for node in each["proof"]]
        assert inclusion_proof(index, size, tree.node) == proof
        verify_inclusion(leaf_hash(entries[index]), index, size, proof, roots[size])
    for each in CT["consistency"]:
        old, new, proof = each["old"], each["new"], [bytes.fromhex(node) for node in each["proof"]]
        assert consistency_proof(old, new, tree.node) == proof
        verify_consistency(old, roots[old], new, roots[new], proof)


def changed(proof: list[bytes]) -> list[list[bytes]]:
    """What Certificate Transparency's own tests make of a proof that held."""
    turned = [[*proof[:at], bytes((each[0] ^ 1,)) + each[1:], *proof[at + 1 :]] for at, each in enumerate(proof)]
    left_out = [proof[:at] + proof[at + 1 :] for at in range(len(proof))]
    swapped = [[*proof[:at], proof[at + 1], proof[at], *proof[at + 2 :]] for at in range(len(proof) - 1)]
    more = [[*proof, EMPTY_ROOT], [EMPTY_ROOT, *proof], [*proof, b""], [b"", *proof], proof + proof[-1:]]
    return [each for each in (*turned, *left_out, *swapped, *more) if each != proof]


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.data())
def test_a_changed_proof_proves_nothing(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, MOST))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    for proof in changed(inclusion_proof(index, size, TREE.node)):
        with pytest.raises(ProofWrong):
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
    for proof in changed(consistency_proof(old, size, TREE.node)):
        with pytest.raises(ProofWrong):
            verify_consistency(old, ROOTS[old], size, ROOTS[size], proof)


HASHES = st.lists(st.sampled_from([*ROOTS[:6], *LEAVES[:6], b"", bytes(31)]), max_size=70)
SIZES = st.one_of(st.integers(-2, 20), st.integers(MOST_LEAVES - 3, MOST_LEAVES + 2))


@settings(derandomize=True, deadline=None, max_examples=500)
@given(SIZES, SIZES, HASHES, st.sampled_from(ROOTS[:9]), st.sampled_from(ROOTS[:9]))
def test_nonsense_is_refused_and_never_more(one: int, other: int, proof: list[bytes], root: bytes, old: bytes) -> None:
    for leaf in (LEAVES[0], b""):
        try:
            verify_inclusion(leaf, one, other, proof, root)
        except ProofWrong:
            continue
        assert proof == path(one, ENTRIES[:other])
    try:
        verify_consistency(one, old, other, root, proof)
    except ProofWrong:
        return
    assert (one, old) == (other, root) or (one, old) == (0, EMPTY_ROOT) or proof == subproof(one, ENTRIES[:other], True)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3), (7, 3)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in a tree of this size"):
        inclusion_proof(index, size, TREE.node)


@pytest.mark.parametrize(("old", "new"), [(2, 1), (-1, 3)])
def test_a_tree_does_not_shrink(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="larger than the newer"):
        consistency_proof(old, new, TREE.node)


def test_a_tree_has_no_subtree_that_is_not_full() -> None:
    assert TREE.size == MOST
    assert TREE.memory == 32 * sum(MOST >> level for level in range(8))
    for level, index in ((0, MOST), (7, 1), (9, 0)):
        with pytest.raises(IndexError):
            TREE.node(level, index)
