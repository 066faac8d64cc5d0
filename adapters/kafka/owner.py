"""The owner of a partition: takes over by fencing, decides while it may, and leaves when it is told or fenced.

The group's assignment is a hint. What counts is the transactional id, which one writer at a time has, and the takeover
record, which says in the log itself who that is.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, Protocol, TypeVar

import structlog

from adapters.index.batch import Batch
from adapters.index.clock_watch import steady_clock
from adapters.index.deciding import Elsewhere
from adapters.index.log import LogShorter
from adapters.index.sequencer import Committed, Ended, PartitionSequencer, answer_one
from adapters.index.waiting import Waiting, WaitingQueue
from adapters.kafka.client import Admin, Client, Fenced, OutcomeUnknown, Unavailable
from adapters.kafka.follower import Follower
from adapters.kafka.log import KafkaLog, SchemaIds
from adapters.kafka.partition import Partition
from adapters.kafka.taking_over import TakeOvers
from adapters.kafka.topics import Topics
from domain.ledger import NotReady, Outcome, Work

T = TypeVar("T")

PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0
PATIENCE: Final = 20.0
"""Seconds that a command waits for an owner, or for the outcome of its commit."""
UNKNOWN: Final = (
    "whether the command was recorded could not be found out in time: send it again with the same Idempotency-Key, "
    "or look before sending it again"
)


class Moved(Exception):
    """Another node owns the partition, or soon will: the command was not recorded here."""


class Regroup(Protocol):
    """Leaves the group of the nodes and joins it anew, so that an assignment comes that is newer than a fence."""

    def __call__(self) -> None: ...


class Ownership:
    """This node's part in a partition's ownership. Lives on the event loop."""

    def __init__(
        self,
        partition: Partition,
        client: Client,
        admin: Admin,
        topics: Topics,
        follower: Follower,
        address: str,
        clock: Callable[[], int],
        committed: Callable[[Partition, Committed], None],
        regroup: Regroup,
        changed: Callable[[], None],
        threads: Executor,
        *,
        elsewhere: Elsewhere,
        schemas: SchemaIds | None = None,
        steady: Callable[[], int] = steady_clock,
        accept_gap: bool = False,
        fencing: bool = True,
    ) -> None:
        """`changed` is told that the partition is owned, or no more. `fencing`: False only to show what it prevents."""
        self.partition = partition
        self._follower = follower
        self._clock = clock
        self._committed = committed
        self._regroup = regroup
        self._changed = changed
        self._threads = threads
        self._elsewhere = elsewhere
        self._steady = steady
        self._accept_gap = accept_gap
        self._take_overs = TakeOvers(
            partition, client, admin, topics, follower, address, clock, threads, schemas=schemas, fencing=fencing
        )
        self._queue = WaitingQueue()
        self._generation = 0
        self._wanted = asyncio.Event()
        self._unwanted = asyncio.Event()
        self._unwanted.set()
        self._task: asyncio.Task[None] | None = None
        self._resolving: set[asyncio.Task[None]] = set()
        self.sequencer: PartitionSequencer | None = None
        """While this node is the owner."""
        self.log: KafkaLog | None = None
        self.pace: Callable[[], float] = lambda: 0.0
        self.trouble: str | None = None
        """Why the last attempt to take over failed."""
        self.takeovers = 0

    @property
    def is_ours(self) -> bool:
        """Whether commands are taken here: by its owner, or by who is about to be."""
        return self._wanted.is_set()

    async def until_owned(self, timeout: float) -> None:
        """Raises Unavailable after so many seconds."""
        await self.partition.until(lambda: self.log is not None, timeout, "the partition was not taken over in time")

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def assign(self, generation: int) -> None:
        """The group gives the partition to this node."""
        self._generation = generation
        self._unwanted.clear()
        self._wanted.set()
        self.partition.went_on()

    def lose(self) -> None:
        """The partition is another's, or soon will be; what waits is for them."""
        self._wanted.clear()
        self._unwanted.set()
        if self.sequencer is None:
            self._turn_away()

    async def release(self) -> None:
        """Decide and commit what has been accepted, then let go."""
        self.lose()
        await self.partition.until(lambda: self.log is None, PATIENCE, "the partition could not be let go in time")

    async def stop(self) -> None:
        self.lose()
        if self._task is not None:
            await self.partition.until(lambda: self.log is None, PATIENCE, "")
            self._task.cancel()
            await asyncio.gather(self._task, *self._resolving, return_exceptions=True)

    async def execute(self, work: Work) -> Outcome:
        """See domain.ledger.Sequencer; raises Moved too."""
        if not self.is_ours:
            raise Moved
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.put(Waiting(work, answer))
        if self.sequencer is not None:
            self.sequencer.wake()
        try:
            return await asyncio.wait_for(answer, PATIENCE)
        except TimeoutError:
            raise NotReady(UNKNOWN) from None

    async def _run(self) -> None:
        pause = PAUSE
        while True:
            await self._wanted.wait()
            try:
                await self._hold()
                pause = PAUSE
                continue
            except Fenced:
                self.trouble = "another node has taken the partition over"
                self.lose()
                self._regroup()
            except (Unavailable, OutcomeUnknown, LogShorter) as problem:
                self.trouble = str(problem) or "the brokers did not answer in time"
                structlog.get_logger().warning(
                    "a partition can't be taken over", partition=self.partition.number, kafka=self.trouble
                )
            except Exception as problem:
                self.trouble = f"taking over failed ({type(problem).__name__})"
                structlog.get_logger().error(
                    "a partition can't be taken over", partition=self.partition.number, exc_info=problem
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _hold(self) -> None:
        """Take over, and serve until it is over."""
        log = await self._take_overs.take(self._generation, lambda: self.is_ours)
        self.trouble = None
        ended: Ended | None = None
        try:
            sequencer = self._serve(log)
            try:
                await self._until_over(sequencer)
            finally:
                self.sequencer = None
                await sequencer.stop()
                if sequencer.ended is not None and sequencer.ended.done():
                    ended = sequencer.ended.result()
                    self._take_back(ended)
        finally:
            self.log = None
            self._changed()
            self.partition.went_on()
            await self._on_thread(log.close)
            await self._follower.resume(self.partition.number)
        if not self.is_ours:
            self._turn_away()
        if ended is not None and isinstance(ended.problem, Fenced):
            raise ended.problem

    def _take_back(self, ended: Ended) -> None:
        """Nobody was answered: what was decided in vain waits again, and of the rest the log will tell."""
        self.partition.keyring.stay()
        self._queue.put_back(ended.rest)
        if ended.shipped is not None:
            task = asyncio.get_running_loop().create_task(self._resolve(ended.shipped))
            self._resolving.add(task)
            task.add_done_callback(self._resolving.discard)

    def _serve(self, log: KafkaLog) -> PartitionSequencer:
        partition = self.partition
        sequencer = PartitionSequencer(
            partition.database,
            partition.keyring,
            log,
            self._clock,
            self._tell,
            steady=self._steady,
            accept_gap=self._accept_gap,
            queue=self._queue,
            elsewhere=self._elsewhere,
        )
        sequencer.pace = self.pace
        sequencer.start()
        self.log, self.sequencer = log, sequencer
        self.takeovers += 1
        self._changed()
        partition.went_on()
        return sequencer

    def _tell(self, committed: Committed) -> None:
        self._committed(self.partition, committed)
        self.partition.went_on()

    async def _until_over(self, sequencer: PartitionSequencer) -> None:
        unwanted = asyncio.ensure_future(self._unwanted.wait())
        try:
            await asyncio.wait({unwanted, sequencer.ended or unwanted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            unwanted.cancel()

    async def _on_thread(self, do: Callable[[], T]) -> T:
        """On one of the threads for what may take long, so that nothing else waits for it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, do)

    async def _resolve(self, batch: Batch) -> None:
        """Find out what became of a commit: after the next takeover, what is not in the log will never be."""
        partition, began = self.partition, time.monotonic()
        try:
            await partition.until(lambda: partition.owner.epoch > batch.epoch, PATIENCE, "")
        except Unavailable:
            for waiting, _ in batch.answers:
                answer_one(waiting, NotReady(UNKNOWN))
            return
        there = bool(batch.rows) and partition.has_commit(batch.first, batch.id)
        structlog.get_logger().info(
            "the outcome of a commit was found out",
            partition=partition.number,
            recorded=there,
            seconds=round(time.monotonic() - began, 3),
        )
        if there:
            for waiting, outcome in batch.answers:
                answer_one(waiting, outcome)
            return
        self._queue.put_back([waiting for waiting, _ in batch.answers])
        if not self.is_ours:
            self._turn_away()
        elif self.sequencer is not None:
            self.sequencer.wake()

    def _turn_away(self) -> None:
        """What waits here goes to the next owner."""
        for waiting in self._queue.take(len(self._queue)):
            answer_one(waiting, Moved())
