"""Kafka as a node has it: all partitions followed, some of them owned, and the other nodes a call away."""

import asyncio
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from adapters.evidence.kafka_log import KafkaLog
from adapters.evidence.log import DeploymentLog
from adapters.index.sequencer import Committed
from adapters.kafka.client import Unavailable
from adapters.kafka.clients import connect
from adapters.kafka.ledger import KafkaLedger, KafkaOptions
from adapters.kafka.outside_registry import outside_registry, register_all
from adapters.kafka.partition import Partition
from adapters.kafka.peers import NoAnswer, Unreachable, is_address
from adapters.kafka.sampling import Sampler
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import TopicSettings
from api.configuration import Configuration, ConfigurationError, KafkaConfiguration
from api.kafka_metrics import KafkaMetrics
from api.log_side import NotBackedUp
from domain.ids import TenantId
from domain.ledger import NotReady

CHECKPOINTS: Final = "checkpoints.db"
"""The deployment's log as this node has read it, among the indexes: made again if it is deleted."""
WIPE: Final = "/internal/wipe"
WIPE_TIMEOUT: Final = 15.0


class KafkaSide:
    """See api.log_side.LogSide."""

    def __init__(
        self,
        configuration: Configuration,
        kafka: KafkaConfiguration,
        folder: Path,
        address: str,
        root_key: bytes,
        clock: Callable[[], int],
        committed: Callable[[int, Committed], None],
        assigned: Callable[[frozenset[int]], None],
        metrics: CollectorRegistry,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        """`assigned` is told which partitions this node owns, whenever that changes."""
        if not is_address(address):
            raise ConfigurationError("MUNIMENT_NODE_URL must be like https://node-1.example:8420")
        self.address = address
        self._folder = folder
        self._committed = committed
        self._assigned = assigned
        self._sequences: dict[int, int] = {}
        options = self._options = KafkaOptions(
            settings=KafkaSettings(**kafka.connection),
            topics=TopicSettings(kafka.prefix, kafka.partitions, kafka.replication, kafka.min_in_sync),
            folder=folder,
            address=address,
            peers_ca=kafka.node_ca,
            session_timeout=kafka.session,
            accept_gap=configuration.accept_clock,
            fencing=kafka.fencing,
        )
        self._registry = kafka.registry
        self._metrics = metrics
        self._watching: asyncio.Task[None] | None = None
        self.kafka = KafkaLedger(options, root_key, clock, self._grown, self._owns, progress)

    async def start(self) -> None:
        if self._registry is not None:
            registry = outside_registry(**self._registry)
            self.kafka.schemas = await asyncio.to_thread(register_all, registry)
        try:
            await self.kafka.start()
        except (ValueError, RuntimeError) as problem:
            raise ConfigurationError(str(problem)) from problem
        self.keyring = self.kafka.keyrings
        self.history = self.kafka.histories
        self.evidence = self.kafka.evidences
        kafka = self.kafka
        self._sampler = Sampler(kafka.client, kafka.topics, kafka.partitions, random.SystemRandom().random)
        self.ledger = self.kafka.ledger
        self._sequences.update({each.number: each.sequence for each in self.kafka.partitions})

    async def join(self, pace: Callable[[int], float]) -> None:
        for number, owner in self.kafka.owners.items():
            owner.pace = lambda number=number: pace(number)  # type: ignore[misc]
        self.kafka.join()
        self._watching = asyncio.get_running_loop().create_task(KafkaMetrics(self.kafka, self._metrics).run())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.kafka.stop()

    @property
    def path(self) -> Path:
        return self._folder

    def partition_of(self, tenant: str) -> int:
        return self.kafka.topics.partition_of(tenant)

    @property
    def sequences(self) -> Mapping[int, int]:
        return self._sequences

    @property
    def not_ready(self) -> str | None:
        return self.kafka.not_ready

    def decides(self, tenant: TenantId) -> bool:
        return self.kafka.owner_of(tenant).is_ours

    async def reach(self, tenant: TenantId) -> None:
        try:
            await self.kafka.fence.reach(tenant)
        except Unavailable as problem:
            raise NotReady(str(problem)) from problem

    async def destroy_purposes(self, first: str, before: str) -> None:
        for owner in self.kafka.owners.values():
            change = owner.partition.keyring.spent_purposes(first, before)
            if change and owner.sequencer is not None:
                await owner.sequencer.change_ring(change)

    async def wipe(self, tenant: TenantId, position: int) -> bool:
        """Every member of the group is asked; who has died reads that keys are destroyed before it opens anything."""
        try:
            others = await self.kafka.other_members()
        except Unavailable:
            return False
        asked = [self._wipe_there(each, tenant, position) for each in others]
        done = await asyncio.gather(self.wipe_here(tenant, position), *asked)
        return all(done)

    async def record_own_keys(self, tenant: TenantId) -> None:
        """So that another node's keys for the same purposes give way to these."""
        owner = self.kafka.owner_of(tenant)
        change = owner.partition.keyring.unrecorded(tenant)
        if change and owner.sequencer is not None:
            await owner.sequencer.change_ring(change)

    async def wipe_here(self, tenant: TenantId, position: int) -> bool:
        """Whether no copy is left on this node; False too if it has not read as far yet."""
        partition = self.kafka.owner_of(tenant).partition
        try:
            await partition.until(lambda: self.history.head(tenant)[0] >= position, WIPE_TIMEOUT / 3, "")
            return await self.kafka.exclusively(partition, partition.database.truncate_wal)
        except (Unavailable, NotReady):
            return False

    async def _wipe_there(self, address: str, tenant: TenantId, position: int) -> bool:
        body = f"{tenant} {position}".encode()
        try:
            response = await self.kafka.peers.ask(address, "POST", WIPE, body, WIPE_TIMEOUT)
        except (Unreachable, NoAnswer):
            return False
        return response.status_code == 204

    def checkpoint_log(self) -> DeploymentLog:
        settings = self._options.settings
        return KafkaLog(connect(settings), self._options.topics, self._folder / CHECKPOINTS)

    def sample(self) -> str | None:
        return self._sampler.sample().problem

    def copy_log(self, into: Path) -> None:
        raise NotBackedUp(
            "the ledger is on Kafka, which keeps it: replicate its topics, or copy them with the tools of your brokers"
        )

    def _grown(self, partition: Partition, committed: Committed) -> None:
        self._sequences[partition.number] = committed.sequence
        self._committed(partition.number, committed)

    def _owns(self) -> None:
        self._assigned(frozenset(number for number, owner in self.kafka.owners.items() if owner.log is not None))
