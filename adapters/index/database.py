"""Connections to the embedded log's SQLite file: one that writes, and one that reads for each thread."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from adapters.index.bulk import Written, commit, write
from adapters.index.folder_lock import FolderLock

FORMAT: Final = 1
_HERE: Final = Path(__file__).parent


class WrongFormat(Exception):
    """The data folder was written by another version; the message says which and what to do."""


class Database:
    """A SQLite file, or memory for tests (where all threads share one connection).

    Whoever may write holds the lock of the folder: raises FolderInUse if another does.
    """

    def __init__(
        self,
        path: Path | None,
        partition: str = "0",
        *,
        read_only: bool = False,
        disposable: bool = False,
        cache_megabytes: int = 64,
    ) -> None:
        """`disposable`: it can be made again from a log elsewhere, so commits need not be on the disk; and whoever
        makes it holds the folder's lock.
        """
        self._path = path
        self._partition = partition
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self.lock = threading.RLock()
        """Held by whoever uses the shared connection of a database in memory."""
        self.has_slack = True
        """Whether pages may hold copies of what was destroyed; the last process may not have come to see to it."""
        self._disposable = disposable
        self._cache = cache_megabytes
        self._folder = FolderLock(path.parent) if path and not read_only and not disposable else None
        self._shared = self.open() if path is None else None
        if not read_only:
            try:
                self.writer = self._shared or self.open()
                self._prepare()
            except BaseException:
                self.close()
                raise

    @property
    def is_file(self) -> bool:
        return self._path is not None

    def open(self, *, read_only: bool = False) -> sqlite3.Connection:
        """One more connection, which the caller closes."""
        target = str(self._path or ":memory:")
        if self._path and not read_only:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
        if read_only and self._path:
            target = self._path.absolute().as_uri() + "?mode=ro"
        connection = sqlite3.connect(
            target, uri=read_only, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        cache = f"cache_size = -{self._cache << 10}"
        for pragma in ("busy_timeout = 10000", cache, "mmap_size = 268435456", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        if not read_only:
            # FULL: a commit is on the disk when it returns; secure_delete: what is destroyed is overwritten.
            # The log is moved into the file by WalMover, not by whichever commit happens to make it long.
            for pragma in (
                "journal_mode = WAL",
                "synchronous = NORMAL" if self._disposable else "synchronous = FULL",
                "secure_delete = ON",
                "wal_autocheckpoint = 0",
                "journal_size_limit = 268435456",
            ):
                connection.execute(f"PRAGMA {pragma}")
        return connection

    def _prepare(self) -> None:
        for script in ("index.sql", "keyring.sql", "batch.sql"):
            self.writer.executescript((_HERE / script).read_text())
        row = self.writer.execute("SELECT version FROM format").fetchone()
        if row is None:
            self.writer.execute("INSERT INTO format VALUES (?, ?)", (FORMAT, self._partition))
        elif row[0] != FORMAT:
            raise WrongFormat(
                f"the data folder has format {row[0]}, this version reads format {FORMAT}: "
                "run the version that wrote it, or restore a backup made with it"
            )

    def one(self, query: str, parameters: Sequence[Any]) -> Any:
        """The first row of a single statement, or None: a read transaction of its own."""
        if self._shared is not None:
            with self.lock:
                return self._shared.execute(query, parameters).fetchone()
        return self._reader().execute(query, parameters).fetchone()

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.open(read_only=True)
            self._readers.append(connection)
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one read transaction: everything read is of one moment."""
        if self._shared is not None:
            with self.lock:
                yield self._shared
            return
        connection = self._reader()
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def commit(self, rows: Sequence[Written]) -> None:
        """Write a batch: on the disk when this returns, or else without a trace."""
        with self.lock if self._shared else contextlib.nullcontext():
            commit(self.writer, rows)

    @contextmanager
    def committing(self) -> Iterator[Callable[[Sequence[Written]], None]]:
        """Write rows by what it gives: they are there once the block has ended well, or else without a trace."""
        with self.lock if self._shared else contextlib.nullcontext():
            connection = self.writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield partial(write, connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def truncate_wal(self) -> bool:
        """Leave nothing behind of what was destroyed; whether no reader was in the way. The sequencer must be at rest.

        The index is written anew, because SQLite leaves copies of entries in pages that it splits; then the WAL is
        moved into the file and emptied.
        """
        if self._path is None:
            return True
        if self.has_slack:
            self.writer.execute("REINDEX handles_by_value")
            self.has_slack = False
        busy: int = self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return busy == 0

    def close(self) -> None:
        for connection in self._readers:
            connection.close()
        if hasattr(self, "writer"):
            self.writer.close()
        if self._folder:
            self._folder.release()
