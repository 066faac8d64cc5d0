"""The sequencer over the embedded log: decides one command after another and commits them by the batch."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar

from adapters.embedded.batch import Batch
from adapters.embedded.clock_watch import ClockWatch, steady_clock
from adapters.embedded.database import Database
from adapters.embedded.deciding import BatchBroken, Decisions
from adapters.embedded.index import Index
from adapters.embedded.log_end import check_tail, end_of_log
from adapters.embedded.tail import TailFile
from adapters.embedded.waiting import Waiting, WaitingQueue
from adapters.embedded.wal import WalMover
from adapters.keyring import Keyring
from domain.event import Recorded
from domain.ids import TenantId
from domain.ledger import NotReady, Outcome, Work

T = TypeVar("T")
Answer = tuple[Waiting, Outcome | Exception]

FEWEST_IN_BATCH: Final = 16
MOST_IN_BATCH: Final = 256
MOST_EVENTS_IN_BATCH: Final = 20_000
LONGEST_PAUSE: Final = 1.0


class Committed(NamedTuple):
    """What a commit brought: the last sequence, the tenants' new heads, and the events in their order."""

    sequence: int
    heads: dict[TenantId, int]
    recorded: Collection[Recorded]


class EmbeddedSequencer:
    """See domain.ledger.Sequencer. Decides on the event loop, in memory; a thread of its own writes and commits.

    While a batch is being committed nothing is decided, but the next commands are prepared by their callers; so batches
    are kept to a part of what waits. Raises LogShorter if the log is not what the tail file remembers.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        tail: TailFile | None,
        clock: Callable[[], int],
        committed: Callable[[Committed], None] = lambda _: None,
        *,
        steady: Callable[[], int] = steady_clock,
        accept_gap: bool = False,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._tail = tail
        self._clock = clock
        self._committed = committed
        self._queue = WaitingQueue()
        self._errands: deque[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]] = deque()
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "commit")
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._broken: str | None = None
        self._wal = WalMover(database)
        self.pace: Callable[[], float] = lambda: 0.0
        """Asked before each batch: how many seconds to wait first, so that views can follow."""
        end = end_of_log(database.writer)
        if tail:
            check_tail(database.writer, end, tail)
        self.sequence, self._chain = end.sequence, end.chain
        self._watch = ClockWatch(clock, end.instant, steady=steady, accept_gap=accept_gap)
        self._decisions = Decisions(Index(database.writer), keyring, clock)

    @property
    def waiting(self) -> int:
        """How many commands wait."""
        return len(self._queue)

    @property
    def not_ready(self) -> str | None:
        """Why nothing is accepted, if nothing is."""
        return self._broken or self._watch.trouble()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Decide what has been accepted, then accept nothing more."""
        self._stopping = True
        self._wake.set()
        if self._task:
            await self._task
        self._thread.shutdown()
        self._wal.stop()

    async def execute(self, work: Work) -> Outcome:
        if self._stopping or self._broken:
            raise NotReady(self._broken or "the node is stopping; ask another, or again in a moment")
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.put(Waiting(work, answer))
        self._wake.set()
        return await answer

    async def exclusively(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """What `act` makes of the writer's connection, on the commit thread, with no commit under way."""
        if self._stopping:
            raise NotReady("the node is stopping")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._errands.append((act, done))
        self._wake.set()
        return await done

    async def _run(self) -> None:
        while True:
            while self._errands:
                await self._do(*self._errands.popleft())
            if len(self._queue):
                if (pause := self.pace()) > 0 and not self._stopping:
                    await asyncio.sleep(min(pause, LONGEST_PAUSE))
                await self._do_batch()
            elif self._stopping:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

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

    async def _do_batch(self) -> None:
        """Decide, commit, and only then answer."""
        waiting = self._queue.take(min(MOST_IN_BATCH, max(FEWEST_IN_BATCH, (len(self._queue) + 1) // 2)))
        if trouble := self.not_ready:
            _answer_all(waiting, NotReady(trouble))
            return
        batch = Batch(self.sequence, self._chain)
        try:
            answers = self._decide(batch, waiting)
            if batch.rows:
                await self._on_thread(lambda: self._make_durable(batch))
        except Exception as problem:
            self._fail(waiting, problem)
            return
        if batch.rows:
            self._go_on_from(batch)
        for (_, answer), outcome in answers:
            if answer.done():
                continue
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

    def _decide(self, batch: Batch, waiting: list[Waiting]) -> list[Answer]:
        """Each command alone: one that raises is answered so, and the others stand."""
        decide = self._decisions.decide
        self._decisions.begin(batch, [each.work for each in waiting])
        answers: list[Answer] = []
        for place, each in enumerate(waiting):
            if len(batch.rows) > MOST_EVENTS_IN_BATCH:
                self._queue.put_back(waiting[place:])
                del waiting[place:]
                break
            try:
                answers.append((each, decide(each.work)))
            except (sqlite3.Error, BatchBroken):
                raise
            except Exception as problem:
                answers.append((each, problem))
        return answers

    def _make_durable(self, batch: Batch) -> None:
        """On the commit thread: the log first, then the note of it; only then may anybody be answered."""
        with self._database.writing() as connection:
            batch.write(connection)
        if self._tail:
            try:
                self._tail.note(batch.last, self._clock(), batch.chain)
            except OSError as problem:
                self._broken = (
                    f"the tail file can't be written ({problem.strerror}): mend that and restart the node; "
                    "the last commands may have been recorded, so look before sending them again"
                )
                raise
        self._wal.wrote(len(batch.rows))

    def _go_on_from(self, batch: Batch) -> None:
        self.sequence, self._chain = batch.last, batch.chain
        self._keyring.came(batch.ring)
        self._committed(Committed(self.sequence, batch.heads(), batch.recorded.values()))

    def _fail(self, waiting: list[Waiting], problem: Exception) -> None:
        """The batch left no trace: forget what was decided, and say so to everybody in it."""
        try:
            self._decisions.forget()
            end = end_of_log(self._database.writer)
            self.sequence, self._chain = end.sequence, end.chain
        except Exception:
            self._broken = self._broken or "the log can't be read: see to the disk, then restart the node"
        full = isinstance(problem, sqlite3.OperationalError) and "full" in str(problem)
        why = "the disk is full: make room, and send the command again" if full else "the commit failed; try again"
        _answer_all(waiting, NotReady(self._broken or why))


def _answer_all(waiting: list[Waiting], problem: Exception) -> None:
    for _, answer in waiting:
        if not answer.done():
            answer.set_exception(problem)
