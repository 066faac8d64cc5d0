"""Folding a tenant's history into all views, against decoding the same Avro bytes and nothing else."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop
from fastavro import parse_schema, schemaless_reader

from adapters.index.history import IndexHistory
from domain.ids import TenantId
from domain.ledger import Query
from domain.view import Rows
from projections.every import EVERY_VIEW
from schemas import registry
from tests.bench.office import Office, rate
from tests.bench.table import Row, versus

PEOPLE: Final = 4_000
CHANGES: Final = 8_000
ROUNDS: Final = 5
_PAGE: Final = 5_000


def rows(folder: Path) -> Iterator[Row]:
    office = uvloop.run(_busy_office(folder))
    history = IndexHistory(office.database)
    stored = [each[1] for each in history.stored(office.tenant, 0, 10**9)]
    folds, decodes = [], []
    for _ in range(ROUNDS):
        folds.append(_fold(history, office.tenant))
        decodes.append(_decode(stored))
    office.database.close()
    yield Row(
        "fold of a tenant's history into all views",
        median(folds),
        "events/s",
        f"decode the same Avro: {median(decodes):,.0f}/s",
        versus(folds, decodes),
        "≥ 0.4",
    )


async def _busy_office(folder: Path) -> Office:
    office = Office(folder)
    await office.open()
    await rate(office.provision, 0, PEOPLE)
    await rate(office.change, 0, CHANGES)
    await office.sequencer.stop()
    return office


def _fold(history: IndexHistory, tenant: TenantId) -> float:
    views, count, began = Rows(EVERY_VIEW), 0, time.perf_counter()
    while found := history.recorded(tenant, Query(after=views.position), _PAGE):
        for recorded in found:
            views.evolve(recorded)
        count += len(found)
    return count / (time.perf_counter() - began)


def _decode(stored: list[bytes]) -> float:
    """The whole record, by the schema it was written with, to what fastavro makes of it."""
    schemas: dict[int, Any] = {each.id: parse_schema(each.avro) for each in registry.released()}
    began = time.perf_counter()
    for each in stored:
        schemaless_reader(io.BytesIO(memoryview(each)[5:]), schemas[int.from_bytes(each[1:5], "big")])
    return len(stored) / (time.perf_counter() - began)
