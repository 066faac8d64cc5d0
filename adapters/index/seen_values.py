"""Which unique values may have a handle: in memory, because most of those asked about are new.

The file is slow to say so: between two questions it has changed, so nothing of it is cached.
"""

import sqlite3
import threading
from array import array
from bisect import bisect_left
from typing import Final

from adapters.index.database import Database

FEW: Final = 20_000
MOST_RECENT: Final = 100_000
_PAGE: Final = 10_000


class SeenValues:
    """Never says no to what has a handle. Says yes to everything until it has read the file, which a thread does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sorted: array[int] | None = None
        self._recent: set[int] = set()
        self._less_recent: set[int] = set()
        self._thread: threading.Thread | None = None
        (last,) = database.one("SELECT coalesce(max(number), 0) FROM handles", ())
        if last <= FEW:
            with database.reading() as connection:
                self._sorted = _read(connection)
        else:
            self._start()

    def may_have(self, short: int) -> bool:
        """Whether to ask the file for the handle of a value with this short hash."""
        known = self._sorted
        if known is None or short in self._recent or short in self._less_recent:
            return True
        place = bisect_left(known, short)
        return place < len(known) and known[place] == short

    def add(self, short: int) -> None:
        """A handle was made, whether or not it is ever recorded."""
        self._recent.add(short)
        if len(self._recent) > max(MOST_RECENT, len(self._sorted or ()) // 4) and self._thread is None:
            # Those of the time before are in the file by now; these will be when this happens again.
            self._less_recent, self._recent = self._recent, set()
            self._start()

    def wait(self) -> None:
        """Until the file has been read, if it is being read."""
        if (thread := self._thread) is not None:
            thread.join()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._load, name="seen values", daemon=True)
        self._thread.start()

    def _load(self) -> None:
        try:
            connection = self._database.open(read_only=True)
            try:
                self._sorted = _read(connection)
            finally:
                connection.close()
        except sqlite3.Error:
            self._sorted = None  # then the file is asked each time
        finally:
            self._thread = None


def _read(connection: sqlite3.Connection) -> "array[int]":
    found = array("q")
    cursor = connection.execute("SELECT short FROM handles ORDER BY short")
    while rows := cursor.fetchmany(_PAGE):
        found.extend(row[0] for row in rows)
    return found
