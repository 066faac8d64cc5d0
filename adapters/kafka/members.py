"""This node as a member of the group of nodes: a thread tells the owners what the group gives and takes."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from adapters.kafka.client import Callbacks, Client, Membership, Unavailable
from adapters.kafka.owner import Ownership
from adapters.kafka.topics import Topics

POLL: Final = 0.1
PAUSE: Final = 0.5
DRAINING: Final = 15.0
"""Seconds that a partition may take to be let go before the group goes on."""


class Members:
    """Started on the event loop that the owners live on."""

    def __init__(
        self,
        client: Client,
        topics: Topics,
        owners: Mapping[int, Ownership],
        client_id: str,
        session_timeout: float,
        trouble: Callable[[], str | None],
    ) -> None:
        """`trouble`: why this node must stay out of the group, if it must."""
        self._must_stay_out = trouble
        self._client = client
        self._topics = topics
        self._owners = owners
        self._client_id = client_id
        self._session_timeout = session_timeout
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._regroup = threading.Event()
        self._thread = threading.Thread(target=self._run, name="members", daemon=True)
        self._membership: Membership | None = None
        self.trouble: str | None = "the group of nodes is being joined"
        """Why nothing is assigned, if so."""

    def start(self) -> None:
        self._thread.start()

    def regroup(self) -> None:
        """Leave, and join anew: the assignment that comes then is newer than everything in the log by now."""
        self._regroup.set()

    async def stop(self) -> None:
        """Leaves the group at once; whoever comes next gets the partitions."""
        self._stopping = True
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        callbacks = Callbacks(self._assigned, self._revoked, self._lost)
        while not self._stopping:
            try:
                if (trouble := self._must_stay_out()) is not None:
                    raise Unavailable(trouble)
                if self._membership is None:
                    self._membership = self._client.membership(
                        self._topics.group, self._topics.ledger, self._client_id, self._session_timeout, callbacks
                    )
                self._membership.poll(POLL)
                if self._regroup.is_set():
                    self._regroup.clear()
                    self._leave()
            except Exception as problem:  # libraries raise what they like; a member that is gone must come back
                if not isinstance(problem, Unavailable):
                    structlog.get_logger().error("the group of nodes was lost", exc_info=problem)
                self.trouble = str(problem) if isinstance(problem, Unavailable) else type(problem).__name__
                self._leave()
                threading.Event().wait(PAUSE)
        self._leave()

    def _leave(self) -> None:
        membership, self._membership = self._membership, None
        if membership is not None:
            with contextlib.suppress(Exception):
                membership.close()
        self._lost(frozenset(self._owners))

    def _assigned(self, partitions: frozenset[int], generation: int) -> None:
        self.trouble = None
        structlog.get_logger().info("partitions assigned", count=len(partitions), generation=generation)
        for number in partitions:
            self._on_loop(lambda number=number: self._owners[number].assign(generation))  # type: ignore[misc]

    def _revoked(self, partitions: frozenset[int]) -> None:
        structlog.get_logger().info("partitions revoked", count=len(partitions))
        letting_go = asyncio.run_coroutine_threadsafe(self._release(partitions), self._loop)
        try:
            letting_go.result(DRAINING)
        except Exception:
            structlog.get_logger().warning("partitions were not let go in time", count=len(partitions))

    async def _release(self, partitions: frozenset[int]) -> None:
        await asyncio.gather(*(self._owners[number].release() for number in partitions))

    def _lost(self, partitions: frozenset[int]) -> None:
        for number in partitions:
            self._on_loop(self._owners[number].lose)

    def _on_loop(self, do: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(do)
