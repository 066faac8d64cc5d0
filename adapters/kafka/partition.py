"""One partition on this node: its index and keyring, how far it was read, who owns it, and who waits for that."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.kafka.applying import LEDGER
from adapters.kafka.client import Unavailable
from adapters.kafka.shared_keyring import SharedKeyring

CACHE: Final = 128
"""Megabytes for the pages of all indexes together."""


class Owner(NamedTuple):
    """Who said last that the partition is theirs."""

    epoch: int
    generation: int
    address: str


NOBODY: Final = Owner(0, 0, "")


class Partition:
    """Its attributes are changed on the event loop only; its index is written by the follower or by the owner."""

    def __init__(self, number: int, folder: Path, partitions: int, root_key: bytes) -> None:
        self.number = number
        self.database = Database(
            folder / f"{number}.db", str(number), disposable=True, cache_megabytes=max(2, CACHE // partitions)
        )
        self.history = IndexHistory(self.database)
        self.keyring = SharedKeyring(self.database, root_key)
        row = self.database.one("SELECT epoch, generation, address FROM owners ORDER BY epoch DESC LIMIT 1", ())
        self.owner = Owner(*row) if row else NOBODY
        row = self.database.one("SELECT next FROM streams WHERE name = ?", (LEDGER,))
        self.passed = row[0] if row else 0
        """The offset up to which everything that was committed is in the index, as far as the follower knows."""
        self.keyring_passed = 0
        """The same of the keyring's topic."""
        self.trouble: str | None = None
        """Why it is not read any further, if so."""
        self.is_damaged = False
        """Whether that is this node's own trouble, so that others can read it."""
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def went_on(self) -> None:
        """Something has changed that somebody may wait for."""
        if self._waiting:
            kept = []
            for holds, waiter in self._waiting:
                if waiter.done():
                    continue
                if holds():
                    waiter.set_result(None)
                else:
                    kept.append((holds, waiter))
            self._waiting = kept

    async def until(self, holds: Callable[[], bool], timeout: float, what: str) -> None:
        """Raises Unavailable after so many seconds."""
        if holds():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((holds, waiter))
        try:
            await asyncio.wait_for(waiter, timeout)
        except TimeoutError:
            raise Unavailable(self.trouble or what) from None
        finally:
            self._waiting = [each for each in self._waiting if each[1] is not waiter]

    async def until_passed(self, offset: int, timeout: float) -> None:
        """Raises Unavailable."""
        await self.until(lambda: self.passed >= offset, timeout, "the partition was not read to its end in time")

    async def until_passed_or_trouble(self, offset: int, timeout: float) -> None:
        """As `until_passed`, or until it is clear that it will not come; `trouble` says so then."""
        await self.until(lambda: self.passed >= offset or self.trouble is not None, timeout, "")

    @property
    def sequence(self) -> int:
        """Of the last event in the index."""
        row = self.database.one("SELECT first + count - 1 FROM commits ORDER BY first DESC LIMIT 1", ())
        return row[0] if row else 0

    def has_commit(self, first: int, id: bytes) -> bool:
        """Whether the commit with this id begins at this sequence."""
        row = self.database.one("SELECT id FROM commits WHERE first = ?", (first,))
        return row is not None and row[0] == id

    def close(self) -> None:
        self.database.close()
