"""The ledger on Kafka: commands a second against the embedded log, bulk and lone appends against a bare producer."""

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import uvloop

from adapters.kafka.client import Place, Record
from api.http import structured_log
from api.wiring import OBJECTS_BETWEEN_COLLECTIONS
from tests.adapters.index.logs import HERE, note, work
from tests.adapters.kafka.logs import KafkaLog, options, running
from tests.bench.kafka_bare import CLIENTS, BareProducer, bare_producer, make_topic, transactions
from tests.bench.office import Crew, Office, rate
from tests.bench.table import Row, versus
from tests.kafka.broker import Cluster

CALLERS: Final = 256
PEOPLE: Final = 1_000
ROUNDS: Final = 5
ROUND: Final = 3_000
BULK: Final = 100
"""Events of a command."""
BULK_CALLERS: Final = 32
BULK_ROUND: Final = 160
BYTES: Final = 300
LONE_ROUND: Final = 80
JVM: Final = ("-Xmx1g", "-XX:TieredStopAtLevel=4")
"""The broker is no test's: it may compile what is hot."""


def as_served() -> None:
    """As `muniment serve` sets up its process."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 50, 100)
    structured_log.configure(Path(os.devnull).open("wb"))  # noqa: SIM115


def rows(folder: Path) -> Iterator[Row]:
    as_served()

    async def collect(servers: str) -> list[Row]:
        return [row async for row in _rows(folder, servers)]

    with Cluster(folder / "broker", jvm=JVM) as cluster:
        yield from uvloop.run(collect(cluster.servers))


async def _rows(folder: Path, servers: str) -> AsyncIterator[Row]:
    office = Office(folder / "embedded")
    await office.open()
    await rate(office.provision, 0, PEOPLE, CALLERS)
    for client in CLIENTS:
        bare = await asyncio.to_thread(bare_producer, client, servers, f"bare-{client}")
        async with running(options(servers, client, folder / client, client=client)) as log:
            crew = Crew(log.kafka.ledger, log.kafka.keyrings)
            await crew.found()
            await rate(crew.provision, 0, PEOPLE, CALLERS)
            yield await _many(client, crew, office)
            pairs = Pairs(servers, log, bare)
            await pairs.open()
            yield await _bulk(client, pairs)
            for row in await _lone(client, crew, pairs):
                yield row
        await asyncio.to_thread(bare.close)
    await office.close()


async def _many(client: str, crew: Crew, office: Office) -> Row:
    ours, theirs = [], []
    crew.latencies.clear()
    office.latencies.clear()
    for number in range(ROUNDS):
        ours.append(await rate(crew.change, number * ROUND, ROUND, CALLERS))
        theirs.append(await rate(office.change, number * ROUND, ROUND, CALLERS))
    return Row(
        f"execute: {CALLERS} callers ({client})",
        median(ours),
        f"commands/s, p99 {_p99(crew.latencies):.0f} ms",
        f"on the embedded log: {median(theirs):,.0f}/s, p99 {_p99(office.latencies):.0f} ms",
        versus(ours, theirs),
        "≥ 0.5",
    )


class Pairs:
    """What a node has committed since it was asked last is sent again by a bare producer, to a topic of its own."""

    def __init__(self, servers: str, log: KafkaLog, bare: BareProducer) -> None:
        self._servers = servers
        self.log = log
        self._bare = bare
        self._from = log.kafka.topics.of_ledger(0)
        self._into = Place(f"{self._from.topic}.bare", 0)
        self._after = self._end

    @property
    def _end(self) -> int:
        owned = self.log.owner.log
        assert owned is not None
        return owned.offset

    async def open(self) -> None:
        await asyncio.to_thread(make_topic, self._servers, self._into.topic)

    def skip(self) -> None:
        """What was committed so far is not to be sent again."""
        self._after = self._end

    async def committed(self) -> list[list[Record]]:
        found = await asyncio.to_thread(transactions, self._servers, self._from, self._after, self._into)
        self.skip()
        return found

    async def again(self, *batches: Sequence[Record]) -> list[float]:
        """Seconds of each transaction."""
        return await asyncio.to_thread(self._send, batches)

    def _send(self, batches: Sequence[Sequence[Record]]) -> list[float]:
        interval, took = sys.getswitchinterval(), []
        sys.setswitchinterval(0.005)  # Python's own: the node set another
        for batch in batches:
            began = time.perf_counter()
            self._bare.send(batch)
            took.append(time.perf_counter() - began)
        sys.setswitchinterval(interval)
        return took


async def _bulk(client: str, pairs: Pairs) -> Row:
    owner, data = pairs.log.owner, os.urandom(BYTES)

    async def append(number: int) -> None:
        events = [note(data, "bulk:bench", f"item:{number * BULK + each}") for each in range(BULK)]
        await owner.execute(work(*events, tenant=HERE))

    await rate(append, 0, BULK_CALLERS, BULK_CALLERS)
    ours, theirs, batches = [], [], 0
    pairs.skip()
    for number in range(1, ROUNDS + 1):
        ours.append(BULK * await rate(append, number * BULK_ROUND, BULK_ROUND, BULK_CALLERS))
        committed = await pairs.committed()
        theirs.append(BULK_ROUND * BULK / sum(await pairs.again(*committed)))
        batches += len(committed)
    return Row(
        f"append {BULK} events a command, {BULK_CALLERS} callers ({client})",
        median(ours),
        "events/s",
        f"a bare producer of the same {ROUNDS * BULK_ROUND * BULK // batches} records a transaction: "
        f"{median(theirs):,.0f}/s",
        versus(ours, theirs),
        "≥ 0.6" if client == "kafka-python" else "",
    )


async def _lone(client: str, crew: Crew, pairs: Pairs) -> list[Row]:
    """A command and a bare transaction in turn, so that both come alone; the bytes are those of the commands before."""
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    pairs.skip()
    for number in range(LONE_ROUND):
        await crew.change(number)
    for _ in range(ROUNDS):
        took = []
        crew.latencies.clear()
        for number, batch in enumerate(await pairs.committed()):
            await crew.change(number)
            took += await pairs.again(batch)
        ours.append(list(crew.latencies))
        theirs.append(took)
    against = "a bare producer's begin, send, commit: {:.2f} ms"
    middles = [[median(each) * 1000 for each in side] for side in (ours, theirs)]
    tails = [_p99([each for round in side for each in round]) for side in (ours, theirs)]
    return [
        Row(
            f"one lone command ({client})",
            median(middles[0]),
            "ms",
            against.format(median(middles[1])),
            versus(*middles),
            "≤ 1.3",
        ),
        Row(f"the same, p99 ({client})", tails[0], "ms", against.format(tails[1]), tails[0] / tails[1], "≤ 1.3"),
    ]


def _p99(seconds: Sequence[float]) -> float:
    """In milliseconds."""
    return quantiles(seconds, n=100)[98] * 1000
