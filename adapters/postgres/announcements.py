"""What the projectors of other nodes announce when they commit: which partitions the stored views show more of.

Nobody relies on it: what is missed is asked for a little later.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import psycopg

from domain.view import ViewUnavailable

LISTEN: Final = b"LISTEN muniment_views"
PAUSE: Final = 1.0
LONGEST: Final = 8
"""Digits of a partition's number: whoever may connect can announce anything."""


class Announcements:
    """Listens from the first time that somebody wants it, on a connection of its own; lives on one event loop."""

    def __init__(self, conninfo: str, hear: Callable[[frozenset[int]], Awaitable[None]]) -> None:
        """`hear` is told the partitions; while it is at work, what comes is gathered."""
        self._conninfo = conninfo
        self._hear = hear
        self._moved: set[int] = set()
        self._has_moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self) -> None:
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._keep_listening()), loop.create_task(self._keep_telling())]

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_listening(self) -> None:
        while True:
            with contextlib.suppress(psycopg.OperationalError, psycopg.InterfaceError):
                connection: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(
                    self._conninfo, autocommit=True, connect_timeout=5, keepalives_idle=10
                )
                async with connection:
                    await connection.execute(LISTEN)
                    async for said in connection.notifies():
                        numbers = [each for each in said.payload.split(",") if each.isdecimal() and len(each) < LONGEST]
                        self._moved.update(map(int, numbers))
                        self._has_moved.set()
            await asyncio.sleep(PAUSE)

    async def _keep_telling(self) -> None:
        while True:
            await self._has_moved.wait()
            self._has_moved.clear()
            moved, self._moved = frozenset(self._moved), set()
            with contextlib.suppress(ViewUnavailable, psycopg.Error):
                await self._hear(moved)
