"""The ledger: durable commands a second, against a peer, against the least that could be done, and on one hot tag."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import uvloop

from tests.bench.office import Office, rate
from tests.bench.peer import peer
from tests.bench.plain import PlainLoop
from tests.bench.table import Row, versus

ROUNDS: Final = 7
ROUND: Final = 3_000
PEER_ROUND: Final = 400
PEOPLE: Final = 2_000


def rows(folder: Path) -> Iterator[Row]:
    async def collect() -> list[Row]:
        return [row async for row in _rows(folder)]

    yield from uvloop.run(collect())


async def _rows(folder: Path) -> AsyncIterator[Row]:
    office = Office(folder / "node")
    await office.open()
    await rate(office.provision, 0, PEOPLE)
    plain = PlainLoop(folder, office)
    changes, provisions = plain.changes(), plain.provisions()
    ours, theirs, hot, ours_new, theirs_new = [], [], [], [], []
    office.latencies.clear()
    for number in range(ROUNDS):
        first = number * ROUND
        ours.append(await rate(office.change, first, ROUND))
        theirs.append(plain.rate(changes, ROUND))
        hot.append(await rate(lambda each: office.change_of(office.people[0], each), first, ROUND))
    p99 = quantiles(office.latencies, n=100)[98] * 1000
    for number in range(ROUNDS):
        first = PEOPLE + number * ROUND
        ours_new.append(await rate(office.provision, first, ROUND))
        theirs_new.append(plain.rate(provisions, ROUND))
    with peer(folder / "peer") as other:
        await asyncio.to_thread(other.rate, 0, PEER_ROUND)
        ours_again, peers = [], []
        for number in range(1, ROUNDS + 1):
            ours_again.append(await rate(office.change, number * ROUND, ROUND))
            peers.append(await asyncio.to_thread(other.rate, number * PEER_ROUND, PEER_ROUND))
    await office.close()
    plain.close()
    yield Row(
        "execute: two tags, five sealed fields, 64 callers",
        median(ours_again),
        "commands/s",
        f"eventsourcing.dcb.postgres_tt, unsealed: {median(peers):,.0f}/s",
        versus(ours_again, peers),
        "≥ 5",
    )
    loop = "only encode, seal and commit: {:,.0f}/s"
    yield Row(
        "the same commands",
        median(ours),
        "commands/s",
        loop.format(median(theirs)),
        versus(ours, theirs),
        "≥ 0.5",
    )
    yield Row(
        "commands that bring people into being (three tags, a key, a handle)",
        median(ours_new),
        "commands/s",
        loop.format(median(theirs_new)),
        versus(ours_new, theirs_new),
    )
    yield Row(
        "every caller on one hot tag",
        median(hot),
        "commands/s",
        f"all apart: {median(ours):,.0f}/s",
        versus(hot, ours),
        "≥ 0.7",
    )
    yield Row("execute, p99", p99, "ms")
