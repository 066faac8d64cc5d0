"""The tree is RFC 6962's: the reference vectors of Certificate Transparency, and a recursion taken from the text."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence.levels import Levels
from domain.evidence.proofs import root_at
from domain.evidence.tree import EMPTY_ROOT, Frontier, leaf_hash

# The inputs and roots that Certificate Transparency's reference implementation is tested with.
LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def merkle_tree_hash(entries: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    left, right = merkle_tree_hash(entries[:split]), merkle_tree_hash(entries[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def grown(entries: list[bytes]) -> Frontier:
    frontier = Frontier()
    for entry in entries:
        frontier.append(leaf_hash(entry))
    return frontier


@pytest.mark.parametrize("size", range(9))
def test_the_reference_vectors_hold(size: int) -> None:
    assert grown(LEAVES[:size]).root().hex() == ROOTS[size]
    assert merkle_tree_hash(LEAVES[:size]).hex() == ROOTS[size]


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == ROOTS[0]
    assert Frontier().root() == EMPTY_ROOT


def test_every_size_has_the_root_that_the_rfc_says() -> None:
    entries = [str(number).encode() for number in range(130)]
    frontier = Frontier()
    for size, entry in enumerate(entries, 1):
        frontier.append(leaf_hash(entry))
        assert frontier.root() == merkle_tree_hash(entries[:size])
        assert len(frontier.peaks) == size.bit_count()


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=40), max_size=70), st.lists(st.binary(max_size=40), max_size=20))
def test_a_tree_grows_on_from_where_it_was_packed(before: list[bytes], after: list[bytes]) -> None:
    frontier = grown(before)
    unpacked = Frontier.unpack(frontier.size, frontier.pack())
    for entry in after:
        unpacked.append(leaf_hash(entry))
    assert unpacked.root() == merkle_tree_hash(before + after)
    assert frontier.root() == merkle_tree_hash(before)


def test_a_copy_grows_alone() -> None:
    frontier = grown(LEAVES[:3])
    copy = frontier.copy()
    copy.append(leaf_hash(LEAVES[3]))
    assert frontier.root().hex() == ROOTS[3]
    assert copy.root().hex() == ROOTS[4]


@pytest.mark.parametrize(("size", "length"), [(3, 32), (4, 64), (0, 32), (1, 0), (1, 31)])
def test_a_frontier_of_another_size_is_noticed(size: int, length: int) -> None:
    with pytest.raises(ValueError, match="does not belong to a tree of this size"):
        Frontier.unpack(size, bytes(length))


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_many_at_once_are_the_same_as_one_by_one(parts: list[int]) -> None:
    entries = [str(number).encode() for number in range(sum(parts))]
    leaves = [leaf_hash(entry) for entry in entries]
    frontier, levels, at = Frontier(), Levels(), 0
    for part in parts:
        frontier.extend(leaves[at : at + part])
        levels.extend(leaves[at : at + part])
        at += part
    one_by_one, alike = grown(entries), Levels()
    for leaf in leaves:
        alike.append(leaf)
    assert (frontier.size, frontier.peaks) == (one_by_one.size, one_by_one.peaks)
    assert (levels.size, levels.memory) == (alike.size, alike.memory)
    assert root_at(levels.size, levels.node) == root_at(alike.size, alike.node) == merkle_tree_hash(entries)
