"""An append-only Merkle tree as RFC 6962 §2.1 draws it, kept as its frontier: the roots of its full subtrees."""

import hashlib
from collections.abc import Iterable
from typing import Final

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
_sha256: Final = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962 §2.1: SHA-256 of 0x00 and the entry."""
    return _sha256(_LEAF + data).digest()


class Frontier:
    """A tree that can grow and say its root, in memory that grows with the logarithm of its size."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)
        """Roots of the full subtrees, largest first: one for each bit of `size` that is set."""

    @classmethod
    def unpack(cls, size: int, packed: bytes) -> "Frontier":
        """Of `size` leaves, from `pack`ed bytes."""
        if len(packed) != 32 * size.bit_count():
            raise ValueError("the frontier does not belong to a tree of this size")
        return cls(size, (packed[start : start + 32] for start in range(0, len(packed), 32)))

    def pack(self) -> bytes:
        return b"".join(self.peaks)

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        peaks, rest = self.peaks, self.size
        while rest & 1:
            leaf = _sha256(_NODE + peaks.pop() + leaf).digest()
            rest >>= 1
        peaks.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves by their hashes, all at once: level by level, which is faster than one by one."""
        hashes, peaks, rest, fresh = list(leaves), self.peaks, self.size, []
        self.size += len(hashes)
        while hashes:
            if rest & 1:
                hashes.insert(0, peaks.pop())
            if len(hashes) & 1:
                fresh.append(hashes.pop())
            pairs = iter(hashes)
            hashes = [_sha256(_NODE + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            rest >>= 1
        peaks.extend(reversed(fresh))

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = _sha256(_NODE + peak + root).digest()
        return root

    def copy(self) -> "Frontier":
        return Frontier(self.size, self.peaks)
