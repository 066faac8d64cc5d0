"""Catching up on Kafka: a fresh index and a fresh generation of the views, against a bare consumer that decodes."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop

from adapters.embedded_postgres import EmbeddedPostgres
from adapters.index.partitions import Partitions
from adapters.kafka.client import Place
from adapters.next_generation import NextGeneration
from adapters.postgres.applying import connect
from adapters.postgres.generations import Generations
from api.projector import tables
from projections.every import EVERY_VIEW
from tests.adapters.kafka.logs import options, running
from tests.bench.kafka import CALLERS, JVM, as_served
from tests.bench.kafka_bare import CLIENTS, CONSUMERS
from tests.bench.office import Crew, rate
from tests.bench.table import Row, versus
from tests.kafka.broker import Cluster

PEOPLE: Final = 6_000
CHANGES: Final = 24_000
ROUNDS: Final = 3


def rows(folder: Path) -> Iterator[Row]:
    as_served()
    with Cluster(folder / "broker", jvm=JVM) as cluster:
        history = History(cluster.servers, folder)
        uvloop.run(history.make())
        yield from uvloop.run(history.indexes())
        yield from history.views()


class History:
    """A history of people in one partition, to be read again and again."""

    def __init__(self, servers: str, folder: Path) -> None:
        self._servers = servers
        self._folder = folder
        self._place = Place("history.ledger", 0)
        self.events = self._end = 0
        self._consuming: dict[str, list[float]] = {}

    def _options(self, client: str) -> Any:
        return options(self._servers, "history", self._folder / "index", client=client)

    async def make(self) -> None:
        async with running(self._options("librdkafka")) as log:
            crew = Crew(log.kafka.ledger, log.kafka.keyrings)
            await crew.found()
            await rate(crew.provision, 0, PEOPLE, CALLERS)
            await rate(crew.change, 0, CHANGES, CALLERS)
            self.events = log.sequencer.sequence
            owned = log.owner.log
            assert owned is not None
            self._end = owned.offset + 1

    async def indexes(self) -> list[Row]:
        return [await self._index(client) for client in CLIENTS]

    async def _index(self, client: str) -> Row:
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(self.events / await self._read(client))
            theirs.append(await asyncio.to_thread(self._consume, client))
        self._consuming[client] = theirs
        return Row(
            f"a fresh index catches up ({client})",
            median(ours),
            "events/s",
            f"a bare consumer that decodes: {median(theirs):,.0f}/s",
            versus(ours, theirs),
            "≥ 0.4",
        )

    async def _read(self, client: str) -> float:
        """Seconds from the start of a node on an empty folder until its index is current."""
        shutil.rmtree(self._folder / "index")
        began = time.perf_counter()
        async with running(self._options(client), join=False) as log:
            took = time.perf_counter() - began
            assert log.partition.sequence == self.events
        return took

    def _consume(self, client: str) -> float:
        """Records a second."""
        began = time.perf_counter()
        count = CONSUMERS[client](self._servers, self._place, self._end)
        took = time.perf_counter() - began
        assert count > self.events, "the records of owners are there too"
        return count / took

    def views(self) -> Iterator[Row]:
        server = EmbeddedPostgres(self._folder / "postgres")
        conninfo = server.start()
        try:
            with connect(conninfo) as connection:
                Generations(connection, tables()).prepare()
            views = [self._generation(conninfo) for _ in range(ROUNDS)]
        finally:
            server.stop()
        default, other = (self._consuming[client] for client in CLIENTS)
        yield Row(
            "a fresh generation of the views catches up, from the index",
            median(views),
            "events/s",
            f"that consumer (kafka-python): {median(default):,.0f}/s; librdkafka's: {median(other):,.0f}/s",
            versus(views, default),
            "≥ 0.4",
        )

    def _generation(self, conninfo: str) -> float:
        """Events a second; it is dropped again."""
        began = time.perf_counter()
        with NextGeneration(Partitions(self._folder / "index"), conninfo, EVERY_VIEW, tables()) as generation:
            done = 0
            while (now := generation.advance()) is not None:
                done = now
            took = time.perf_counter() - began
        assert done == self.events
        return done / took
