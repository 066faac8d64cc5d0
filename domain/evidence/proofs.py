"""Proofs that a leaf is in a tree, and that a tree only grew: RFC 9162 §2.1.3 and §2.1.4, whose tree is RFC 6962's."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from domain.evidence.tree import EMPTY_ROOT

Node = Callable[[int, int], bytes]
"""The hash of a full subtree: `node(level, index)` covers the leaves `index << level` up to `(index + 1) << level`.

A leaf is at level 0, by its hash. Only asked for subtrees that lie wholly within the tree.
"""

MOST_HASHES: Final = 64
"""No proof in a tree of less than 2^63 leaves is longer."""
MOST_LEAVES: Final = (1 << 63) - 1
_NODE: Final = b"\x01"


class ProofWrong(Exception):
    """A proof does not show what it should; the message says which part."""


def joined(left: bytes, right: bytes) -> bytes:
    """RFC 6962 §2.1: the hash of a node by its two children's."""
    return hashlib.sha256(_NODE + left + right).digest()


def root_at(size: int, node: Node) -> bytes:
    """The root of the first `size` leaves."""
    return _hash_of(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """That leaf `index` (from 0) is in the tree of the first `size` leaves: from the leaf's sibling upwards."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in a tree of this size")
    first, end, path = 0, size, []
    while end - first > 1:
        middle = first + _left_of(end - first)
        if index < middle:
            path.append(_hash_of(middle, end, node))
            end = middle
        else:
            path.append(_hash_of(first, middle, node))
            first = middle
    path.reverse()
    return path


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """That the first `old` of the first `new` leaves are those of the older tree. Empty where nothing needs showing."""
    if not 0 <= old <= new:
        raise ValueError("the older tree is larger than the newer one")
    if old in (0, new):
        return []
    first, end, path = 0, new, []
    while old < end:
        middle = first + _left_of(end - first)
        if old <= middle:
            path.append(_hash_of(middle, end, node))
            end = middle
        else:
            path.append(_hash_of(first, middle, node))
            first = middle
    if first:
        path.append(_hash_of(first, end, node))
    path.reverse()
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """That the leaf with this hash is the one at `index` (from 0). Raises ProofWrong."""
    if root_from(leaf, index, size, proof) != root:
        raise ProofWrong("the leaf and its proof lead to another root")


def root_from(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root to which a leaf's hash and its proof lead. Raises ProofWrong. RFC 9162 §2.1.3.2."""
    if not 0 <= index < size <= MOST_LEAVES:
        raise ProofWrong("the leaf lies outside the tree")
    _must_be_hashes(leaf, *proof)
    place, last, found = index, size - 1, leaf
    for sibling in proof:
        if not last:
            raise ProofWrong("the proof is longer than the tree is high")
        if place & 1 or place == last:
            found = joined(sibling, found)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            found = joined(found, sibling)
        place >>= 1
        last >>= 1
    if last:
        raise ProofWrong("the proof is shorter than the tree is high")
    return found


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """That the newer tree begins with the whole older one. Raises ProofWrong. RFC 9162 §2.1.4.2."""
    if not 0 <= old <= new <= MOST_LEAVES:
        raise ProofWrong("the older tree is larger than the newer one")
    _must_be_hashes(old_root, new_root, *proof)
    if old == new or old == 0:
        if proof:
            raise ProofWrong("the proof has hashes where none are needed")
        if old_root != (new_root if old else EMPTY_ROOT):
            raise ProofWrong("two trees of one size have different roots" if old else "the empty tree has another root")
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ProofWrong("the proof is shorter than the tree is high")
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    old_found = new_found = path[0]
    for sibling in path[1:]:
        if not last:
            raise ProofWrong("the proof is longer than the tree is high")
        if place & 1 or place == last:
            old_found, new_found = joined(sibling, old_found), joined(sibling, new_found)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            new_found = joined(new_found, sibling)
        place >>= 1
        last >>= 1
    if last:
        raise ProofWrong("the proof is shorter than the tree is high")
    if old_found != old_root:
        raise ProofWrong("the proof does not lead to the older root")
    if new_found != new_root:
        raise ProofWrong("the proof does not lead to the newer root")


def _must_be_hashes(*hashes: bytes) -> None:
    if len(hashes) > MOST_HASHES + 2 or any(len(each) != 32 for each in hashes):
        raise ProofWrong("a proof is at most 64 hashes of 32 bytes")


def _left_of(size: int) -> int:
    """The largest power of two below a size of at least 2: how many leaves are on the left."""
    return 1 << ((size - 1).bit_length() - 1)


def _hash_of(first: int, end: int, node: Node) -> bytes:
    """Of the leaves from `first` up to `end`, where `first` is a multiple of the largest power of two that fits."""
    parts = []
    while first < end:
        level = (end - first).bit_length() - 1
        parts.append(node(level, first >> level))
        first += 1 << level
    found = parts.pop()
    while parts:
        found = joined(parts.pop(), found)
    return found
