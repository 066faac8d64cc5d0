"""Trees in memory: the hashes of the histories that are asked about, read once and grown, within a bound of bytes.

A tree is cut into blocks of 256 leaves. What lies above the blocks is small (one part in 256) and stays while its tree
does; what lies within them is let go first, block by block, and read again at need: no tree is too large to be proved.
"""

import contextlib
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from domain.evidence.proofs import Node
from domain.evidence.tree import leaf_hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
BLOCK_BYTES: Final = 2 * WIDTH * 32
MEGABYTE: Final = 1 << 20
_READ: Final = 16 * WIDTH
_NODE: Final = b"\x01"
_sha256: Final = hashlib.sha256
_STARTS: Final = tuple(sum(WIDTH >> below for below in range(level)) for level in range(HEIGHT))
"""Where each level of a block begins, in hashes."""

Leaves = Callable[[str, int, int], Sequence[bytes]]
"""`leaves(tree, after, limit)`: the hashes of the leaves that follow the first `after`, in their order."""


class TreeShort(Exception):
    """A tree has fewer leaves than were asked about."""


class Trees:
    """Of tenants, or of any logs that have names. Safe to use from any thread."""

    def __init__(self, leaves: Leaves, most_bytes: int) -> None:
        self._leaves = leaves
        self._most = most_bytes
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._trees: OrderedDict[str, _Tree] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        """Held for a moment by whoever changes the two above."""

    @property
    def memory(self) -> int:
        """What they take in memory now."""
        return self._bytes

    def node_of(self, name: str, size: int) -> Node:
        """The hashes of a tree that has at least `size` leaves, read as far as that. Raises TreeShort."""
        with self._lock:
            tree = self._trees.get(name)
            if tree is None:
                tree = self._trees[name] = _Tree(name)
            self._trees.move_to_end(name)
        if tree.size < size:
            with tree.lock:
                self._grow(tree, size)
        return lambda level, index: self._node(tree, level, index)

    def forget(self, name: str) -> None:
        """Read it anew the next time: it was another one's."""
        with self._lock:
            tree = self._trees.pop(name, None)
            if tree is not None:
                self._bytes -= tree.memory
            for block in [each for each in self._blocks if each[0] == name]:
                self._bytes -= len(self._blocks.pop(block))

    def _grow(self, tree: "_Tree", size: int) -> None:
        while tree.size < size:
            found = self._leaves(tree.name, tree.size, _READ)
            if not found:
                raise TreeShort(f"the history has {tree.size} events, not {size}")
            before = tree.memory
            made = tree.add(found)
            with self._lock:
                self._bytes += tree.memory - before
                for index, block in made:
                    self._keep(tree.name, index, block)
                self._shrink(tree.name)

    def _node(self, tree: "_Tree", level: int, index: int) -> bytes:
        if level >= HEIGHT:
            return tree.above(level - HEIGHT, index)
        number = index >> (HEIGHT - level)
        place = (_STARTS[level] + (index & (WIDTH >> level) - 1)) << 5
        key = (tree.name, number)
        block = self._blocks.get(key)
        if block is None:
            block = tree.unfinished(number) or self._read(tree, number)
        else:
            with contextlib.suppress(KeyError):  # it may have been let go just now
                self._blocks.move_to_end(key)
        found = block[place : place + 32]
        if len(found) != 32 or not any(found):
            raise IndexError("the tree has no such full subtree")
        return found

    def _read(self, tree: "_Tree", number: int) -> bytes:
        """A block that was let go."""
        leaves = self._leaves(tree.name, number * WIDTH, WIDTH)
        block = expand(b"".join(leaves))
        if len(leaves) != WIDTH or block[-32:] != tree.above(0, number):
            raise TreeShort("the events are not those that the tree was made of; verify the tenant")
        with self._lock:
            self._keep(tree.name, number, block)
            self._shrink(tree.name)
        return block

    def _keep(self, name: str, number: int, block: bytes) -> None:
        if (name, number) not in self._blocks and name in self._trees:
            self._blocks[name, number] = block
            self._bytes += len(block)

    def _shrink(self, current: str) -> None:
        while self._bytes > self._most and self._blocks:
            _, block = self._blocks.popitem(last=False)
            self._bytes -= len(block)
        while self._bytes > self._most and len(self._trees) > 1:
            name = next(iter(self._trees))
            if name == current:
                self._trees.move_to_end(name)
                continue
            self._bytes -= self._trees.pop(name).memory


class _Tree:
    """What lies above the blocks, and the leaves that make no whole block yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.Lock()
        self._grown = (0, b"")
        """How many leaves there are, and the hashes of those behind the last whole block: changed both at once."""
        self._above: list[bytearray] = [bytearray()]
        self._unfinished = (-1, b"")

    @property
    def size(self) -> int:
        return self._grown[0]

    @property
    def memory(self) -> int:
        return sum(map(len, self._above)) + (WIDTH * 32 if self.size else 0)

    def add(self, leaves: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """The blocks that became whole."""
        size, rest = self._grown
        hashes, made = rest + b"".join(leaves), []
        for start in range(0, len(hashes) - WIDTH * 32 + 1, WIDTH * 32):
            block = expand(hashes[start : start + WIDTH * 32])
            made.append((len(self._above[0]) >> 5, block))
            self._push(block[-32:])
        self._grown = (size + len(leaves), hashes[len(made) * WIDTH * 32 :])
        return made

    def _push(self, hashed: bytes) -> None:
        level, index = 0, len(self._above[0]) >> 5
        self._above[0] += hashed
        while index & 1:
            hashed = _sha256(_NODE + self._above[level][-64:]).digest()
            level, index = level + 1, index >> 1
            if level == len(self._above):
                self._above.append(bytearray())
            self._above[level] += hashed

    def above(self, level: int, index: int) -> bytes:
        """A subtree of so many levels over whole blocks. Raises IndexError."""
        found = bytes(self._above[level][index << 5 : (index + 1) << 5])
        if len(found) != 32:
            raise IndexError("the tree has no such full subtree")
        return found

    def unfinished(self, number: int) -> bytes | None:
        """The last block, if it is this one and not whole: what it lacks is zero."""
        size, rest = self._grown
        if number != size >> HEIGHT:
            return None
        known, block = self._unfinished
        if known != size:
            block = expand(rest)
            self._unfinished = (size, block)
        return block


def expand(leaves: bytes) -> bytes:
    """All hashes of a block, level after level from its leaves to its root; zero where a subtree is not full."""
    levels, below = [leaves.ljust(WIDTH * 32, b"\x00")], leaves
    for level in range(1, HEIGHT + 1):
        below = b"".join([_sha256(_NODE + below[at : at + 64]).digest() for at in range(0, len(below) - 63, 64)])
        levels.append(below.ljust((WIDTH >> level) * 32, b"\x00"))
    return b"".join(levels)


def leaves_of(stored: Callable[[str, int, int], Sequence[tuple[int, bytes]]]) -> Leaves:
    """The leaves of histories: see domain.ledger.History.stored."""

    def leaves(tenant: str, after: int, limit: int) -> Sequence[bytes]:
        return [leaf_hash(each) for _, each in stored(tenant, after, limit)]

    return leaves
