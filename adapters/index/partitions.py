"""The indexes of a ledger as another process reads them: one file, or a folder with one for each partition."""

import contextlib
from pathlib import Path
from typing import Final

from adapters.index.database import Database

LARGE: Final = 64
SMALL: Final = 4
"""Megabytes for the pages of the one file, and of each of many."""


class Partitions:
    """The path says which: a file is the embedded log, partition 0; a folder has `<number>.db`, which appear in time.

    `open` is for one thread; what it opens can be read by all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_embedded = not path.is_dir()
        """Whether the file is the log itself, so that nothing can have been read that it does not have."""
        self._open: dict[int, Database] = {}

    def numbers(self) -> list[int]:
        """The partitions there are."""
        if self.is_embedded:
            return [0]
        return sorted(int(file.stem) for file in self._path.glob("*.db") if file.stem.isdecimal())

    def open(self, number: int) -> Database | None:
        """A partition's index, to be read; None if it is not there yet."""
        found = self._open.get(number)
        if found is None:
            file = self._path if self.is_embedded else self._path / f"{number}.db"
            if not self.is_embedded and not file.exists():
                return None
            database = Database(file, read_only=True, cache_megabytes=LARGE if self.is_embedded else SMALL)
            if not self.is_embedded and not _is_made(database):
                database.close()
                return None
            found = self._open[number] = database
        return found

    def close(self, number: int | None = None) -> None:
        """One of them, or all."""
        for each in [number] if number is not None else list(self._open):
            with contextlib.suppress(KeyError):
                self._open.pop(each).close()


def _is_made(database: Database) -> bool:
    """Whether its tables are there: whoever makes an index makes the table of commits after those that it needs."""
    (found,) = database.one("SELECT count(*) FROM sqlite_master WHERE name = 'commits'", ())
    return bool(found)
