"""A real log on a real broker to test with: a node's part of it, with one partition unless a test says otherwise."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.index.sequencer import Committed, PartitionSequencer
from adapters.kafka.ledger import KafkaLedger, KafkaOptions
from adapters.kafka.owner import Ownership
from adapters.kafka.partition import Partition
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import TopicSettings
from domain.event import Event
from domain.ids import TenantId
from domain.ledger import Query
from tests.adapters.index.logs import HERE, ROOT_KEY, data_of
from tests.node import PATIENCE


def now() -> int:
    return time.time_ns() // 1000


class KafkaLog:
    """What tests.adapters.index.logs.Log is, on Kafka."""

    def __init__(self, kafka: KafkaLedger) -> None:
        self.kafka = kafka
        self.history = kafka.histories

    @property
    def owner(self) -> Ownership:
        return self.kafka.owners[0]

    @property
    def partition(self) -> Partition:
        return self.owner.partition

    @property
    def database(self) -> Any:
        return self.partition.database

    @property
    def keyring(self) -> Any:
        return self.partition.keyring

    @property
    def sequencer(self) -> PartitionSequencer:
        found = self.owner.sequencer
        assert found is not None
        return found

    def events(self, tenant: TenantId = HERE) -> list[Event]:
        return [each.event for each in self.history.recorded(tenant, Query(), 1_000_000)]

    def said(self, tenant: TenantId = HERE) -> list[bytes]:
        return data_of(self.events(tenant))

    def count(self, table: str) -> int:
        (found,) = self.database.one(f"SELECT count(*) FROM {table}", ())  # noqa: S608
        return int(found)

    async def owns(self) -> None:
        """Until this node owns its partitions."""
        for owner in self.kafka.owners.values():
            await owner.partition.until(lambda owner=owner: owner.log is not None, PATIENCE, "it was not taken over")  # type: ignore[misc]


def options(
    servers: str, prefix: str, folder: Path, *, client: str = "kafka-python", partitions: int = 1
) -> KafkaOptions:
    return KafkaOptions(
        settings=KafkaSettings(servers, client=client),  # type: ignore[arg-type]
        topics=TopicSettings(prefix, partitions, 1, 1),
        folder=folder,
        address=f"http://127.0.0.1:1/{folder.name}",
        session_timeout=6.0,
    )


@asynccontextmanager
async def running(
    given: KafkaOptions,
    clock: Callable[[], int] = now,
    committed: Callable[[Partition, Committed], None] = lambda partition, committed: None,
    *,
    join: bool = True,
    steady: Callable[[], int] | None = None,
) -> AsyncIterator[KafkaLog]:
    """`steady` is the clock that nobody can set, where a test sets the other."""
    kafka = KafkaLedger(given, ROOT_KEY, clock, committed, lambda: None, steady=steady)
    try:
        await kafka.start()
        log = KafkaLog(kafka)
        if join:
            kafka.join()
            await log.owns()
        yield log
    finally:
        await kafka.stop()
