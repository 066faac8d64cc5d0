"""`python -m tests.bench.kafka_node SERVERS PREFIX FOLDER CLIENT`: a node with a crew for each of two partitions.

Each line of standard input asks for something, and gets a line of JSON:
`owns` tells the partitions that it owns; `found N` makes a tenant with people in partition N; `change SECONDS N …`
keeps the crews of those partitions busy, and tells how many commands a second that were.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from adapters.fresh_ids import new_id
from adapters.kafka.topics import partition_of
from domain.ids import TenantId
from tests.adapters.kafka.logs import KafkaLog, options, running
from tests.bench.kafka import as_served
from tests.bench.office import Crew, rate

PARTITIONS: Final = 2
CALLERS: Final = 128
PEOPLE: Final = 500


class Node:
    def __init__(self, log: KafkaLog) -> None:
        self._kafka = log.kafka
        self._crews: dict[int, Crew] = {}

    async def do(self, asked: str, *numbers: str) -> Any:
        match asked:
            case "owns":
                return [number for number, owner in self._kafka.owners.items() if owner.log is not None]
            case "found":
                return await self._found(int(numbers[0]))
            case "change":
                seconds, *partitions = map(int, numbers)
                return sum(await asyncio.gather(*(self._change(self._crews[each], seconds) for each in partitions)))
        raise ValueError(asked)

    async def _found(self, partition: int) -> str:
        while partition_of(tenant := TenantId(new_id("ten")), PARTITIONS) != partition:
            pass
        crew = self._crews[partition] = Crew(self._kafka.ledger, self._kafka.keyrings, tenant)
        await crew.found()
        await rate(crew.provision, 0, PEOPLE, CALLERS)
        return tenant

    async def _change(self, crew: Crew, seconds: int) -> float:
        began, count = time.perf_counter(), 0

        async def caller() -> None:
            nonlocal count
            while time.perf_counter() < began + seconds:
                count += 1
                await crew.change(count)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        return count / (time.perf_counter() - began)


async def main(servers: str, prefix: str, folder: str, client: str) -> None:
    given = options(servers, prefix, Path(folder), client=client, partitions=PARTITIONS)
    async with running(given, join=False) as log:
        log.kafka.join()
        node = Node(log)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(msgspec.json.encode(await node.do(*line.split())).decode(), flush=True)


if __name__ == "__main__":
    as_served()
    uvloop.run(main(*sys.argv[1:]))
