"""A table of 64-bit numbers in 32 bytes each: what a dict of them takes four times the memory for."""

from array import array
from typing import Final

_FIRST_SLOTS: Final = 1 << 12


class NumberTable:
    """From a hash to a number above 0; open addressing, in parts that double, so that growing moves nothing."""

    def __init__(self) -> None:
        self._parts: list[tuple[array[int], array[int], int]] = []
        self._room = 0

    def put(self, hash: int, number: int) -> None:
        """A hash that is put again gets the newer number."""
        if self._room == 0:
            slots = 2 * len(self._parts[0][0]) if self._parts else _FIRST_SLOTS
            self._parts.insert(0, (array("Q", bytes(8 * slots)), array("Q", bytes(8 * slots)), slots - 1))
            self._room = slots // 2
        hashes, numbers, mask = self._parts[0]
        slot = hash & mask
        while numbers[slot] and hashes[slot] != hash:
            slot = (slot + 1) & mask
        hashes[slot], numbers[slot] = hash, number
        self._room -= 1

    def get(self, hash: int) -> int:
        """The number, or 0."""
        for hashes, numbers, mask in self._parts:
            slot = hash & mask
            while numbers[slot]:
                if hashes[slot] == hash:
                    return numbers[slot]
                slot = (slot + 1) & mask
        return 0
