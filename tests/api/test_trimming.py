"""Trimming by retention, over the real ledger with a clock that is told: what is old goes, and holds keep all of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio

from adapters.archive.archive import Archive
from adapters.archive.folder import FolderStorage
from adapters.index.history import IndexHistory
from api.trimming import holds_of, trim
from domain.command import Command
from domain.evidence.tree import Frontier, leaf_hash
from domain.ids import HoldId
from domain.ledger import Caller, NewKeys, Outcome
from domain.retention import DAY, ChangeRetention, HistoryTrimmed, LiftLegalHold, PlaceLegalHold
from domain.tenants import CreateTenant, RenameTenant
from tests.domain.people import PLANET_EXPRESS, sealed
from tests.domain.world import World, running

HOLD = HoldId("hld_" + "1" * 32)


@dataclass
class Office:
    """What trimming asks of a node."""

    world: World
    archive: Archive
    history: IndexHistory

    @property
    def ledger(self) -> "Office":
        return self

    def clock(self) -> int:
        return self.world.now

    async def execute(self, command: Command, by: Caller, *, keys: NewKeys | None = None) -> Outcome:
        return await self.world.ledger.execute(command, by, keys=keys)

    async def trim(self) -> int:
        node: Any = self
        return await trim(node, self.archive, PLANET_EXPRESS, asyncio.to_thread)

    async def rename(self, times: int) -> None:
        """So many events, and all that there are archived."""
        for number in range(times):
            name = sealed(PLANET_EXPRESS, f"name {self.world.now} {number}")
            await self.world.ask(RenameTenant(PLANET_EXPRESS, name))
        self.archive.take_in(PLANET_EXPRESS)


@pytest_asyncio.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """With seven events, kept for thirty days."""
    async with running() as world:
        history = IndexHistory(world.database)
        archive = Archive(FolderStorage(tmp_path / "archive"), tmp_path, history, lambda: world.now, grace=0)
        made = Office(world, archive, history)
        await world.ask(CreateTenant(PLANET_EXPRESS, sealed(PLANET_EXPRESS, "Planet Express")))
        await world.ask(ChangeRetention(PLANET_EXPRESS, 30))
        await made.rename(5)
        yield made


def trimmed(office: Office) -> list[HistoryTrimmed]:
    return [each for each in office.world.events() if isinstance(each, HistoryTrimmed)]


async def test_what_is_older_than_the_retention_leaves_the_archive_and_the_history_says_so(office: Office) -> None:
    assert await office.trim() == 0
    office.world.now += 31 * DAY
    await office.rename(2)
    assert await office.trim() == 1
    (said,) = trimmed(office)
    tree = Frontier()
    for _, stored in office.history.stored(PLANET_EXPRESS, 0, 7):
        tree.append(leaf_hash(stored))
    assert (said.last, said.root, said.frontier) == (7, tree.root(), tree.pack())
    assert office.archive.status(PLANET_EXPRESS).first == 8
    assert await office.trim() == 0
    assert len(trimmed(office)) == 1


async def test_a_legal_hold_stops_it_and_leaves_no_refusals_behind(office: Office) -> None:
    await office.world.ask(PlaceLegalHold(PLANET_EXPRESS, HOLD))
    office.world.now += 31 * DAY
    await office.rename(2)
    before = len(office.world.events())
    assert holds_of(office.history, PLANET_EXPRESS) == {HOLD}
    assert await office.trim() == 0
    assert len(office.world.events()) == before
    await office.world.ask(LiftLegalHold(PLANET_EXPRESS, HOLD))
    assert await office.trim() > 0
    assert office.archive.status(PLANET_EXPRESS).first > 7


async def test_a_hold_that_comes_after_the_history_was_told_still_keeps_the_files(office: Office) -> None:
    office.world.now += 31 * DAY
    await office.rename(2)
    execute = office.execute

    async def held_at_once(command: Command, by: Caller, *, keys: NewKeys | None = None) -> Outcome:
        outcome = await execute(command, by, keys=keys)
        await office.world.ask(PlaceLegalHold(PLANET_EXPRESS, HOLD))
        return outcome

    office.execute = held_at_once  # type: ignore[method-assign]
    assert await office.trim() == 0
    assert (len(trimmed(office)), office.archive.status(PLANET_EXPRESS).first) == (1, 1)
    office.execute = execute  # type: ignore[method-assign]
    await office.world.ask(LiftLegalHold(PLANET_EXPRESS, HOLD))
    assert await office.trim() == 1
    assert len(trimmed(office)) == 1, "what was said before is not said again"


async def test_nothing_is_trimmed_without_a_retention(office: Office) -> None:
    await office.world.ask(ChangeRetention(PLANET_EXPRESS, None))
    office.world.now += 4_000 * DAY
    await office.rename(1)
    assert await office.trim() == 0
