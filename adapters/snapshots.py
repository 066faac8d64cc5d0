"""Snapshots of folds in a file of their own, which can be deleted at any time: it holds nothing that can't be folded.

Sealed values stay sealed. A snapshot is read back only if the code of its views is what it was, and every byte of it.
"""

import contextlib
import inspect
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import blake2b, sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from domain import event as events
from domain import view as viewing
from domain.ids import TenantId
from domain.view import View

MOST_OF_ONE: Final = 64
"""Of one tenant and one set of views; more are thinned out, the closest neighbours first."""
MOST_BYTES: Final = 1 << 30
"""Of all; the least recently used leave first."""
_PART: Final = 2_000
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS snapshots (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    views TEXT NOT NULL,
    code BLOB NOT NULL,
    position INTEGER NOT NULL,
    mark BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    digest BLOB NOT NULL,
    used INTEGER NOT NULL,
    UNIQUE (tenant, views, position)
);
CREATE TABLE IF NOT EXISTS parts (
    snapshot INTEGER NOT NULL,
    part INTEGER NOT NULL,
    view TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (snapshot, part)
) WITHOUT ROWID;
"""
_encode: Final = msgspec.msgpack.Encoder().encode


class KeptRows(Protocol):
    """Rows in memory that can be put in place again: see replay.folded.Folded."""

    views: tuple[View[Any], ...]
    rows: dict[str, dict[str, Any]]
    since: dict[str, dict[str, int]]
    position: int

    def place(self, view: View[Any], key: str, since: int, row: Any) -> None: ...


F = TypeVar("F", bound=KeptRows)


class SnapshotFile(Generic[F]):
    """See replay.as_of.Snapshots. Safe to use from any thread; a file that is damaged is begun anew."""

    def __init__(self, path: Path | None, key: bytes, begin: Callable[[Sequence[View[Any]]], F]) -> None:
        """`key` makes the hashes that nobody without it can make; `begin` makes empty rows. Without a path: memory."""
        self._path = path
        self._key = key
        self._begin = begin
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._uses = 0

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def newest(
        self, tenant: TenantId, views: Sequence[View[Any]], until: int, is_ours: Callable[[int, bytes], bool]
    ) -> F | None:
        code = code_of(tuple(views))
        if code is None:
            return None
        with self._lock, self._whole():
            connection = self._open()
            found = connection.execute(
                "SELECT number, position, mark, digest FROM snapshots "
                "WHERE tenant = ? AND views = ? AND code = ? AND position <= ? ORDER BY position DESC",
                (tenant, _names(views), code, until),
            ).fetchall()
            for number, position, mark, digest in found:
                rows = self._read(connection, number, tenant, views, position, mark, digest)
                if rows is not None and is_ours(position, mark):
                    connection.execute("UPDATE snapshots SET used = ? WHERE number = ?", (self._next_use(), number))
                    return rows
                self._drop(connection, number)
        return None

    def keep(self, tenant: TenantId, rows: F, mark: bytes) -> None:
        code = code_of(rows.views)
        if code is None or not mark:
            return
        names = _names(rows.views)
        with self._lock, self._whole():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._forget_others(connection, tenant, names, code, rows.position)
                self._write(connection, tenant, names, code, rows, mark)
                self._thin(connection, tenant, names)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def _write(
        self, connection: sqlite3.Connection, tenant: str, names: str, code: bytes, rows: F, mark: bytes
    ) -> None:
        hashed, size = self._hash(tenant, names, rows.position, mark), 0
        number = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM snapshots").fetchone()[0]
        for part, (view, data) in enumerate(_parts(rows)):
            _add(hashed, view, data)
            size += len(data)
            connection.execute("INSERT INTO parts VALUES (?, ?, ?, ?)", (number, part, view, data))
        connection.execute(
            "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, tenant, names, code, rows.position, mark, size, hashed.digest(), self._next_use()),
        )

    def _read(
        self,
        connection: sqlite3.Connection,
        number: int,
        tenant: str,
        views: Sequence[View[Any]],
        position: int,
        mark: bytes,
        digest: bytes,
    ) -> F | None:
        """The rows, if every byte is what was written; else None."""
        hashed, rows = self._hash(tenant, _names(views), position, mark), self._begin(views)
        by_name = {view.name: (view, _decoder(view.row)) for view in views}
        query = "SELECT view, data FROM parts WHERE snapshot = ? ORDER BY part"
        try:
            for name, data in connection.execute(query, (number,)):
                _add(hashed, name, data)
                view, decode = by_name[name]
                for key, since, row in decode(data):
                    rows.place(view, key, since, row)
        except (KeyError, TypeError, msgspec.MsgspecError):
            return None
        rows.position = position
        return rows if hashed.digest() == digest else None

    def _hash(self, tenant: str, names: str, position: int, mark: bytes) -> "blake2b":
        hashed = blake2b(key=self._key, digest_size=32)
        for each in (tenant.encode(), names.encode(), position.to_bytes(8, "big"), mark):
            hashed.update(len(each).to_bytes(8, "big") + each)
        return hashed

    def _forget_others(
        self, connection: sqlite3.Connection, tenant: str, names: str, code: bytes, position: int
    ) -> None:
        """Of this position, and of code that is no more."""
        query = "SELECT number FROM snapshots WHERE tenant = ? AND views = ? AND (code <> ? OR position = ?)"
        for (number,) in connection.execute(query, (tenant, names, code, position)).fetchall():
            self._drop(connection, number)

    def _thin(self, connection: sqlite3.Connection, tenant: str, names: str) -> None:
        query = "SELECT position, number FROM snapshots WHERE tenant = ? AND views = ? ORDER BY position"
        kept = connection.execute(query, (tenant, names)).fetchall()
        while len(kept) > MOST_OF_ONE:
            gaps = [
                (after[0] - before[0], place)
                for place, (before, after) in enumerate(zip(kept, kept[2:], strict=False), 1)
            ]
            _, place = min(gaps)
            self._drop(connection, kept.pop(place)[1])
        while True:
            size, count = connection.execute("SELECT coalesce(sum(bytes), 0), count(*) FROM snapshots").fetchone()
            if size <= MOST_BYTES or count <= 1:
                return
            oldest = connection.execute("SELECT number FROM snapshots ORDER BY used LIMIT 1").fetchone()
            self._drop(connection, oldest[0])

    def _drop(self, connection: sqlite3.Connection, number: int) -> None:
        connection.execute("DELETE FROM parts WHERE snapshot = ?", (number,))
        connection.execute("DELETE FROM snapshots WHERE number = ?", (number,))

    def _next_use(self) -> int:
        self._uses += 1
        return self._uses

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            target = ":memory:" if self._path is None else str(self._path)
            if self._path is not None:
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(target, isolation_level=None, check_same_thread=False)
            self._connection = connection
            for pragma in ("journal_mode = WAL", "synchronous = OFF", "busy_timeout = 5000"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(_TABLES)
            self._uses = connection.execute("SELECT coalesce(max(used), 0) FROM snapshots").fetchone()[0]
        return self._connection

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """A file that can't be read is thrown away; whoever asks folds from the beginning."""
        try:
            yield
        except sqlite3.DatabaseError:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._path is not None:
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _parts(rows: KeptRows) -> Iterator[tuple[str, bytes]]:
    for view in rows.views:
        since = rows.since[view.name]
        every = iter(rows.rows[view.name].items())
        while part := [(key, since[key], row) for key, row in islice(every, _PART)]:
            yield view.name, _encode(part)


def _add(hashed: "blake2b", view: str, data: bytes) -> None:
    for each in (view.encode(), data):
        hashed.update(len(each).to_bytes(8, "big") + each)


@cache
def _decoder(row: type[msgspec.Struct]) -> Callable[[bytes], list[tuple[str, int, Any]]]:
    return msgspec.msgpack.Decoder(list[tuple[str, int, row]]).decode  # type: ignore[valid-type]


def _names(views: Sequence[View[Any]]) -> str:
    return ",".join(view.name for view in views)


@cache
def code_of(views: tuple[View[Any], ...]) -> bytes | None:
    """A hash of the code that folds these views; None if it can't be read, and nothing is kept then.

    Of whole modules, of the views, of their rows and of the events: a fold is made of more than its two methods.
    """
    modules = {viewing.__name__, events.__name__}
    for view in views:
        modules |= {type(view).__module__, view.row.__module__, *(event.__module__ for event in view.follows)}
    hashed = sha256(f"{msgspec.__version__}\n{sys.version_info[:2]}".encode())
    for name in sorted(modules):
        try:
            source = inspect.getsource(sys.modules[name])
        except (OSError, TypeError):
            return None
        hashed.update(f"\n{name} {len(source)}\n{source}".encode())
    return hashed.digest()
