"""Tiles: a tree cut into files of at most 256 hashes, each served for ever. C2SP tlog-tiles."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from domain.evidence.levels import Levels
from domain.evidence.proofs import Node

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
MOST_LEVEL: Final = 7
"""Trees of less than 2^63 leaves have no tile above it."""
MOST_ENTRY: Final = 65_535
ENTRIES: Final = "entries"

_PATH: Final = re.compile(r"(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class NoSuchTile(Exception):
    """A path names no tile that a tree has; the message says why."""


class Tile(NamedTuple):
    """The place of a tile within its level; `level` is None for a bundle of entries, as wide as a tile of level 0."""

    level: int | None
    number: int
    width: int = WIDTH
    """How many hashes (or entries) it has, from 1 to 256."""

    @property
    def path(self) -> str:
        """After the log's prefix: `tile/0/x001/x234/067`, `tile/entries/000.p/7`."""
        groups = [f"{self.number % 1000:03d}"]
        rest = self.number // 1000
        while rest:
            groups.append(f"x{rest % 1000:03d}")
            rest //= 1000
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{ENTRIES if self.level is None else self.level}/{'/'.join(reversed(groups))}{partial}"

    def is_in(self, size: int) -> bool:
        """Whether a tree of this size has all of its hashes (a narrower tile stays valid as the tree grows)."""
        return self.number * WIDTH + self.width <= size >> HEIGHT * (self.level or 0)

    def places(self) -> range:
        """Of its hashes within the tree's level `8 * level`; of its entries among all."""
        return range(self.number * WIDTH, self.number * WIDTH + self.width)


def parse_tile(path: str) -> Tile:
    """What follows `tile/` in an address: `0/x001/x234/067`, `entries/000.p/7`. Raises NoSuchTile."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise NoSuchTile("a tile's path is its level, its index in groups of three digits, and .p/ with a width")
    level, groups, width = found.groups()
    number = int(groups.replace("/x", "").replace("x", "").replace("/", ""))
    tile = Tile(None if level == ENTRIES else int(level), number, WIDTH if width is None else int(width))
    if tile.width > WIDTH or (tile.level or 0) > MOST_LEVEL or f"tile/{path}" != tile.path:
        raise NoSuchTile("a tile has one path: no needless zeroes, and a width only if it is partial")
    return tile


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """All tiles of hashes that a tree of this size has and one of `since` had not: the full ones, then the partial."""
    for level in range(MOST_LEVEL + 1):
        hashes, had = size >> HEIGHT * level, since >> HEIGHT * level
        if not hashes:
            return
        for index in range(had // WIDTH, hashes // WIDTH):
            yield Tile(level, index)
        if hashes % WIDTH and hashes != had:
            yield Tile(level, hashes // WIDTH, hashes % WIDTH)


def tile_bytes(tile: Tile, node: Node) -> bytes:
    """The hashes of a tile that the tree has: 32 bytes each."""
    if tile.level is None:
        raise ValueError("a bundle of entries has no hashes")
    level = HEIGHT * tile.level
    return b"".join(node(level, place) for place in tile.places())


def tile_with(level: int, index: int, size: int) -> tuple[Tile, int]:
    """The tile of a tree of this size by which a node is known (see proofs.Node), and where in it the node begins."""
    above, below = divmod(level, HEIGHT)
    number, offset = divmod(index << below, WIDTH)
    return Tile(above, number, min(WIDTH, (size >> HEIGHT * above) - number * WIDTH)), offset


def tiles_for(size: int, ask: Callable[[Node], object]) -> list[Tile]:
    """The tiles of a tree of this size that are needed to answer what is asked of its nodes, such as a proof."""
    wanted: dict[Tile, None] = {}

    def note(level: int, index: int) -> bytes:
        wanted[tile_with(level, index, size)[0]] = None
        return bytes(32)

    ask(note)
    return list(wanted)


def node_of(size: int, tiles: Mapping[Tile, bytes]) -> Node:
    """A tree's nodes as its tiles say; nothing says that the tiles are right but the root they lead to."""

    def node(level: int, index: int) -> bytes:
        tile, offset = tile_with(level, index, size)
        hashes = tiles[tile]
        below = level % HEIGHT
        part = Levels(hashes[32 * at : 32 * at + 32] for at in range(offset, offset + (1 << below)))
        return part.node(below, 0)

    return node


def entry_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries of at most 65,535 bytes, each after its length in two bytes."""
    return b"".join(len(each).to_bytes(2, "big") + each for each in entries)


def parse_entries(bundle: bytes) -> list[bytes]:
    """Raises NoSuchTile for bytes that are no bundle of entries."""
    entries, at = [], 0
    while at < len(bundle):
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if at > len(bundle) or start > len(bundle):
            raise NoSuchTile("the bundle of entries ends within an entry")
        entries.append(bundle[start:at])
    if len(entries) > WIDTH:
        raise NoSuchTile("a bundle holds at most 256 entries")
    return entries
