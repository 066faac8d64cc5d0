"""Reads that see every write that was acknowledged before they began, whichever node acknowledged it."""

import asyncio
from collections.abc import Callable
from typing import Final

from adapters.kafka.client import Admin, Unavailable
from adapters.kafka.log import MARKER
from adapters.kafka.owner import Ownership
from adapters.kafka.topics import Topics

PATIENCE: Final = 10.0


class Fence:
    """Asks the brokers where partitions end, once for all reads that came while the question before was under way."""

    def __init__(self, admin: Admin, topics: Topics, owner_of: Callable[[str], Ownership]) -> None:
        self._admin = admin
        self._topics = topics
        self._owner_of = owner_of
        self._waiting: dict[int, list[asyncio.Future[int]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def reach(self, tenant: str) -> None:
        """Until this node has read what was acknowledged so far. Raises Unavailable."""
        owner = self._owner_of(tenant)
        end = await self._end_of(owner.partition.number)
        partition = owner.partition

        def reached() -> bool:
            log = owner.log
            return partition.passed >= end if log is None else log.offset + MARKER >= end

        await partition.until(reached, PATIENCE, "this node has not read what was acknowledged last: try again")

    def _end_of(self, partition: int) -> "asyncio.Future[int]":
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(partition, []).append(answer)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._ask())
        return answer

    async def _ask(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            places = {number: self._topics.of_ledger(number) for number in asked}
            try:
                ends = await asyncio.to_thread(lambda: self._admin.ends(list(places.values()), committed=False))  # noqa: B023
            except Exception as problem:  # whatever it is, nobody may wait for ever
                for answer in (each for answers in asked.values() for each in answers):
                    if not answer.done():
                        answer.set_exception(Unavailable(str(problem)))
                continue
            for number, answers in asked.items():
                for answer in answers:
                    if not answer.done():
                        answer.set_result(ends[places[number]])
