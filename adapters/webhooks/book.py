"""The delivery book of a node: how far each webhook and sink has come here, and the attempts of the last days.

A SQLite file of its own. Nothing personal is in it, nothing secret, and nothing that can't be lost: without it a node
goes on from what the ledger says, and tells some events again.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import structlog

from domain.ids import SinkId, TenantId, WebhookId

T = TypeVar("T")

KEPT: Final = 14 * 86_400_000_000
"""Microseconds that attempts are kept."""
MOST_KEPT: Final = 2_000
"""Attempts of each webhook that are kept."""
_VERSION: Final = 2
"""Of its tables: a book of another is begun anew."""
_HERE: Final = Path(__file__).parent
_PLACE: Final = "turn, reached, attempts, trying_since, failing_since, due"
_ATTEMPT: Final = (
    "position, event_id, event_type, kind, attempt, began_at, took, delivered, status, reason, next_at, events, number"
)


class Place(msgspec.Struct):
    """How far a webhook has come, and how often and since when what comes next has failed."""

    turn: int
    """The position of the event that said last where to begin."""
    reached: int
    attempts: int = 0
    trying_since: int = 0
    """When what comes next was tried first; 0 if it has not failed yet."""
    failing_since: int = 0
    """When something failed first since the last success; 0 if nothing did."""
    due: int = 0
    """When to try again."""


class Attempt(msgspec.Struct, frozen=True):
    """One request to a receiver. Times in microseconds; `kind` is event, retry or test."""

    position: int
    event_id: str
    event_type: str
    kind: str
    attempt: int
    began_at: int
    took: int
    delivered: bool
    status: int | None
    reason: str
    next_at: int | None = None
    events: int = 1
    """How many were carried at once; `position` and the rest are the first's."""
    number: int = 0
    """Its place in the book."""


class Book:
    """Written on a thread of its own. What can't be written is left out: deliveries go on."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "webhook-book")
        self._connection = self._open()

    async def place(self, tenant: TenantId, webhook: WebhookId | SinkId) -> Place | None:
        query = f"SELECT {_PLACE} FROM places WHERE tenant = ? AND webhook = ?"  # noqa: S608
        row = await self._do(lambda: self._connection.execute(query, (tenant, webhook)).fetchone(), None)
        return Place(*row) if row else None

    async def note(
        self, tenant: TenantId, webhook: WebhookId | SinkId, place: Place, attempt: Attempt | None = None
    ) -> None:
        """What became of an attempt, and where that leaves the webhook."""
        places = (tenant, webhook, *msgspec.structs.astuple(place))
        attempts = (tenant, webhook, *msgspec.structs.astuple(attempt)[:-1]) if attempt else None

        def write() -> None:
            with self._connection:
                self._connection.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?, ?, ?, ?)", places)
                if attempts:
                    self._connection.execute(
                        "INSERT INTO attempts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", attempts
                    )

        await self._do(write, None)

    async def attempts(
        self, tenant: TenantId, webhook: WebhookId | SinkId, *, position: int | None, before: int, limit: int
    ) -> list[Attempt]:
        """The newest first, with numbers below `before`; of one position, or of all."""
        only = "AND position = ?" if position is not None else ""
        query = (
            f"SELECT {_ATTEMPT} FROM attempts WHERE tenant = ? AND webhook = ? AND number < ? {only} "  # noqa: S608
            "ORDER BY number DESC LIMIT ?"
        )
        bound = (tenant, webhook, before, *([position] if position is not None else []), limit)
        rows: list[tuple[Any, ...]] = await self._do(lambda: self._connection.execute(query, bound).fetchall(), [])
        return [Attempt(*(*row[:7], bool(row[7]), *row[8:])) for row in rows]

    async def forget(self, tenant: TenantId, webhook: WebhookId | SinkId) -> None:
        """Of a webhook that is removed."""

        def write() -> None:
            with self._connection:
                for table in ("places", "attempts"):
                    self._connection.execute(
                        f"DELETE FROM {table} WHERE tenant = ? AND webhook = ?",  # noqa: S608
                        (tenant, webhook),
                    )

        await self._do(write, None)

    async def prune(self, now: int) -> None:
        """Forget attempts that are old, or more than are kept."""
        too_many = (
            "DELETE FROM attempts WHERE number IN (SELECT number FROM (SELECT number, row_number() OVER "
            "(PARTITION BY tenant, webhook ORDER BY number DESC) AS place FROM attempts) WHERE place > ?)"
        )

        def write() -> None:
            with self._connection:
                self._connection.execute("DELETE FROM attempts WHERE began_at < ?", (now - KEPT,))
                self._connection.execute(too_many, (MOST_KEPT,))

        await self._do(write, None)

    async def close(self) -> None:
        await self._do(self._connection.close, None)
        self._thread.shutdown()

    async def _do(self, act: Callable[[], T], otherwise: T) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, act)
        except sqlite3.Error as problem:
            structlog.get_logger().warning("the delivery book can't be used", exc_info=problem)
            return otherwise

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as problem:
            if self._path is None:
                raise
            structlog.get_logger().warning("the delivery book is damaged and begun anew", exc_info=problem)
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        if self._path:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path or ":memory:", check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                connection.executescript("DROP TABLE IF EXISTS places; DROP TABLE IF EXISTS attempts;")
            connection.executescript((_HERE / "book.sql").read_text())
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection
