"""Several nodes project one ledger into one PostgreSQL: partitions move, nodes die, and everything is applied once."""

import asyncio
import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from adapters.postgres import reading
from api.stored import StoredSide
from projections.directory import MEMBERS
from tests.adapters.partitioned import (
    PATIENCE,
    PartitionedLedger,
    cursors,
    generations,
    live,
    nodes,
    partition_of,
    restarts_of,
    shown,
    tell_grown,
    until,
)
from tests.adapters.stored import at

ALL = frozenset(range(3))
NONE = frozenset[int]()


def pid_of(side: StoredSide) -> int | None:
    projector = side._projector
    return None if projector is None else projector.pid


def kill(side: StoredSide) -> None:
    """The projector, as the machine would."""
    pid = pid_of(side)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_node_projects_the_partitions_that_are_its_own(tmp_path: Path, empty_database: str) -> None:
    async with PartitionedLedger(tmp_path / "ledger") as ledger, nodes([ledger.folder], empty_database) as (node,):
        await ledger.grow()
        await until(lambda: node.problem is None)
        assert node.state == "current"
        node.assign(frozenset({0, 2}))
        await until(lambda: cursors(empty_database) == {0: ledger.partitions[0].end, 2: ledger.partitions[2].end})
        node.assign(ALL)
        await shown(ledger, empty_database)
        await ledger.grow(commands=20)
        await shown(ledger, empty_database)
        ledger.assert_exact(empty_database)
        assert node.problem is None


async def test_an_index_that_appears_later_is_read_then(tmp_path: Path, empty_database: str) -> None:
    folder = tmp_path / "ledger"
    folder.mkdir()
    async with nodes([folder], empty_database) as (node,):
        node.assign(ALL)
        await until(lambda: node.problem is None)
        async with PartitionedLedger(folder) as ledger:
            await ledger.grow()
            await shown(ledger, empty_database)
            ledger.assert_exact(empty_database)


@pytest.mark.timeout(400)
async def test_partitions_move_between_nodes_that_are_killed_while_events_are_appended(
    tmp_path: Path, empty_database: str
) -> None:
    chance = random.Random(3)
    async with (
        PartitionedLedger(tmp_path / "ledger") as ledger,
        nodes([ledger.folder] * 2, empty_database) as sides,
    ):

        async def append() -> None:
            for _ in range(30):
                await ledger.grow(commands=4, of=chance.choice((1, 10, 200)))
                tell_grown(ledger, *sides)
                await asyncio.sleep(0.05)

        appending = asyncio.create_task(append())
        killed = 0
        while not appending.done() or killed < 4:
            ours = frozenset(number for number in ALL if chance.random() < 0.5)
            for side, assigned in zip(sides, (ours, ALL - ours), strict=True):
                side.assign(assigned)
            before = cursors(empty_database) if killed else {}
            await until(lambda before=before: moved_on(empty_database, before, ledger))  # type: ignore[misc]
            kill(chance.choice(sides))
            killed += 1
        await appending
        await shown(ledger, empty_database)
        assert sum(map(restarts_of, sides)) >= 1
        assert live(empty_database) == 1
        ledger.assert_exact(empty_database)


def moved_on(conninfo: str, before: dict[int, int], ledger: PartitionedLedger) -> bool:
    """Whether something was projected since, or there is nothing to project."""
    return (now := cursors(conninfo)) not in ({}, before) or now == ledger.ends()


async def test_two_nodes_that_both_believe_to_own_a_partition_apply_everything_once(
    tmp_path: Path, empty_database: str
) -> None:
    async with (
        PartitionedLedger(tmp_path / "ledger") as ledger,
        nodes([ledger.folder] * 2, empty_database) as (one, other),
    ):
        for side in (one, other):
            side.assign(ALL)
        for _ in range(10):
            await ledger.grow(commands=4)
            tell_grown(ledger, one, other)
        await shown(ledger, empty_database)
        owner, waiting = (one, other) if pid_holds(one) else (other, one)
        kill(owner)
        owner.assign(NONE)
        await ledger.grow(commands=4)
        await shown(ledger, empty_database)
        await until(lambda: pid_holds(waiting))
        assert live(empty_database) == 1
        ledger.assert_exact(empty_database)


def pid_holds(side: StoredSide) -> bool:
    """Whether its projector has said how far a partition is, which it does once it alone writes it."""
    projector = side._projector
    return projector is not None and bool(projector.sequences)


async def test_a_node_whose_index_is_behind_the_views_waits_for_it(tmp_path: Path, empty_database: str) -> None:
    behind = tmp_path / "behind"
    async with PartitionedLedger(tmp_path / "ledger") as ledger:
        await ledger.grow()
        ledger.copy_to(behind)
        async with nodes([ledger.folder, behind], empty_database) as (one, other):
            one.assign(ALL)
            await ledger.grow(commands=10)
            await shown(ledger, empty_database)
            one.assign(NONE)
            other.assign(ALL)
            await until(lambda: pid_holds(other))
            await ledger.grow()
            ledger.copy_to(behind, {1})  # the other partitions are still behind
            await until(lambda: cursors(empty_database)[1] == ledger.partitions[1].end)
            assert other.lag() == 0
            ledger.copy_to(behind)
            await shown(ledger, empty_database)
            assert other.problem is None
        assert live(empty_database) == 1
        ledger.assert_exact(empty_database)


async def test_when_one_partition_is_unlike_its_log_all_nodes_go_on_in_a_new_generation(
    tmp_path: Path, empty_database: str
) -> None:
    async with (
        PartitionedLedger(tmp_path / "ledger") as ledger,
        PartitionedLedger(tmp_path / "another", {2}) as another,
    ):
        await ledger.grow(commands=3)
        await another.grow(commands=5, of=11)
        ledger.copy_to(another.folder, {0, 1})
        async with nodes([ledger.folder, another.folder], empty_database) as (one, other):
            one.assign(ALL)
            await shown(ledger, empty_database)
            one.assign(frozenset({0, 1}))
            other.assign(frozenset({2}))
            ledger.partitions[2].database.close()
            await ledger.partitions[2].sequencer.stop()
            ledger.partitions[2] = another.partitions[2]
            await shown(ledger, empty_database)
            assert live(empty_database) == 2
            await ledger.grow()
            await shown(ledger, empty_database)
            ledger.assert_exact(empty_database)
            await until(lambda: generations(empty_database) == ["views_2"])


@pytest.mark.parametrize("knows_where", [True, False], ids=["told_where_tenants_live", "not_told"])
async def test_a_node_learns_of_what_another_projects_without_asking_again_and_again(
    tmp_path: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch, knows_where: bool
) -> None:
    of = partition_of if knows_where else None
    async with (
        PartitionedLedger(tmp_path / "ledger") as ledger,
        nodes([ledger.folder] * 2, empty_database, of) as (one, other),
    ):
        one.assign(frozenset({0, 1}))
        other.assign(frozenset({2}))
        await ledger.grow()
        await shown(ledger, empty_database)
        tenant = ledger.partitions[0].tenants[0]
        await other.views.reach(tenant, ledger.partitions[0].history.head(tenant)[0])
        await until(lambda: listeners(empty_database) == 1)
        monkeypatch.setattr(reading, "ASK_AGAIN", 2 * PATIENCE)
        for turn in range(3):
            position = ledger.partitions[0].history.head(tenant)[0] + 10
            reaching = asyncio.create_task(other.views.reach(tenant, position, PATIENCE))
            await until(lambda: is_awaited(other))
            await ledger.partitions[0].grow()
            one.grown(ledger.partitions[0].end, 0)
            await reaching
            assert await other.views.count(MEMBERS, tenant, at(position)) > 0, turn


def listeners(conninfo: str) -> int:
    """How many nodes hear what is announced."""
    with psycopg.connect(conninfo) as connection:
        statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
        (found,) = connection.execute(statement).fetchall()
        return int(found[0])


def is_awaited(side: StoredSide) -> bool:
    """Whether a read waits there for the views."""
    return bool(side._progress.awaited())
