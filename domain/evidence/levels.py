"""A tree with the hashes of all its full subtrees at hand, so that any proof is looked up and not computed."""

import hashlib
from collections.abc import Iterable
from typing import Final

_NODE: Final = b"\x01"
_sha256: Final = hashlib.sha256


class Levels:
    """Level by level, 32 bytes for each full subtree: 64 bytes for each leaf in all."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels = [bytearray()]
        self.extend(leaves)

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0]) >> 5

    @property
    def memory(self) -> int:
        """How many bytes the hashes take."""
        return sum(map(len, self._levels))

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        level, index, hashed = 0, self.size, leaf
        self._levels[0] += hashed
        while index & 1:
            below = self._levels[level]
            hashed = _sha256(_NODE + below[-64:]).digest()
            level, index = level + 1, index >> 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += hashed

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves by their hashes, all at once: level by level, which is faster than one by one."""
        hashes = b"".join(leaves)
        level = 0
        while hashes:
            if level == len(self._levels):
                self._levels.append(bytearray())
            this = self._levels[level]
            odd = len(this) & 32
            this += hashes
            whole = bytes(this[len(this) - len(hashes) - odd : len(this) & ~63])
            hashes = b"".join([_sha256(_NODE + whole[at : at + 64]).digest() for at in range(0, len(whole), 64)])
            level += 1

    def node(self, level: int, index: int) -> bytes:
        """See proofs.Node. Raises IndexError for a subtree that is not full."""
        at = index << 5
        found = bytes(self._levels[level][at : at + 32])
        if len(found) != 32:
            raise IndexError("the tree has no such full subtree")
        return found
