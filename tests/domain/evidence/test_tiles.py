"""Tiles are where C2SP tlog-tiles says, in one path each, and hold the hashes that proofs are made of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence.levels import Levels
from domain.evidence.proofs import consistency_proof, inclusion_proof, root_at
from domain.evidence.tiles import (
    NoSuchTile,
    Tile,
    entry_bundle,
    node_of,
    parse_entries,
    parse_tile,
    tile_bytes,
    tiles_for,
    tiles_of,
)
from domain.evidence.tree import leaf_hash
from tests.evidence_vectors import vectors

VECTORS = vectors("tiles")
ENTRIES = [b"entry %d" % number for number in range(70_000)]
TREE = Levels(leaf_hash(entry) for entry in ENTRIES)


@pytest.mark.parametrize(("path", "level", "number", "width"), VECTORS["paths"])
def test_a_tile_has_its_path(path: str, level: int | None, number: int, width: int) -> None:
    tile = Tile(level, number, width)
    assert tile.path == path
    assert parse_tile(path.removeprefix("tile/")) == tile


@pytest.mark.parametrize("path", VECTORS["no_paths"])
def test_other_paths_are_no_tiles(path: str) -> None:
    with pytest.raises(NoSuchTile):
        parse_tile(path)


@settings(derandomize=True, deadline=None)
@given(st.one_of(st.none(), st.integers(0, 7)), st.integers(0, 10**18 - 1), st.integers(1, 256))
def test_every_tile_is_found_again_by_its_path(level: int | None, number: int, width: int) -> None:
    tile = Tile(level, number, width)
    assert parse_tile(tile.path.removeprefix("tile/")) == tile


@settings(derandomize=True, deadline=None)
@given(st.text("0123456789x./pentris\n", max_size=40))
def test_whatever_is_asked_is_a_tile_or_none(path: str) -> None:
    try:
        tile = parse_tile(path)
    except NoSuchTile:
        return
    assert tile.path == f"tile/{path}"


def test_a_tree_of_seventy_thousand_has_the_tiles_that_the_specification_counts() -> None:
    tiles = list(tiles_of(70_000))
    wanted = VECTORS["tree_of_70000"]
    full = [each for each in tiles if each.width == 256]
    assert {str(level): sum(each.level == level for each in full) for level in (0, 1)} == wanted["full"]
    assert [each.path for each in tiles if each.width < 256] == wanted["partial"]
    assert all(each.is_in(70_000) for each in tiles)
    assert [each.path for each in tiles_of(256)] == VECTORS["tree_of_256"]
    assert list(tiles_of(0)) == []


def test_a_tree_that_grew_has_the_tiles_of_both() -> None:
    for old, new in ((0, 1), (1, 1), (255, 256), (256, 257), (300, 65_536), (65_536, 70_000)):
        fresh = set(tiles_of(new, old))
        assert fresh >= set(tiles_of(new)) - set(tiles_of(old))
        assert all(each.is_in(new) for each in fresh)
        assert not any(each.is_in(old) for each in fresh)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 4_000, 65_536, 65_537, 70_000])
def test_tiles_are_enough_for_every_proof(size: int) -> None:
    """A reader that has nothing but tiles makes the same root and proofs, of a few tiles each."""
    served = {each: tile_bytes(each, TREE.node) for each in tiles_of(size)}
    node = node_of(size, served)
    assert root_at(size, node) == root_at(size, TREE.node)
    for index in {0, size // 2, size - 1}:
        assert inclusion_proof(index, size, node) == inclusion_proof(index, size, TREE.node)
        old = index + 1
        proof = consistency_proof(old, size, TREE.node)
        needed = tiles_for(size, lambda asked, old=old: consistency_proof(old, size, asked))  # type: ignore[misc]
        assert len(needed) <= 6
        few = node_of(size, {each: served[each] for each in needed})
        assert consistency_proof(old, size, few) == proof


def test_other_tiles_lead_to_another_root() -> None:
    served = {each: tile_bytes(each, TREE.node) for each in tiles_of(300)}
    served[Tile(0, 1, 44)] = bytes(32 * 44)
    assert root_at(300, node_of(300, served)) != root_at(300, TREE.node)
    with pytest.raises(IndexError):
        root_at(300, node_of(300, dict.fromkeys(served, b"short")))


def test_a_bundle_of_entries_is_read_as_it_was_written() -> None:
    entries = [b"", b"one", b"x" * 65_535]
    bundle = entry_bundle(entries)
    assert bundle.startswith(b"\x00\x00\x00\x03one\xff\xff")
    assert parse_entries(bundle) == entries
    assert parse_entries(b"") == []
    with pytest.raises(NoSuchTile):
        parse_entries(bundle[:-1])
    with pytest.raises(NoSuchTile):
        parse_entries(bundle + b"\x00")
    with pytest.raises(NoSuchTile):
        parse_entries(bytes(2 * 257))


def test_entries_have_no_hashes() -> None:
    with pytest.raises(ValueError, match="no hashes"):
        tile_bytes(Tile(None, 0), TREE.node)
    assert not Tile(None, 0).is_in(255)
    assert Tile(None, 0).is_in(256)
    assert list(Tile(None, 2, 3).places()) == [512, 513, 514]
