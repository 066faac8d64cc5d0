"""A generation that several nodes write: who locks what, and a rebuild that takes its place meanwhile."""

import asyncio
import time
from pathlib import Path

import pytest

from adapters.index.partitions import Partitions
from adapters.next_generation import NextGeneration
from adapters.postgres.applying import connect
from adapters.postgres.generations import Generations, NotPrepared
from projections.every import EVERY_VIEW
from replay.rebuild import rebuild
from tests.adapters.partitioned import (
    PATIENCE,
    PartitionedLedger,
    generations,
    live,
    nodes,
    restarts_of,
    shown,
    tell_grown,
    until,
)
from tests.adapters.stored import PARTITIONED, TABLES

ALL = frozenset(range(3))


async def test_a_rebuild_goes_on_beside_the_nodes_that_project(tmp_path: Path, empty_database: str) -> None:
    async with (
        PartitionedLedger(tmp_path / "ledger") as ledger,
        nodes([ledger.folder] * 2, empty_database) as (one, other),
    ):
        await ledger.grow(commands=40, of=100)
        one.assign(frozenset({0}))
        other.assign(frozenset({1, 2}))
        await shown(ledger, empty_database)
        progress = one.begin_rebuild()
        while progress.state == "running":
            await ledger.grow()
            tell_grown(ledger, one, other)
            await asyncio.sleep(0.02)
        assert (progress.state, progress.problem) == ("done", None)
        await ledger.grow()
        await shown(ledger, empty_database)
        await until(lambda: generations(empty_database) == ["views_2"])
        assert restarts_of(one) == restarts_of(other) == 0
        ledger.assert_exact(empty_database)


async def test_a_rebuild_waits_until_its_node_has_read_what_the_views_show(tmp_path: Path, empty_database: str) -> None:
    behind = tmp_path / "behind"
    async with PartitionedLedger(tmp_path / "ledger") as ledger:
        await ledger.grow()
        ledger.copy_to(behind)
        async with nodes([ledger.folder], empty_database) as (one,):
            one.assign(ALL)
            await ledger.grow(commands=3)
            await shown(ledger, empty_database)
        waited: list[float] = []

        def catch_up(seconds: float) -> None:
            waited.append(seconds)
            ledger.copy_to(behind, {len(waited) - 1})

        partitions = Partitions(behind)
        histories = [partition.history for partition in ledger.partitions.values()]
        with NextGeneration(partitions, empty_database, EVERY_VIEW, PARTITIONED, catch_up) as generation:
            with pytest.raises(NotPrepared, match="already at work"):
                NextGeneration(Partitions(behind), empty_database, EVERY_VIEW, PARTITIONED)
            rebuild(generation, histories, EVERY_VIEW)
        assert len(waited) == len(ledger.partitions)
        assert live(empty_database) == 2
        ledger.assert_exact(empty_database)


def test_one_connection_writes_a_partition_and_others_write_others(empty_database: str) -> None:
    with connect(empty_database) as one, connect(empty_database) as other, connect(empty_database) as third:
        ours, theirs, rebuilding = (Generations(each, TABLES) for each in (one, other, third))
        live = ours.prepare()
        assert ours.enter(live)
        assert theirs.enter(live)
        assert ours.take(live, {0, 1}).keys() == {0, 1}
        assert theirs.take(live, {1, 2}).keys() == {2}
        ours.let_go(live, {1})
        assert theirs.take(live, {1}).keys() == {1}
        next_one = rebuilding.make_next()
        assert not theirs.enter(next_one)
        with pytest.raises(NotPrepared, match="already at work"):
            theirs.make_next()
        with third.transaction(), rebuilding.swapping():
            rebuilding.make_live(next_one)
        rebuilding.leave()
        assert not rebuilding.drop_leftovers()  # it is still written to, as far as anybody knows
        ours.leave()
        assert not ours.drop_leftovers()
        assert ours.has_leftovers
        other.close()
        deadline = time.monotonic() + PATIENCE
        while not ours.drop_leftovers():
            assert time.monotonic() < deadline
        assert generations(empty_database) == [f"views_{next_one}"]


def test_the_connection_of_a_projector_that_is_paused_ends(empty_database: str) -> None:
    with connect(empty_database, lapses=True) as connection:
        for setting in ("idle_session_timeout", "idle_in_transaction_session_timeout"):
            assert connection.execute(f"SHOW {setting}".encode()).fetchone() == ("20s",)
