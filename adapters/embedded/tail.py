"""The tail file: remembers, outside the log, how far the log went, so that a shortened or older log is seen.

SQLite takes a WAL that ends early for a complete one. Every commit is therefore also noted here, and synced, before
anybody is answered: two slots written in turn, so that a torn write leaves the other.
"""

import hashlib
import os
import struct
from pathlib import Path
from typing import Final, NamedTuple

_SLOT: Final = struct.Struct(">QQ32s32s")
_SIZE: Final = 128


class LogShorter(Exception):
    """The log lacks events that were acknowledged, or holds others; the message says what to do."""


class Noted(NamedTuple):
    """The last sequence, when it was noted (microseconds), and the hash of all leaves up to it."""

    sequence: int
    instant: int
    chain: bytes


class TailFile:
    """Where the log ended, as of the last commit that was answered."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DSYNC, 0o600)
        if os.fstat(self._file).st_size < 2 * _SIZE:
            os.write(self._file, bytes(2 * _SIZE))
            os.fsync(self._file)
            _sync(path.parent)
        self._turn = 0

    def read(self) -> Noted | None:
        """The newer of the slots that are whole; None if nothing was ever noted."""
        slots = [self._slot(number) for number in (0, 1)]
        noted = [slot for slot in slots if slot is not None]
        if not noted:
            return None
        newest = max(noted, key=lambda each: (each.sequence, each.instant))
        self._turn = 1 - slots.index(newest)
        return newest

    def _slot(self, number: int) -> Noted | None:
        data = os.pread(self._file, _SLOT.size, number * _SIZE)
        if len(data) < _SLOT.size:
            return None
        sequence, instant, chain, check = _SLOT.unpack(data)
        if hashlib.sha256(data[:-32]).digest() != check:
            return None
        return Noted(sequence, instant, chain)

    def note(self, sequence: int, instant: int, chain: bytes) -> None:
        """Remember, on the disk when this returns."""
        body = struct.pack(">QQ32s", sequence, instant, chain)
        os.pwrite(self._file, body + hashlib.sha256(body).digest(), self._turn * _SIZE)  # O_DSYNC
        self._turn = 1 - self._turn

    def close(self) -> None:
        os.close(self._file)


def _sync(folder: Path) -> None:
    """So that the file's name is on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
