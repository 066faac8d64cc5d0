"""Stored views: projecting alone against the writer alone, and reads as of a past moment against reads of now."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from adapters.embedded_postgres import EmbeddedPostgres
from adapters.index.history import IndexHistory
from adapters.postgres.progress import Progress
from adapters.postgres.reading import PostgresViews
from adapters.projector_process import ProjectorProcess
from domain.directory.groups import CreateGroup, RenameGroup
from domain.event import Instant
from domain.ids import GroupId
from domain.ledger import NewKeys
from domain.view import Moment
from projections.directory import GROUPS, USERS
from tests.bench.office import Office, clock, rate
from tests.bench.sizes import grown
from tests.bench.table import Row

EVENTS: Final = int(os.environ.get("MUNIMENT_BENCH_EVENTS", "1000000"))
"""How long the history is that past moments are asked of."""
PAGE: Final = 100
CHANGES: Final = 100
VERSIONS: Final = 10_000
READS: Final = 150

Read = Callable[[Moment], Awaitable[object]]


class Projected:
    """The stored views of an office: its PostgreSQL and its projector."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._postgres = EmbeddedPostgres(office.folder / "postgres")
        conninfo = self._postgres.start()
        progress = Progress()
        self.views = PostgresViews(conninfo, progress)
        command = (sys.executable, "-m", "api.projector", str(office.folder / "ledger.db"))
        self._projector = ProjectorProcess(command, conninfo, progress)

    async def catch_up(self) -> float:
        """Project everything there is; events a second, from the first batch told to the last."""
        end = self._office.sequencer.sequence
        await self._projector.start()
        while not self._projector.sequence:
            await asyncio.sleep(0.002)
        first, began = self._projector.sequence, time.perf_counter()
        while self._projector.sequence < end:
            await asyncio.sleep(0.002)
        return (end - first) / (time.perf_counter() - began)

    async def close(self) -> None:
        await self._projector.stop()
        await self.views.aclose()
        self._postgres.stop()


def rows(folder: Path) -> Iterator[Row]:
    async def collect() -> list[Row]:
        return [row async for row in _rows(folder)]

    yield from uvloop.run(collect())
    yield from grown(folder / "node", EVENTS)


async def _rows(folder: Path) -> AsyncIterator[Row]:
    office = Office(folder / "node")
    await office.open()
    writer = await _history(office)
    projected = Projected(office)
    projecting = await projected.catch_up()
    yield Row(
        "projecting into stored views, alone",
        projecting,
        "events/s",
        f"the writer alone: {writer:,.0f} commands/s",
        projecting / writer,
        "≥ 2",
    )
    async for row in _as_of(office, projected.views):
        yield row
    await projected.close()
    await office.close()


async def _history(office: Office) -> float:
    """A page of users whose rows all changed a hundred times, one with ten thousand versions, groups, and the rest."""
    await rate(office.provision, 0, PAGE)
    office.people.sort()
    for turn in range(CHANGES):
        await rate(office.change, turn * PAGE, PAGE)
    await rate(lambda each: office.change_of(office.people[PAGE // 2], each), 0, VERSIONS)
    await _groups(office)
    rest = max(PAGE, EVENTS - office.sequencer.sequence)
    return await rate(office.provision, PAGE, rest)


async def _groups(office: Office) -> None:
    for number in range(PAGE):
        keys, group = NewKeys(), GroupId(f"grp_{number:032x}")
        name = office.keyring.seal(keys, office.tenant, group, "display_name", "Crew")
        await office.ledger.execute(CreateGroup(group, name), office.caller(), keys=keys)

    async def rename(number: int) -> None:
        keys, group = NewKeys(), GroupId(f"grp_{number % PAGE:032x}")
        name = office.keyring.seal(keys, office.tenant, group, "display_name", f"Crew {number}")
        await office.ledger.execute(RenameGroup(group, name), office.caller(), keys=keys)

    await rate(rename, 0, PAGE * CHANGES)


async def _as_of(office: Office, views: PostgresViews) -> AsyncIterator[Row]:
    history, tenant, much_changed = IndexHistory(office.database), office.tenant, office.people[PAGE // 2]
    head = history.head(tenant)[0]
    now = Moment(head, Instant(clock()))
    # Where the page's rows were changing: their whole history lies in the first events.
    span = PAGE * (CHANGES + 1) + VERSIONS + PAGE * (CHANGES + 1)
    past = [
        Moment(at, history.instant_of(tenant, at))
        for share in (0.1, 0.5, 0.9)
        for at in (int(head * share), int(span * share))
    ]
    instant = history.instant_of(tenant, head // 2)
    past.append(Moment(history.position_at(tenant, instant), instant))
    reads: dict[str, Read] = {
        "a user with 10,000 versions": lambda at: views.get(USERS, tenant, much_changed, at),
        "a page of 100 users": lambda at: views.page(USERS, tenant, at, limit=PAGE),
        "a page of 100 groups": lambda at: views.page(GROUPS, tenant, at, limit=PAGE),
    }
    for name, read in reads.items():
        times: dict[Moment, list[float]] = {moment: [] for moment in (now, *past)}
        for _ in range(READS):
            for moment, found in times.items():
                began = time.perf_counter()
                await read(moment)
                found.append(time.perf_counter() - began)
        of_now = median(times[now]) * 1000
        worst = max(median(times[moment]) for moment in past) * 1000
        yield Row(
            f"as of 10, 50, 90 % and by time: {name}", worst, "ms", f"now: {of_now:.2f} ms", worst / of_now, "≤ 1.5"
        )
