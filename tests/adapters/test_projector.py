"""The projector's process: follows the log, survives what is killed around it, and applies everything exactly once."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest

from adapters.embedded_postgres import EmbeddedPostgres
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.postgres.progress import Progress
from adapters.postgres.reading import PostgresViews
from adapters.postgres.stored_rows import StoredPlace
from adapters.projector_process import ProjectorProcess
from domain.directory.groups import MemberAdded
from domain.directory.life import UserDeleted
from domain.event import Event
from domain.ids import GroupId, Handle, TenantId, UserId
from domain.view import ViewBehind, ViewUnavailable
from projections.directory import MEMBERS
from projections.every import EVERY_VIEW
from replay.verify import verify
from tests.adapters.stored import at
from tests.log import WrittenLog

ONE, OTHER = TenantId("ten_1"), TenantId("ten_2")
PATIENCE = 60.0

PARENT = """
import asyncio, sys
from adapters.postgres.progress import Progress
from adapters.projector_process import ProjectorProcess

async def main():
    command = [sys.executable, "-m", "api.projector", sys.argv[1]]
    projector = ProjectorProcess(command, sys.argv[2], Progress())
    await projector.start()
    while projector.problem:
        await asyncio.sleep(0.01)
    print(projector.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


class Log:
    """A log's file that grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(exist_ok=True)
        self.database = Database(path)
        self.history = IndexHistory(self.database)
        self._written = WrittenLog(self.database)
        self._members = 0

    def grow(self, commits: int = 1, of: int = 10) -> None:
        """Members join a group of each tenant in turn; now and then one is deleted."""
        for _ in range(commits):
            self._written.commit([self._next() for _ in range(of)])

    def _next(self) -> tuple[TenantId, Event]:
        self._members += 1
        tenant = (ONE, OTHER)[self._members % 2]
        if self._members % 7 == 0:
            return tenant, UserDeleted(UserId(f"usr_{self._members - 2}"), Handle("hdl_1"), None)
        return tenant, MemberAdded(GroupId("grp_1"), UserId(f"usr_{self._members}"))

    @property
    def end(self) -> int:
        row = self.database.one("SELECT max(sequence) FROM events", ())
        return row[0] or 0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "ledger.sqlite")
    log.grow()
    yield log
    log.database.close()


@asynccontextmanager
async def projecting(log: Log, conninfo: str) -> AsyncIterator[tuple[ProjectorProcess, PostgresViews]]:
    """A projector and what reads its views, both stopped in the end."""
    progress = Progress()
    projector = ProjectorProcess([sys.executable, "-m", "api.projector", str(log.path)], conninfo, progress)
    await projector.start()
    try:
        await until(lambda: projector.problem != "the projector is starting")
        async with aclosing(PostgresViews(conninfo, progress)) as views:
            yield projector, views
    finally:
        await projector.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.01)


def has_read(projector: ProjectorProcess, events: float) -> bool:
    return projector.sequence > events


def is_another(projector: ProjectorProcess, than: int) -> bool:
    return projector.pid not in (None, than)


async def caught_up(log: Log, projector: ProjectorProcess) -> None:
    await until(lambda: projector.sequence == log.end)


async def shows(views: PostgresViews, log: Log) -> None:
    """Returns once a reader sees all that happened."""
    for tenant in (ONE, OTHER):
        head, _ = log.history.head(tenant)
        assert await _count(views, tenant, head) > 0


async def _count(views: PostgresViews, tenant: TenantId, head: int) -> int:
    """As a caller that is told to ask again does."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await views.reach(tenant, head, PATIENCE)
            with suppress(ViewBehind):
                return await views.count(MEMBERS, tenant, at(head))


def assert_exact(log: Log, conninfo: str) -> None:
    """Everything was applied, and nothing twice."""
    with StoredPlace(conninfo, EVERY_VIEW) as place:
        compared = list(verify(log.history, EVERY_VIEW, [place]))
    assert [difference for each in compared for difference in each.differences] == []
    assert {each.tenant: each.position for each in compared} == {
        tenant: log.history.head(tenant)[0] for tenant in log.history.tenants()
    }


def query(conninfo: str, statement: str) -> object:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return row and row[0]


async def test_what_is_recorded_is_soon_shown(log: Log, empty_database: str) -> None:
    async with projecting(log, empty_database) as (projector, views):
        await shows(views, log)
        log.grow()
        projector.poke()
        await shows(views, log)
        log.grow(commits=3, of=4_000)
        projector.poke()
        await shows(views, log)
        assert projector.problem is None
        assert projector.restarts == 0
    assert_exact(log, empty_database)


async def test_a_log_that_grew_unsaid_is_followed_too(log: Log, empty_database: str) -> None:
    async with projecting(log, empty_database) as (_, views):
        await shows(views, log)
        log.grow()
        await shows(views, log)


async def test_a_projector_goes_on_where_the_one_before_ended(log: Log, empty_database: str) -> None:
    for _ in range(2):
        async with projecting(log, empty_database) as (projector, views):
            await shows(views, log)
            child = psutil.Process(projector.pid)
        assert not child.is_running()
        log.grow()
    assert query(empty_database, "SELECT generation FROM muniment.live_generation") == 1


async def test_a_projector_that_is_killed_again_and_again_applies_all_once(log: Log, empty_database: str) -> None:
    log.grow(commits=60, of=500)
    async with projecting(log, empty_database) as (projector, _):
        for share in (0.1, 0.4, 0.8):
            await until(partial(has_read, projector, share * log.end))
            killed = projector.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await until(partial(is_another, projector, killed))
            log.grow()
        await caught_up(log, projector)
        assert projector.restarts == 3
    assert_exact(log, empty_database)
    assert query(empty_database, "SELECT generation FROM muniment.live_generation") == 1


async def test_the_projector_of_a_parent_that_was_killed_ends(log: Log, empty_database: str) -> None:
    command = [sys.executable, "-c", PARENT, str(log.path), empty_database]
    parent = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    parent.kill()
    await parent.wait()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_of_two_projectors_one_waits_for_the_other(log: Log, empty_database: str) -> None:
    async with projecting(log, empty_database) as (_, views):
        await shows(views, log)
        async with projecting(log, empty_database) as (second, _):
            await until(lambda: "another projector is at work" in (second.problem or ""))
            log.grow()
            await shows(views, log)
            assert second.sequence == 0
    async with projecting(log, empty_database) as (second, views):
        log.grow()
        await caught_up(log, second)
    assert_exact(log, empty_database)


async def test_the_child_knows_the_way_to_postgres_and_none_of_our_secrets(
    log: Log, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUNIMENT_ROOT_KEY", "for the node alone")
    async with projecting(log, empty_database) as (projector, views):
        await shows(views, log)
        child = psutil.Process(projector.pid)
        assert empty_database not in " ".join(child.cmdline())
        assert {name for name in child.environ() if name.startswith("MUNIMENT_")} == {"MUNIMENT_POSTGRES"}


@pytest.mark.parametrize(("commits", "of"), [(1, 10), (4, 11)], ids=["an_older_copy", "another_log"])
async def test_views_that_are_ahead_of_the_log_or_unlike_it_are_built_again(
    log: Log, empty_database: str, tmp_path: Path, commits: int, of: int
) -> None:
    async with projecting(log, empty_database) as (projector, views):
        await shows(views, log)
        log.grow(commits=3)
        await shows(views, log)
    another = Log(tmp_path / "another" / "ledger.sqlite")
    another.grow(commits, of)
    async with projecting(another, empty_database) as (projector, views):
        await caught_up(another, projector)
        await until(lambda: query(empty_database, "SELECT generation FROM muniment.live_generation") == 2)
        await shows(views, another)
    assert_exact(another, empty_database)
    another.database.close()


async def test_while_postgres_is_away_views_are_unavailable_and_then_catch_up(log: Log, tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    try:
        conninfo = postgres.start()
        async with projecting(log, conninfo) as (projector, views):
            await shows(views, log)
            killed = postgres.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await until(lambda: not postgres.alive())
            log.grow()
            head, _ = log.history.head(ONE)
            with pytest.raises(ViewUnavailable):
                await views.count(MEMBERS, ONE, at(1))
            with pytest.raises(ViewUnavailable):
                await views.reach(ONE, head, PATIENCE)
            await until(lambda: projector.problem is not None)
            await asyncio.to_thread(postgres.restart)
            await caught_up(log, projector)
            await shows(views, log)
            assert projector.problem is None
        assert_exact(log, conninfo)
    finally:
        postgres.stop()


async def test_views_whose_data_was_deleted_are_built_again(log: Log, tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    try:
        conninfo = postgres.start()
        async with projecting(log, conninfo) as (projector, views):
            await shows(views, log)
            await asyncio.to_thread(postgres.stop)
            shutil.rmtree(tmp_path / "postgres")
            await until(lambda: projector.problem is not None)
            await asyncio.to_thread(postgres.restart)
            await caught_up(log, projector)
            await until(lambda: projector.problem is None)
            await shows(views, log)
        assert_exact(log, conninfo)
    finally:
        postgres.stop()
