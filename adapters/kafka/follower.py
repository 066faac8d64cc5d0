"""The follower: one thread that reads all partitions which this node does not own, and keeps their indexes current."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import structlog

from adapters.index.log import LogShorter, end_of_log
from adapters.index.ring import RingChange
from adapters.kafka.applying import KEYRING, LEDGER, Applied, Applier
from adapters.kafka.client import Admin, Client, Place, Reader, Received, Unavailable
from adapters.kafka.commits import CommitRead, LogUnlike, Verifier
from adapters.kafka.control import TakeOver
from adapters.kafka.headers import mark_of, schema_of
from adapters.kafka.outside_registry import Swap
from adapters.kafka.partition import Owner, Partition
from adapters.kafka.peers import is_address
from adapters.kafka.ring_records import NotOfTheRing, change_of
from adapters.kafka.topics import Topics
from domain.ids import Handle

T = TypeVar("T")

POLL: Final = 0.05
"""Seconds after which orders are looked for, if nothing comes."""
PAUSE: Final = 0.2
PATIENCE: Final = 60.0
MOST_APPLIED: Final = 2_000
"""Events after which a transaction of the index ends."""


class _Following:
    """What the thread knows of a partition that it reads."""

    def __init__(self, partition: Partition, topics: Topics) -> None:
        self.partition = partition
        self.ledger, self.keyring = topics.of_ledger(partition.number), topics.of_keyring(partition.number)
        database = partition.database
        end = end_of_log(database.writer)
        (epoch,) = database.one("SELECT coalesce(max(epoch), 0) FROM owners", ())
        streams = {name: (last, next) for name, last, next in database.writer.execute("SELECT * FROM streams")}
        self.last, self.next = streams.get(LEDGER, (-1, 0))
        self.read_next = self.next
        """The offset after what was read, of which some may wait to be applied."""
        self.ring, self.ring_next = streams.get(KEYRING, (0, 0))
        self.verifier = Verifier(f"{self.ledger.topic}/{partition.number}", epoch, end.sequence, end.chain)
        self.applier = Applier(database, lambda tenant: topics.partition_of(tenant) == partition.number)
        self.must_wipe = False
        """Whether the write-ahead log may hold copies of keys that were destroyed."""
        self.ready: deque[tuple[int, CommitRead | TakeOver]] = deque()
        self.change, self.gone = RingChange(), list[Handle]()
        self.ring_is_read_to = 0

    def take_ring(self, records: Sequence[Received]) -> None:
        change, gone, number = change_of(records)
        self.gone += gone
        self.change.merge(change)
        self.ring = max(self.ring, number)
        self.ring_next = records[-1].offset + 1

    def take(self, records: Sequence[Received]) -> None:
        self.read_next = records[-1].offset + 1
        self.ready.extend(self.verifier.read([with_our_id(each) for each in records]))

    def whole(self, may_read: Callable[[int], bool]) -> list[CommitRead | TakeOver]:
        """What can be applied now; `may_read` says whether the keyring was read up to a change's number."""
        found: list[CommitRead | TakeOver] = []
        events = 0
        while self.ready and events < MOST_APPLIED:
            offset, each = self.ready[0]
            if isinstance(each, CommitRead):
                if each.ring and not may_read(each.ring):
                    break
                self.last = offset
                events += len(each.stored)
            self.next = offset + 1
            found.append(each)
            self.ready.popleft()
        return found

    @property
    def has_work(self) -> bool:
        return bool(self.ready or self.change or self.gone)


class Follower:
    """`applied` is called on the event loop with each partition's news; its owner, if that changed, is set before."""

    def __init__(
        self,
        client: Client,
        admin: Admin,
        topics: Topics,
        partitions: Sequence[Partition],
        applied: Callable[[Partition, Applied], None],
    ) -> None:
        self._client = client
        self._admin = admin
        self._topics = topics
        self._partitions = {each.number: each for each in partitions}
        self._applied = applied
        self._loop = asyncio.get_running_loop()
        self._orders: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._following: dict[int, _Following] = {}
        self._by_place: dict[Place, _Following] = {}
        self._read_again: set[int] = set()
        """Partitions that seemed not to be as they must be, and were read a second time."""
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._stopping = False
        self.trouble: str | None = None
        """Why nothing can be read now, if nothing can."""
        self.is_live = False
        """Set once somebody wants the events, not only the indexes."""

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        self._stopping = True
        await asyncio.to_thread(self._thread.join)

    async def release(self, partition: int) -> None:
        """Returns once this thread has let go of a partition."""
        await self.exclusively(lambda: self._let_go(partition))

    async def resume(self, partition: int) -> None:
        """Go on from where the index ends."""
        if not self._stopping:
            await self.exclusively(lambda: self._begin([partition]))

    async def exclusively(self, act: Callable[[], T]) -> T:
        """What `act` makes on this thread, between two transactions of the indexes."""
        if not self._thread.is_alive():
            raise Unavailable("the node is stopping, or its follower has failed: see its log, and restart it")
        done: Future[T] = Future()
        self._orders.put((act, done))
        return await asyncio.wrap_future(done)

    def _run(self) -> None:
        self._begin(list(self._partitions))
        reader: Reader | None = None
        while not self._stopping:
            try:
                if reader is None:
                    reader = self._client.reader()
                    self._check(reader.assign, reader.poll)
                    reader.assign(self._places())
                self._step(reader)
                self.trouble = None
            except Exception as problem:
                if isinstance(problem, Unavailable):
                    self.trouble = str(problem)
                else:
                    self.trouble = f"following the partitions failed ({type(problem).__name__})"
                    structlog.get_logger().error("following failed", exc_info=problem)
                _close(reader)
                reader = None
                self._begin(list(self._following))
                time.sleep(PAUSE)
        _close(reader)
        self._obey()

    def _step(self, reader: Reader) -> None:
        """What was ordered, then what has come."""
        if self._obey():
            reader.assign(self._places())
        if not self._following:
            self._await_orders()
            return
        if self._take(reader.poll(POLL)):
            reader.assign(self._places())
        self._apply_all()
        self._pass(reader.position)

    def _begin(self, partitions: Sequence[int]) -> None:
        """Read these from where their indexes end; one whose index is damaged is in trouble, and the others go on."""
        for number in partitions:
            partition = self._partitions[number]
            try:
                self._following[number] = _Following(partition, self._topics)
            except (LogShorter, sqlite3.Error) as problem:
                self._following.pop(number, None)
                self._loop.call_soon_threadsafe(_set_trouble, partition, _what(problem), True)
        self._by_place = {}
        for each in self._following.values():
            self._by_place[each.ledger] = self._by_place[each.keyring] = each

    def _places(self) -> dict[Place, int]:
        places: dict[Place, int] = {}
        for each in self._following.values():
            places[each.ledger], places[each.keyring] = each.read_next, each.ring_next
        return places

    def _await_orders(self) -> None:
        """Nothing is followed, so there is nothing else to wait for."""
        with contextlib.suppress(queue.Empty):
            self._orders.put(self._orders.get(timeout=POLL))

    def _obey(self) -> bool:
        """Whether what is followed has changed."""
        before = set(self._following.items())
        while True:
            try:
                act, done = self._orders.get_nowait()
            except queue.Empty:
                return before != set(self._following.items())
            awaited = done.set_running_or_notify_cancel()
            try:
                result = act()
            except Exception as problem:
                if awaited:
                    done.set_exception(problem)
            else:
                if awaited:
                    done.set_result(result)

    def _let_go(self, partition: int) -> None:
        if (gone := self._following.pop(partition, None)) is not None:
            del self._by_place[gone.ledger], self._by_place[gone.keyring]

    def _check(self, assign: Callable[[dict[Place, int]], None], poll: Callable[[float], list[Received]]) -> None:
        """That the log still holds what the indexes were made of. Marks a partition that differs as in trouble."""
        wanted = {each.ledger: each for each in self._following.values() if each.last >= 0}
        ends = self._admin.ends(list(wanted), committed=False) if wanted else {}
        stable = self._admin.ends(list(wanted), committed=True) if wanted else {}
        for place, each in list(wanted.items()):
            if ends[place] <= each.last:
                self._give_up(each, f"{place.topic}/{place.partition} ends before what this node has read of it")
                del wanted[place]
            elif stable[place] <= each.last:
                del wanted[place]  # its transaction has no end yet; if it hangs, the next owner looks at it
        deadline = time.monotonic() + PATIENCE
        assign({place: each.last for place, each in wanted.items()})
        while wanted:
            for record in poll(POLL):
                first = wanted.pop(record.place, None)
                if first is not None and not _is_last(first, record):
                    self._give_up(first, f"{record.place.topic}/{record.place.partition} differs from what was read")
            if wanted and time.monotonic() > deadline:
                raise Unavailable("the brokers don't give the last events again: look at their logs")

    def _give_up(self, following: _Following, why: str, *, damaged: bool = False) -> None:
        partition = following.partition
        self._following.pop(partition.number, None)
        self._by_place.pop(following.ledger, None)
        self._by_place.pop(following.keyring, None)
        self._loop.call_soon_threadsafe(_set_trouble, partition, why, damaged)

    def _take(self, received: Sequence[Received]) -> bool:
        """Whether a partition had to be given up."""
        by_place: dict[Place, list[Received]] = {}
        for each in received:
            by_place.setdefault(each.place, []).append(each)
        given_up, begun = False, set[int]()
        for place, records in by_place.items():
            following = self._by_place.get(place)
            if following is None or following.partition.number in begun:
                continue
            try:
                if place == following.keyring:
                    following.take_ring(records)
                else:
                    following.take(records)
            except (LogUnlike, NotOfTheRing) as problem:
                number = following.partition.number
                if number in self._read_again:
                    self._give_up(following, str(problem))
                else:  # once, from the index on: it is the log that must be wrong, and not how it was read
                    self._read_again.add(number)
                    self._begin([number])
                    begun.add(number)
                given_up = True
        return given_up

    def _apply_all(self) -> None:
        for following in list(self._following.values()):
            if following.must_wipe and not following.has_work:
                following.must_wipe = not following.partition.database.truncate_wal()
            while following.has_work:
                before = len(following.ready)
                try:
                    self._apply(following)
                except sqlite3.OperationalError as problem:  # a full disk, say, which may have room again
                    what = f"the index can't be written ({problem.sqlite_errorname}): make room on its disk"
                    raise Unavailable(what) from problem
                except (LogUnlike, sqlite3.Error) as problem:
                    self._give_up(following, _what(problem), damaged=isinstance(problem, sqlite3.Error))
                    break
                if len(following.ready) == before:
                    break

    def _apply(self, following: _Following) -> None:
        whole = following.whole(lambda number: number <= following.ring or self._ring_is_read(following))
        if not whole and not following.change and not following.gone:
            return
        cursors = ((LEDGER, following.last, following.next), (KEYRING, following.ring, following.ring_next))
        change, gone = following.change, following.gone
        following.change, following.gone = RingChange(), []
        applied = following.applier.apply(whole, change, gone, cursors, decode=self.is_live)
        if gone or applied.ring.destroyed or applied.ring.spent:
            following.must_wipe = following.partition.database.has_slack = True
        owners = [each for each in whole if isinstance(each, TakeOver)]
        owner = Owner(owners[-1].epoch, owners[-1].generation, owners[-1].address) if owners else None
        self._loop.call_soon_threadsafe(self._tell, following.partition, applied, owner)

    def _ring_is_read(self, following: _Following) -> bool:
        """Whether all of the keyring was read: what is missing then was compacted away, because it is destroyed."""
        end = self._admin.ends([following.keyring], committed=False)[following.keyring]
        return following.ring_is_read_to >= end

    def _pass(self, position: Callable[[Place], int]) -> None:
        """Note how far everything is read, past markers and what was aborted."""
        passed: list[tuple[Partition, int, int]] = []
        for each in self._following.values():
            each.ring_is_read_to = position(each.keyring)
            whole = not each.ready and each.verifier.is_between_commits
            at = position(each.ledger) if whole else 0
            if at > each.partition.passed or each.ring_is_read_to > each.partition.keyring_passed:
                passed.append((each.partition, at, each.ring_is_read_to))
        if passed:
            self._loop.call_soon_threadsafe(_have_passed, passed)

    def _tell(self, partition: Partition, applied: Applied, owner: Owner | None) -> None:
        if owner is not None:
            partition.owner = owner if is_address(owner.address) else owner._replace(address="")
        partition.keyring.followed(applied.ring)
        self._applied(partition, applied)
        partition.went_on()


def with_our_id(record: Received) -> Received:
    """A record whose schema's id was swapped for an outside registry's has ours again. Raises LogUnlike."""
    schema = schema_of(record.headers)
    if schema is None or record.value is None:
        return record
    try:
        return record._replace(value=Swap.swap_in(record.value, schema))
    except ValueError as problem:
        raise LogUnlike(f"{record.place.topic}/{record.place.partition} at {record.offset}: {problem}") from problem


def _is_last(following: _Following, record: Received) -> bool:
    """Whether this is the event with which the index ends."""
    mark = mark_of(record.headers)
    if record.offset != following.last or mark is None or mark.sequence != following.verifier.sequence:
        return False
    return following.partition.has_commit(mark.sequence - mark.count + 1, mark.id)


def _close(reader: Reader | None) -> None:
    if reader is not None:
        with contextlib.suppress(Exception):
            reader.close()


def _have_passed(passed: Sequence[tuple[Partition, int, int]]) -> None:
    for partition, ledger, keyring in passed:
        partition.passed = max(partition.passed, ledger)
        partition.keyring_passed = max(partition.keyring_passed, keyring)
        partition.went_on()


def _set_trouble(partition: Partition, why: str, damaged: bool) -> None:
    partition.trouble, partition.is_damaged = why, damaged
    partition.went_on()


def _what(problem: Exception) -> str:
    if isinstance(problem, sqlite3.Error | LogShorter):
        return f"the index is damaged ({type(problem).__name__}): stop the node, delete its folder of indexes, start it"
    return str(problem)
