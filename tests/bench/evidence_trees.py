"""Trees in memory: their upkeep against SHA-256 of the same bytes, a proof against reading the event that it proves."""

import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from adapters.evidence.counts import Counts
from adapters.evidence.trees import MEGABYTE, Trees, leaves_of
from adapters.index.history import IndexHistory
from domain.evidence.proofs import inclusion_proof
from domain.evidence.tree import leaf_hash
from domain.ids import TenantId
from domain.ledger import Query
from tests.bench.office import Office, rate
from tests.bench.table import Row, versus

LEAVES: Final = 1_000_000
PEOPLE: Final = 2_000
HASHED: Final = 200_000
ASKED: Final = 2_000
ROUNDS: Final = 5


def rows(folder: Path, leaves: int = LEAVES) -> Iterator[Row]:
    office = uvloop.run(_office(folder))
    history = IndexHistory(office.database)
    real = [each for _, each in history.stored(office.tenant, 0, leaves)]
    yield _upkeep((real * (min(leaves, HASHED) // len(real) + 1))[: min(leaves, HASHED)])
    yield _counting(history, office.tenant, len(real))
    _lengthen(office, len(real), leaves)
    yield from _proofs(history, office.tenant, leaves)
    office.database.close()


async def _office(folder: Path) -> Office:
    office = Office(folder)
    await office.open()
    await rate(office.provision, 0, PEOPLE)
    await office.sequencer.stop()
    return office


def _upkeep(stored: Sequence[bytes]) -> Row:
    ours, theirs = [], []
    for _ in range(ROUNDS):
        trees = Trees(lambda _, after, limit: [leaf_hash(each) for each in stored[after : after + limit]], 1 << 40)
        began = time.perf_counter()
        trees.node_of("tree", len(stored))
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        for each in stored:
            hashlib.sha256(each).digest()
        theirs.append(time.perf_counter() - began)
    plain = median(theirs) / len(stored) * 1e6
    return Row(
        "upkeep of the tree",
        median(ours) / len(stored) * 1e6,
        "µs/event",
        f"SHA-256 of the same bytes: {plain:.2f} µs",
        versus(ours, theirs),
        "≤ 3",
    )


def _counting(history: IndexHistory, tenant: TenantId, events: int) -> Row:
    """What a checkpoint takes besides: the tag counts."""
    counts = Counts(None, lambda *asked: history.stored(TenantId(asked[0]), *asked[1:]))
    began = time.perf_counter()
    counts.advance(tenant, events)
    took = time.perf_counter() - began
    counts.close()
    return Row("tags counted for a checkpoint", events / took, "events/s")


def _lengthen(office: Office, real: int, leaves: int) -> None:
    """The tenant's events again and again, as rows of the index, until there are so many: no writer is as fast."""
    writer = office.database.writer
    columns = "sequence + ?, tenant, position + ?, type, instant, own, stored"
    writer.execute("BEGIN")
    for times in range(1, -(-leaves // real)):
        more = times * real
        writer.execute(
            f"INSERT INTO events SELECT {columns} FROM events WHERE position <= ? AND sequence <= ?",  # noqa: S608
            (more, more, real, real),
        )
    writer.execute("COMMIT")


def _proofs(history: IndexHistory, tenant: TenantId, leaves: int) -> Iterator[Row]:
    trees = Trees(leaves_of(lambda *asked: history.stored(TenantId(asked[0]), *asked[1:])), 1 << 40)
    began = time.perf_counter()
    trees.node_of(tenant, leaves)
    yield Row(f"a tree of {leaves:,} leaves made resident", time.perf_counter() - began, "s")
    yield Row("it takes in memory", trees.memory / MEGABYTE, "MB")
    ours, theirs, choose = [], [], random.Random(1)
    for _ in range(ROUNDS):
        asked = [choose.randint(1, leaves) for _ in range(ASKED)]
        began = time.perf_counter()
        for position in asked:
            inclusion_proof(position - 1, leaves, trees.node_of(tenant, leaves))
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        for position in asked:
            (_,) = history.entries(tenant, Query(after=position - 1, until=position), 1)
        theirs.append(time.perf_counter() - began)
    each = median(theirs) / ASKED * 1e6
    yield Row(
        f"inclusion proof at {leaves:,} leaves",
        median(ours) / ASKED * 1e6,
        "µs",
        f"reading that event: {each:.0f} µs",
        versus(ours, theirs),
        "≤ 3",
    )
