"""The ledger on Kafka, as one node has it: all partitions followed, some of them owned, and a way to their owners."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.index.clock_watch import steady_clock
from adapters.index.folder_lock import FolderLock
from adapters.index.sequencer import Committed
from adapters.kafka.applying import Applied
from adapters.kafka.client import Admin, Client, Place
from adapters.kafka.clients import connect
from adapters.kafka.fence import Fence
from adapters.kafka.follower import Follower
from adapters.kafka.log import SchemaIds
from adapters.kafka.members import Members
from adapters.kafka.owner import Ownership
from adapters.kafka.partition import Partition
from adapters.kafka.peers import Peers, Proofs, is_address
from adapters.kafka.routed_ledger import RoutedLedger
from adapters.kafka.routing import Evidences, Histories, Keyrings, OtherPartitions
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import TopicSettings, prepare_topics
from domain.ledger import NotReady

MOST_TAKEOVERS: Final = 16
"""At once; each may wait for brokers."""
START_TIMEOUT: Final = 24 * 3600.0
"""Seconds in which an index is brought up to date at the start; a long history takes long."""


class KafkaOptions(msgspec.Struct, frozen=True):
    """How a node takes part."""

    settings: KafkaSettings
    topics: TopicSettings
    folder: Path
    """Where the indexes are; it can be deleted while no node runs on it."""
    address: str
    """Under which other nodes reach this one."""
    peers_ca: str | None = None
    """PEM: who signed the other nodes' certificates; None trusts the system's."""
    session_timeout: float = 10.0
    accept_gap: bool = False
    fencing: bool = True


class KafkaLedger:
    """Start and stop it on one event loop. Raises what `prepare_topics` raises, FolderInUse, WrongRootKey."""

    def __init__(
        self,
        options: KafkaOptions,
        root_key: bytes,
        clock: Callable[[], int],
        committed: Callable[[Partition, Committed], None],
        owns: Callable[[], None],
        progress: Callable[[int, int], None] = lambda done, of: None,
        schemas: SchemaIds | None = None,
        steady: Callable[[], int] | None = None,
    ) -> None:
        """On the event loop: `committed` is told of every commit, anybody's; `owns`, that owners changed."""
        self._options = options
        self._root_key = root_key
        self._clock = clock
        self._committed = committed
        self._owns = owns
        self._progress = progress
        self.schemas = schemas
        self._steady = steady or steady_clock
        self._closing: list[Callable[[], Any]] = []
        self._threads = ThreadPoolExecutor(MOST_TAKEOVERS, "takeover")

    async def start(self) -> None:
        """Returns once the indexes have read what was committed; partitions are owned soon after."""
        options = self._options
        options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FolderLock(options.folder)
        self._closing.append(lock.release)
        client = self.client = connect(options.settings)
        self._admin: Admin = await asyncio.to_thread(client.admin)
        self._closing.append(self._admin.close)
        self.topics = await asyncio.to_thread(prepare_topics, self._admin, options.topics)
        count = self.topics.partitions
        self.partitions: list[Partition] = []
        for number in range(count):
            self.partitions.append(Partition(number, options.folder, count, self._root_key))
            self._closing.append(self.partitions[-1].close)
        self.histories = Histories(self.partitions, self._find)
        self.keyrings = Keyrings(self.partitions, self._find)
        self.evidences = Evidences(self.partitions, self._find)
        self.peers = Peers(Proofs(self._root_key), self._options.peers_ca)
        self.follower = Follower(client, self._admin, self.topics, self.partitions, self._applied)
        self.follower.start()
        await self._catch_up()
        self.follower.is_live = True
        self.owners = {each.number: self._ownership(each, client) for each in self.partitions}
        self.ledger = RoutedLedger(self.owner_of, self._clock, options.address, self.peers)
        self.fence = Fence(self._admin, self.topics, self.owner_of)
        self.members = Members(
            client, self.topics, self.owners, options.address, options.session_timeout, self._trouble
        )

    def join(self) -> None:
        """Take part in owning from now on."""
        for owner in self.owners.values():
            owner.start()
        self.members.start()

    def _ownership(self, partition: Partition, client: Client) -> Ownership:
        return Ownership(
            partition,
            client,
            self._admin,
            self.topics,
            self.follower,
            self._options.address,
            self._clock,
            self._committed,
            self._regroup,
            self._owns,
            self._threads,
            elsewhere=OtherPartitions(partition.number, self.histories, self._find),
            schemas=self.schemas,
            steady=self._steady,
            accept_gap=self._options.accept_gap,
            fencing=self._options.fencing,
        )

    async def _catch_up(self) -> None:
        places = {each.number: self.topics.of_ledger(each.number) for each in self.partitions}
        ends = await asyncio.to_thread(lambda: self._admin.ends(list(places.values()), committed=True))
        total = sum(ends.values())
        telling = asyncio.get_running_loop().create_task(self._tell_progress(total))
        try:
            for each in self.partitions:
                await each.until_passed_or_trouble(ends[places[each.number]], START_TIMEOUT)
        finally:
            telling.cancel()

    async def _tell_progress(self, total: int) -> None:
        while True:
            self._progress(sum(each.passed for each in self.partitions), total)
            await asyncio.sleep(0.5)

    async def stop(self) -> None:
        """Drains what is owned, leaves the group, closes."""
        if hasattr(self, "members"):
            await asyncio.gather(*(each.stop() for each in self.owners.values()), return_exceptions=True)
            await self.members.stop()
        if hasattr(self, "follower"):
            await self.follower.stop()
            await self.peers.close()
        for close in reversed(self._closing):
            await asyncio.to_thread(close)
        self._threads.shutdown(wait=False)

    def _trouble(self) -> str | None:
        """Why this node must not own anything: somebody else reads what it can't."""
        return next((each.trouble for each in self.partitions if each.is_damaged), None)

    def _regroup(self) -> None:
        self.members.regroup()

    async def other_members(self) -> list[str]:
        """The addresses of all other nodes that are alive, as far as the group knows. Raises Unavailable."""
        members = set(await asyncio.to_thread(self._admin.members, self.topics.group))
        members |= {each.owner.address for each in self.partitions}
        return sorted(each for each in members if is_address(each) and each != self._options.address)

    def ends(self, places: Collection[Place], *, committed: bool) -> dict[Place, int]:
        """See adapters.kafka.client.Admin."""
        return self._admin.ends(places, committed=committed)

    async def exclusively(self, partition: Partition, act: Callable[[], bool]) -> bool:
        """What `act` makes of a partition's index while nobody else writes it."""
        owner = self.owners[partition.number]
        if owner.sequencer is not None:
            return await owner.sequencer.exclusively(lambda _: act())
        if owner.log is not None:
            raise NotReady("a partition is being let go: ask again in a moment")
        return await self.follower.exclusively(act)

    def _find(self, tenant: str) -> Partition:
        return self.partitions[self.topics.partition_of(tenant)]

    def owner_of(self, tenant: str) -> Ownership:
        """This node's part in the ownership of a tenant's partition."""
        return self.owners[self.topics.partition_of(tenant)]

    def _applied(self, partition: Partition, applied: Applied) -> None:
        if applied.heads and self.follower.is_live:  # while it catches up, nobody follows it yet
            self._committed(partition, Committed(applied.sequence, applied.heads, applied.recorded))

    @property
    def not_ready(self) -> str | None:
        """Why commands are not taken, or reads not answered, for some tenants at least."""
        for partition in self.partitions:
            owner = self.owners[partition.number]
            if partition.trouble:
                return partition.trouble
            if owner.is_ours and owner.sequencer is None:
                return owner.trouble or "partitions are being taken over"
            if owner.sequencer is not None and owner.sequencer.not_ready:
                return owner.sequencer.not_ready
            if not owner.is_ours and not partition.owner.address:
                return self.members.trouble or "no node owns some of the partitions yet"
        return self.follower.trouble
