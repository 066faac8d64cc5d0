"""Rebuilding: the next generation beside the live one, compared, swapped without refusing a read, or not at all."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import psycopg
import pytest

from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.index.partitions import Partitions
from adapters.next_generation import NextGeneration
from adapters.postgres.generations import NotPrepared
from adapters.postgres.progress import Progress
from adapters.postgres.reading import PostgresViews
from adapters.postgres.stored_rows import StoredPlace
from adapters.projector_process import ProjectorProcess, RebuildFailed, run_rebuild
from domain.directory.groups import MemberAdded
from domain.event import Event
from domain.ids import GroupId, TenantId, UserId
from projections.directory import MEMBERS
from projections.every import EVERY_VIEW
from replay.rebuild import RebuildDiffers, rebuild
from replay.verify import verify
from tests.adapters.stored import TABLES, at, stored_generation
from tests.log import WrittenLog

ACME, OTHER = TenantId("ten_1"), TenantId("ten_2")


class Log:
    """A log's file, into which members join."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self.path = path
        self.database = Database(path)
        self.history = IndexHistory(self.database)
        self._written = WrittenLog(self.database)
        self._members = 0

    def grow(self, members: int) -> None:
        self._written.commit([self._next() for _ in range(members)])

    def _next(self) -> tuple[TenantId, Event]:
        self._members += 1
        return (ACME, OTHER)[self._members % 2], MemberAdded(GroupId("grp_1"), UserId(f"usr_{self._members}"))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "ledger.sqlite")
    log.grow(100)
    yield log
    log.database.close()


def generations(conninfo: str) -> list[str]:
    """The schemas there are, the live one first."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            "SELECT nspname FROM pg_namespace, muniment.live_generation WHERE nspname ~ '^views_' "
            "ORDER BY nspname <> 'views_' || generation"
        )
        return [name for (name,) in rows]


def assert_exact(log: Log, conninfo: str) -> None:
    with StoredPlace(conninfo, EVERY_VIEW) as place:
        verified = list(verify(log.history, EVERY_VIEW, [place]))
    assert [(each.position, each.differences) for each in verified] == [
        (log.history.head(tenant)[0], ()) for tenant in log.history.tenants()
    ]


def test_a_rebuild_takes_the_place_of_what_was_there(log: Log, empty_database: str) -> None:
    with stored_generation(empty_database):
        pass  # a live generation that shows nothing at all
    steps: list[tuple[str, int, int]] = []
    with NextGeneration(Partitions(log.path), empty_database, EVERY_VIEW, TABLES) as generation:
        rebuilt = rebuild(generation, [log.history], EVERY_VIEW, lambda *step: steps.append(step))
    assert (rebuilt.events, rebuilt.tenants) == (100, 2)
    assert steps == [("applied", 0, 100), ("applied", 100, 100), *(("compared", done, 2) for done in range(3))]
    assert generations(empty_database) == ["views_2"]
    assert_exact(log, empty_database)


def test_what_is_not_the_fold_does_not_go_live(log: Log, empty_database: str, tmp_path: Path) -> None:
    other = Log(tmp_path / "other" / "ledger.sqlite")
    other.grow(40)
    with NextGeneration(Partitions(log.path), empty_database, EVERY_VIEW, TABLES) as generation:
        with pytest.raises(RebuildDiffers) as refused:
            rebuild(generation, [other.history], EVERY_VIEW)
        assert {each.view for each in refused.value.differences} == {"members"}
    assert generations(empty_database) == ["views_1"]
    other.database.close()


def test_one_rebuild_at_a_time(log: Log, empty_database: str) -> None:
    with (
        NextGeneration(Partitions(log.path), empty_database, EVERY_VIEW, TABLES) as generation,
        pytest.raises(NotPrepared, match="already at work"),
    ):
        NextGeneration(Partitions(log.path), empty_database, EVERY_VIEW, TABLES)
    assert generations(empty_database) == ["views_1"]
    with NextGeneration(Partitions(log.path), empty_database, EVERY_VIEW, TABLES) as generation:
        rebuild(generation, [log.history], EVERY_VIEW)
    assert len(generations(empty_database)) == 1


async def test_reads_and_the_projector_go_on_through_a_rebuild(log: Log, empty_database: str) -> None:
    log.grow(20_000)
    progress = Progress()
    command = [sys.executable, "-m", "api.projector", str(log.path)]
    projector = ProjectorProcess(command, empty_database, progress)
    await projector.start()
    seen: list[int] = []

    async def read(views: PostgresViews) -> None:
        """What a reader who never stops sees; whatever refuses it fails the test."""
        while True:
            head, _ = log.history.head(ACME)
            await views.reach(ACME, head, 60)
            seen.append(await views.count(MEMBERS, ACME, at(head)))
            log.grow(2)
            projector.poke()

    async with aclosing(PostgresViews(empty_database, progress)) as views:
        await views.reach(ACME, log.history.head(ACME)[0], 60)
        steps: list[str] = []
        reading = asyncio.create_task(read(views))
        await run_rebuild([*command, "rebuild"], empty_database, lambda step, done, total: steps.append(step))
        before = len(seen)
        while len(seen) < before + 20:
            assert not reading.done()
            await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await projector.stop()
    assert seen == sorted(seen)
    assert steps == sorted(steps)
    assert {"applied", "compared"} == set(steps)
    assert generations(empty_database) == ["views_2"]
    assert projector.restarts == 0
    assert_exact(log, empty_database)


async def test_a_rebuild_that_cannot_be_says_why(log: Log, empty_database: str) -> None:
    command = [sys.executable, "-m", "api.projector", str(log.path), "rebuild"]
    with (
        NextGeneration(Partitions(log.path), empty_database, EVERY_VIEW, TABLES),
        pytest.raises(RebuildFailed, match="already at work"),
    ):
        await run_rebuild(command, empty_database, lambda step, done, total: None)
