"""Commands that wait to be decided: bounded, and fair between tenants."""

import asyncio
from collections import OrderedDict, deque
from typing import Final, NamedTuple

from domain.ids import TenantId
from domain.ledger import Outcome, QueueFull, Work

MOST_WAITING: Final = 4096


class Waiting(NamedTuple):
    """A command, and where its answer is awaited."""

    work: Work
    answer: "asyncio.Future[Outcome]"


class WaitingQueue:
    """A queue for each tenant, served in turn."""

    def __init__(self) -> None:
        self._queues: OrderedDict[TenantId, deque[Waiting]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, waiting: Waiting) -> None:
        """Raises QueueFull."""
        if self._count >= MOST_WAITING:
            raise QueueFull
        queue = self._queues.get(waiting.work.tenant)
        if queue is None:
            queue = self._queues[waiting.work.tenant] = deque()
        queue.append(waiting)
        self._count += 1

    def take(self, most: int) -> list[Waiting]:
        """The next batch: one command of each waiting tenant in turn."""
        batch: list[Waiting] = []
        if len(self._queues) == 1:
            tenant, queue = self._queues.popitem()
            batch = [queue.popleft() for _ in range(min(most, len(queue)))]
            if queue:
                self._queues[tenant] = queue
        while self._queues and len(batch) < most:
            tenant, queue = self._queues.popitem(last=False)
            batch.append(queue.popleft())
            if queue:
                self._queues[tenant] = queue
        self._count -= len(batch)
        return batch

    def put_back(self, rest: list[Waiting]) -> None:
        """What did not fit into the batch after all, in front of what came later."""
        for waiting in reversed(rest):
            self._queues.setdefault(waiting.work.tenant, deque()).appendleft(waiting)
            self._queues.move_to_end(waiting.work.tenant, last=False)
        self._count += len(rest)
