"""The single writer of a partition: decides one command after another and commits them to its log by the batch."""

import asyncio
import sqlite3
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from adapters.index.batch import Batch
from adapters.index.clock_watch import ClockWatch, steady_clock
from adapters.index.database import Database
from adapters.index.deciding import Decisions, Elsewhere
from adapters.index.index import Index
from adapters.index.log import CommitLog, end_of_log
from adapters.index.outcomes import Outcomes
from adapters.index.ring import RingChange
from adapters.index.waiting import Waiting, WaitingQueue
from adapters.keyring import Keyring
from domain.event import Recorded
from domain.ids import TenantId
from domain.ledger import NotReady, Outcome, Work

T = TypeVar("T")

STEP: Final = 16
"""How many commands are decided before others may use the event loop."""
MOST_IN_BATCH: Final = 256
MOST_EVENTS_IN_BATCH: Final = 20_000
LONGEST_PAUSE: Final = 1.0
SWITCH_INTERVAL: Final = 0.0002
"""Seconds after which the commit thread gets Python's lock from a busy event loop: 5 ms would be most of a commit."""


class Committed(NamedTuple):
    """What a commit brought: the last sequence, the tenants' new heads, and the events in their order."""

    sequence: int
    heads: dict[TenantId, int]
    recorded: Collection[Recorded]


class Ended(NamedTuple):
    """A writer that its log has ended: why, the batch whose commit failed, and what else was decided in vain."""

    problem: BaseException
    shipped: Batch | None
    rest: list[Waiting]


class PartitionSequencer:
    """See domain.ledger.Sequencer. Decides on the event loop, in memory; a thread of its own writes and commits.

    While a batch is being committed the next is filled. If the commit fails, so has the next, which had seen it.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        log: CommitLog,
        clock: Callable[[], int],
        committed: Callable[[Committed], None] = lambda _: None,
        *,
        steady: Callable[[], int] = steady_clock,
        accept_gap: bool = False,
        queue: WaitingQueue | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """`queue` holds what waits already; `elsewhere` knows the histories that other partitions hold."""
        self._database = database
        self._keyring = keyring
        self._log = log
        self.listeners: list[Callable[[Committed], None]] = [committed]
        """Told of each commit, on the event loop, before anybody is answered."""
        self._queue = WaitingQueue() if queue is None else queue
        self._errands: deque[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]] = deque()
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "commit")
        self._task: asyncio.Task[None] | None = None
        self._stopping = self._stopped = False
        self._broken: str | None = None
        self.ended: asyncio.Future[Ended] | None = None
        """Once started: what ended it, if the log says that a failed commit ends its writer."""
        self.pace: Callable[[], float] = lambda: 0.0
        """Asked before each batch: how many seconds to wait first, so that views can follow."""
        end = end_of_log(database.writer)
        self.sequence = self._last = end.sequence
        self._chain = end.chain
        self._watch = ClockWatch(clock, end.instant, steady=steady, accept_gap=accept_gap)
        self._decisions = Decisions(Index(database), Outcomes(database, clock()), keyring, clock, elsewhere)
        self._commit: asyncio.Future[None] | None = None
        self._spoilt: Exception | None = None
        """What went wrong in the middle of the batch that is being filled: it must not be committed."""
        self._shipped = Batch(0)
        self._begin()

    @property
    def waiting(self) -> int:
        """How many commands wait."""
        return len(self._queue)

    @property
    def not_ready(self) -> str | None:
        """Why nothing is accepted, if nothing is."""
        return self._broken or self._log.trouble or self._watch.trouble()

    def start(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL)
        self.ended = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Whatever ended it, nobody may wait for ever."""
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            task.get_loop().call_exception_handler({"message": "the writer has failed", "exception": problem})
        elif not task.cancelled():
            return
        self._broken = self._broken or "the writer has failed; restart the node, and report what its log says"
        rest = self._queue.take(len(self._queue))
        rest += [waiting for batch in (self._shipped, self._batch) for waiting, _ in batch.answers]
        _answer((waiting, NotReady(self._broken)) for waiting in rest)
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(Ended(problem or asyncio.CancelledError(), None, []))

    async def stop(self) -> None:
        """Decide what has been accepted, then accept nothing more."""
        self._stopping = True
        self._wake.set()
        if self._task:
            await self._task
        if not self._stopped:
            self._stopped = True
            await self._on_thread(self._log.close)
            self._thread.shutdown()

    async def execute(self, work: Work) -> Outcome:
        if self._stopping or (trouble := self._broken or self._log.trouble):
            raise NotReady("the node is stopping; ask another, or again in a moment" if self._stopping else trouble)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.put(Waiting(work, answer))
        self._wake.set()
        return await answer

    def wake(self) -> None:
        """Something was put into the queue that it was given."""
        self._wake.set()

    async def change_ring(self, change: RingChange) -> None:
        """Destroy keys that no event tells of."""
        await self.exclusively(lambda _: self._log.change_ring(change))
        self._keyring.came(change)

    async def exclusively(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """What `act` makes of the writer's connection, on the commit thread, with no commit under way."""
        if self._stopping or (self.ended is not None and self.ended.done()):
            raise NotReady("the node is stopping")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._errands.append((act, done))
        self._wake.set()
        return await done

    async def _run(self) -> None:
        """Fills one batch while another is being committed."""
        while True:
            self._wake.clear()
            if self.ended is not None and self.ended.done():
                return
            if self._commit is not None and self._commit.done():
                self._settle(self._commit)
            elif self._commit is None and self._spoilt is not None:
                self._fail(self._spoilt)
            elif self._commit is None and self._batch.answers:
                await self._ship()
            elif self._commit is None and self._decisions.is_full:
                self._decisions.shrink()
            elif self._commit is None and self._errands:
                await self._do(*self._errands.popleft())
            elif len(self._queue) and self._may_decide:
                self._fill()
                await asyncio.sleep(0)
            elif self._stopping and self._commit is None:
                return
            else:
                await self._wake.wait()

    @property
    def _may_decide(self) -> bool:
        """Else what is under way has to be committed before more is decided."""
        drain = self._errands or self._decisions.is_full or self._spoilt
        return not drain and len(self._batch.answers) < MOST_IN_BATCH and len(self._batch.rows) < MOST_EVENTS_IN_BATCH

    def _fill(self) -> None:
        """Decide some of what waits."""
        waiting = [each for each in self._queue.take(STEP) if not each.answer.done()]
        if trouble := self.not_ready:
            _answer([(each, NotReady(trouble)) for each in waiting])
            return
        try:
            self._decisions.decide_all(waiting)
        except Exception as problem:
            self._spoilt = problem
            self._batch.answers += [(each, problem) for each in waiting]

    async def _ship(self) -> None:
        """Hand the batch to the commit thread, and begin the next."""
        if (pause := self.pace()) > 0 and not self._stopping:
            await asyncio.sleep(min(pause, LONGEST_PAUSE))
        batch = self._batch
        if batch.rows:
            self._last, self._chain = batch.last, batch.seal(self._chain, self._log.epoch)
        if batch.rows or self._log.can_be_lost:
            self._shipped = batch
            work = partial(self._log.commit, batch) if batch.rows else self._log.confirm
            self._commit = asyncio.get_running_loop().run_in_executor(self._thread, work)
            self._commit.add_done_callback(lambda _: self._wake.set())
        else:
            _answer(batch.answers)
        self._begin()

    def _begin(self) -> None:
        self._batch = Batch(self._last)
        self._decisions.begin(self._batch)

    def _settle(self, commit: "asyncio.Future[None]") -> None:
        """The commit is done: only now is anybody answered."""
        self._commit = None
        if problem := commit.exception():
            self._fail(problem, self._shipped)
            return
        batch = self._shipped
        if not batch.rows:
            _answer(batch.answers)
            return
        self.sequence = batch.last
        self._decisions.came(batch)
        self._keyring.came(batch.ring)
        committed = Committed(batch.last, batch.heads, batch.recorded.values())
        for listener in self.listeners:
            listener(committed)
        _answer(batch.answers)

    async def _do(self, act: Callable[[sqlite3.Connection], T], done: "asyncio.Future[T]") -> None:
        try:
            result = await self._on_thread(lambda: act(self._database.writer))
        except Exception as problem:
            if not done.done():
                done.set_exception(problem)
        else:
            if not done.done():
                done.set_result(result)

    async def _on_thread(self, do: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

    def _fail(self, problem: BaseException, shipped: Batch | None = None) -> None:
        """The batch left no trace: forget what was decided, and say so to everybody in it.

        Or nobody knows whether it did: then whoever made this writer finds out, and answers.
        """
        why = "the commands could not be decided; try again" if shipped is None else self._log.lost(problem)
        if why is None and self.ended is not None:
            rest = [waiting for waiting, _ in self._batch.answers]
            for _, done in self._errands:
                if not done.done():
                    done.set_exception(NotReady("the writer is being replaced; ask again in a moment"))
            self.ended.set_result(Ended(problem, shipped, rest))
            return
        asyncio.get_running_loop().call_exception_handler({"message": "a commit has failed", "exception": problem})
        lost = [*self._batch.answers, *(shipped.answers if shipped else ())]
        self._spoilt = None
        try:
            end = end_of_log(self._database.writer)
            self.sequence = self._last = end.sequence
            self._chain = end.chain
            self._decisions.forget()
            self._begin()
        except Exception:
            self._broken = self._broken or "the log can't be read: see to the disk, then restart the node"
            self._batch = Batch(self._last)
        _answer((waiting, NotReady(self._broken or self._log.trouble or str(why))) for waiting, _ in lost)


def _answer(answers: "Iterable[tuple[Waiting, Outcome | Exception]]") -> None:
    for waiting, outcome in answers:
        answer_one(waiting, outcome)


def answer_one(waiting: Waiting, outcome: Outcome | Exception) -> None:
    """Tell whoever waits, if anybody still does."""
    if waiting.answer.done():
        return
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)
