"""Copies an embedded ledger into Kafka: positions and bytes as they are, resumable, and compared by every hash.

The target is a ledger that this process alone owns. What it holds already is not copied again, so that an attempt which
was interrupted goes on where it ended: each transaction has whole commits, and what is in none was not copied.
"""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from adapters.index.database import Database
from adapters.index.evidence import Progress
from adapters.index.history import IndexHistory
from adapters.index.ring import RingChange
from adapters.kafka.client import Client, Fenced, OutcomeUnknown, Unavailable
from adapters.kafka.clients import connect
from adapters.kafka.copying import Commit, Copying, batches
from adapters.kafka.ledger import KafkaLedger, KafkaOptions
from adapters.kafka.log import KafkaLog, SchemaIds
from adapters.kafka.migrated import Compared, NotMigrated, compare
from adapters.kafka.owner import Ownership
from adapters.kafka.ring_copying import Changes, RingCopy, StrangeKeys
from adapters.kafka.topics import prepare_topics
from domain.ledger import NotReady

T = TypeVar("T")

TAKE_OVER: Final = 60.0
"""Seconds for taking over all partitions, besides the session of an attempt that was killed."""
ELSEWHERE: Final = (
    "name another MUNIMENT_KAFKA_PREFIX, or, if nobody needs what is there, delete the topics with that prefix"
)
AGAIN: Final = "run the command again: what was copied is not copied twice"


class Copied(NamedTuple):
    """What was copied now: nothing of what was there."""

    events: int
    keys: int


def address_of(folder: Path) -> str:
    """Under which the migration of a folder is known; nobody answers there. The same for every attempt."""
    return f"http://migration.invalid/{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}"


@asynccontextmanager
async def migration(
    source: Database,
    options: KafkaOptions,
    root_key: bytes,
    clock: Callable[[], int],
    schemas: SchemaIds | None = None,
    progress: Progress = lambda done, of: None,
) -> "AsyncIterator[Migration]":
    """Owns the target for as long as it lasts. `source` is open for writing, so that nobody else writes it.

    `progress` tells how far the index of what Kafka holds is. Raises NotMigrated, and what KafkaLedger raises.
    """
    client = _connected(options)
    target = KafkaLedger(options, root_key, clock, lambda partition, committed: None, lambda: None, progress, schemas)
    try:
        await asyncio.to_thread(_refuse_nodes, client, options)
        try:
            await target.start()
            await _refuse_trouble(target, options.folder)
            target.join()
            await _own(target, TAKE_OVER + options.session_timeout)
            with ThreadPoolExecutor(1, "source") as reader:
                yield Migration(source, target, client, reader)
        finally:
            await target.stop()
    except (Fenced, NotReady) as problem:
        raise NotMigrated(f"a node has taken over a part of the ledger: stop all nodes, and {AGAIN}") from problem
    except (Unavailable, OutcomeUnknown) as problem:
        raise NotMigrated(f"{str(problem) or 'Kafka did not answer in time'}; {AGAIN}") from problem


def _connected(options: KafkaOptions) -> Client:
    try:
        return connect(options.settings)
    except (ValueError, RuntimeError) as problem:
        raise NotMigrated(str(problem)) from problem


def _refuse_nodes(client: Client, options: KafkaOptions) -> None:
    """Before this process joins their group, which would take partitions from them."""
    admin = client.admin()
    try:
        topics = prepare_topics(admin, options.topics)
        others = sorted(set(admin.members(topics.group)) - {options.address})
    finally:
        admin.close()
    if others:
        raise NotMigrated(
            f"a node runs on that ledger in Kafka ({others[0]}): stop all of them, and run the command again. One that "
            f"was killed counts for another {options.session_timeout:.0f} seconds"
        )


async def _refuse_trouble(target: KafkaLedger, folder: Path) -> None:
    """Before anything is written: that the index, if there is one, is of what Kafka holds."""
    try:
        async with asyncio.timeout(TAKE_OVER):
            await target.follower.exclusively(lambda: None)  # it compares them before it does anything
    except TimeoutError:
        raise Unavailable(target.follower.trouble or "Kafka did not answer in time") from None
    for each in target.partitions:
        if each.trouble is not None:
            raise NotMigrated(
                f"{each.trouble}. If the topics were made anew on purpose, delete {folder}: it is only an index"
            )


async def _own(target: KafkaLedger, timeout: float) -> None:
    try:
        await asyncio.gather(*(each.until_owned(timeout) for each in target.owners.values()))
    except Unavailable as problem:
        troubles = (each.trouble for each in target.owners.values() if each.trouble)
        raise Unavailable(next(troubles, None) or target.members.trouble or str(problem)) from problem


class Migration:
    """From a source that nobody writes, into partitions that nobody else owns. Lives on the event loop."""

    def __init__(self, source: Database, target: KafkaLedger, client: Client, reader: Executor) -> None:
        """`reader` is one thread, on which all of the source is read."""
        self._source = source
        self._target = target
        self._client = client
        self._ring = RingCopy(source, target.topics, [each.database for each in target.partitions])
        self._reader = reader

    async def copy(self, progress: Progress = lambda done, of: None) -> Copied:
        """All that is lacking; first the keys, so that no event is read without them. Raises NotMigrated."""
        heads = await self._on_thread(self._heads)
        keys = await self._change_rings(self._ring.begin())
        copying = {number: Copying(_log_of(owner), owner.partition) for number, owner in self._target.owners.items()}
        total = self._source.one("SELECT coalesce(max(sequence), 0) FROM events", ())[0]
        done = events = 0
        rest = batches(self._source)
        ahead = self._on_thread(next, rest, None)
        try:
            while (batch := await ahead) is not None:
                ahead = self._on_thread(next, rest, None)
                parts = self._by_partition(batch, heads)
                await _all([self._copy(copying[number], number, commits) for number, commits in parts.items()])
                events += sum(len(each.events) for commits in parts.values() for each in commits)
                done += sum(len(each.events) for each in batch)
                progress(done, total)
        finally:
            await asyncio.wait([ahead])
            for each in copying.values():
                each.close()
        keys += await self._change_rings(self._ring.finish())
        return Copied(events, keys)

    async def compare(self, progress: Progress = lambda done, of: None) -> Compared:
        """What Kafka holds with what the source holds. Raises NotMigrated."""
        given_up = threading.Event()

        def tell(done: int, of: int) -> None:
            if given_up.is_set():
                raise NotMigrated(f"it was interrupted: {AGAIN}")
            progress(done, of)

        try:
            compared: Compared = await self._on_thread(compare, self._source, self._client, self._target.topics, tell)
        finally:
            given_up.set()
        (epoch,) = self._source.one("SELECT coalesce(max(number), 0) FROM destructions", ())
        there = (each.database.one("SELECT count(*) FROM destructions", ()) for each in self._target.partitions)
        if sum(count for (count,) in there) != epoch:
            raise NotMigrated("the index of what Kafka holds counts other erasures: delete it, and try again")
        return compared

    def _on_thread(self, do: Callable[..., T], *parameters: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._reader, do, *parameters)

    def _heads(self) -> dict[str, int]:
        """Where each tenant's history ends in the target, which must be the beginning of the source's."""
        ours, heads = IndexHistory(self._source), {}
        for tenant in self._target.histories.tenants():
            heads[str(tenant)] = head = self._target.histories.head(tenant)[0]
            there = self._target.histories.stored(tenant, head - 1, 1)
            here = ours.stored(tenant, head - 1, 1)
            if [bytes(each[1]) for each in there] != [bytes(each[1]) for each in here]:
                raise NotMigrated(
                    f"Kafka holds a history of {tenant} that is not this ledger's, or has gone on since: {ELSEWHERE}"
                )
        return heads

    def _by_partition(self, commits: Sequence[Commit], heads: Mapping[str, int]) -> dict[int, list[Commit]]:
        """What is not there yet, by where it goes."""
        found: dict[int, list[Commit]] = {}
        partition_of = self._target.topics.partition_of
        places: dict[str, int] = {}
        for commit in commits:
            parts: dict[int, Commit] = {}
            for event in commit.events:
                tenant, position, _ = event
                if position <= heads.get(tenant, 0):
                    continue
                if (number := places.get(tenant)) is None:
                    number = places[tenant] = partition_of(tenant)
                if number not in parts:
                    parts[number] = Commit(commit.id, [])
                    found.setdefault(number, []).append(parts[number])
                parts[number].events.append(event)
        return found

    async def _copy(self, copying: Copying, number: int, commits: Sequence[Commit]) -> None:
        await _alone(self._target.owners[number], lambda: copying.copy(commits))

    async def _change_rings(self, changes: Changes) -> int:
        """How many records of keyrings were written."""
        written = 0
        try:
            while (by_partition := await self._on_thread(next, changes, None)) is not None:
                await _all([self._change_ring(number, change) for number, change in by_partition.items()])
                written += sum(map(_size, by_partition.values()))
        except StrangeKeys as problem:
            raise NotMigrated(f"Kafka holds keys that were never this ledger's: {ELSEWHERE}") from problem
        return written

    async def _change_ring(self, number: int, change: RingChange) -> None:
        owner = self._target.owners[number]
        log = _log_of(owner)
        await _alone(owner, lambda: log.change_ring(change))


def _log_of(owner: Ownership) -> KafkaLog:
    if owner.log is None:
        raise Fenced
    return owner.log


async def _alone(owner: Ownership, act: Callable[[], None]) -> None:
    """On the commit thread of the partition's owner. Raises Fenced."""
    if owner.sequencer is None:
        raise Fenced
    await owner.sequencer.exclusively(lambda _: act())


async def _all(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All to their end, also if one fails; then what failed first is raised."""
    for each in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(each, BaseException):
            raise each


def _size(change: RingChange) -> int:
    gone = sum(len(handles) for _, _, handles in change.destroyed) + len(change.spent)
    return len(change.tenant_keys) + len(change.data_keys) + len(change.handles) + gone
