"""Moves the write-ahead log into the file beside the commits, which then never wait for it long."""

import contextlib
import sqlite3
import threading
from typing import Final

from adapters.index.database import Database

EVENTS_BETWEEN: Final = 5_000


class WalMover:
    """Most is moved by a thread of its own; the rest, so that SQLite can start the log anew, by the commit thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._events = 0
        self._thread: threading.Thread | None = None

    def wrote(self, events: int) -> None:
        """On the commit thread, after each commit."""
        self._events += events
        if self._thread is not None:
            if self._thread.is_alive():
                return
            self._thread = None
            with contextlib.suppress(sqlite3.Error):
                self._database.writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        elif self._events >= EVENTS_BETWEEN and self._database.is_file:
            self._events = 0
            self._thread = threading.Thread(target=self._move, name="wal")
            self._thread.start()

    def _move(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # a full disk, say: the next commit will say so itself
            connection = self._database.open()
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                connection.close()

    def stop(self) -> None:
        if self._thread is not None:
            self._thread.join()
