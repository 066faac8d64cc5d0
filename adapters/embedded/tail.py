"""The tail file: remembers, outside the log, how far the log went, so that a shortened or older log is seen.

SQLite takes a WAL that ends early for a complete one. Every commit is therefore also noted here, and synced, before
anybody is answered: two slots written in turn, so that a torn write leaves the other.
"""

import hashlib
import os
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from adapters.index.log import LogEnd, LogShorter

_SLOT: Final = struct.Struct(">QQ32s32s")
_SIZE: Final = 128


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


def check_tail(connection: sqlite3.Connection, end: LogEnd, tail: TailFile) -> None:
    """What the tail file remembers must be in the log. The log may be one commit ahead: nobody was answered yet."""
    noted = tail.read()
    if noted is None:
        commits = connection.execute("SELECT 1 FROM commits LIMIT 2").fetchall()
        if len(commits) > 1:
            raise LogShorter(
                "the tail file beside the log is missing or damaged, so nothing says whether the log is whole: "
                "put it back, or restore the newest backup"
            )
        return
    row = connection.execute("SELECT chain FROM commits WHERE first + count - 1 = ?", (noted.sequence,)).fetchone()
    if row is None or row[0] != noted.chain:
        raise LogShorter(
            f"the log ends at {end.sequence} or differs, but {noted.sequence} events were acknowledged: "
            "an older copy or a truncated file was put in its place; restore the newest backup, "
            "or put the newest ledger files back"
        )


def remembered_in(path: Path) -> Callable[[sqlite3.Connection, LogEnd], None]:
    """Compares the end of a log with its tail file; raises LogShorter."""

    def check(connection: sqlite3.Connection, end: LogEnd) -> None:
        if not end.sequence:
            return
        if not path.exists():
            raise LogShorter("the tail file is missing: put it back, or restore the newest backup")
        tail = TailFile(path)
        try:
            check_tail(connection, end, tail)
        finally:
            tail.close()

    return check
