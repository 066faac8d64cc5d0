"""A ledger of several partitions, each index written by a real sequencer, and nodes that project it."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg
from prometheus_client import CollectorRegistry
from psycopg import errors

from adapters.embedded.log import embedded_sequencer
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.keyring import Keyring
from adapters.postgres.stored_rows import StoredPlace
from api.stored import StoredSide
from domain.boundary import Boundary
from domain.command import Known
from domain.directory.groups import MemberAdded
from domain.directory.life import UserDeleted
from domain.event import Event
from domain.ids import GroupId, Handle, TenantId, UserId
from domain.ledger import Work
from projections.every import EVERY_VIEW
from replay.verify import verify
from tests.adapters.index.logs import META, ROOT_KEY, now

PATIENCE: Final = 60.0
TENANTS: Final = 2
"""In each partition."""


def partition_of(tenant: TenantId) -> int:
    return int(tenant.removeprefix("ten_").split("_", 1)[0])


class Partition:
    """One partition's index, which is its log."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self.path = folder / f"{number}.db"
        self.database = Database(self.path, str(number), disposable=True)
        self.history = IndexHistory(self.database)
        self.sequencer = embedded_sequencer(self.database, Keyring(self.database, ROOT_KEY), None, now)
        self.tenants = [TenantId(f"ten_{number}_{each}") for each in range(TENANTS)]
        self._members = 0

    async def grow(self, commands: int = 1, of: int = 10) -> None:
        """Members join a group of each tenant in turn; now and then one is deleted."""
        await asyncio.gather(*(self._execute(self.tenants[each % TENANTS], of) for each in range(commands)))

    async def _execute(self, tenant: TenantId, of: int) -> None:
        events = [self._next() for _ in range(of)]
        await self.sequencer.execute(Work(tenant, Boundary(), lambda _: Boundary(), Known, lambda _: events, META))

    def _next(self) -> Event:
        self._members += 1
        if self._members % 7 == 0:
            return UserDeleted(UserId(f"usr_{self._members - 2}"), Handle("hdl_1"), None)
        return MemberAdded(GroupId("grp_1"), UserId(f"usr_{self._members}"))

    @property
    def end(self) -> int:
        return self.sequencer.sequence


class PartitionedLedger:
    """A context: its sequencers run on the event loop."""

    def __init__(self, folder: Path, partitions: Iterable[int] = range(3)) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.partitions = {number: Partition(folder, number) for number in partitions}

    async def __aenter__(self) -> Self:
        for each in self.partitions.values():
            each.sequencer.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        for each in self.partitions.values():
            await each.sequencer.stop()
            each.database.close()

    async def grow(self, commands: int = 1, of: int = 10) -> None:
        await asyncio.gather(*(each.grow(commands, of) for each in self.partitions.values()))

    def ends(self) -> dict[int, int]:
        return {number: each.end for number, each in self.partitions.items()}

    def copy_to(self, folder: Path, partitions: Collection[int] | None = None) -> None:
        """Bring another node's indexes to where ours are: a follower that lags between two copies."""
        folder.mkdir(exist_ok=True)
        for number in self.partitions if partitions is None else partitions:
            source = sqlite3.connect(self.partitions[number].path)
            target = sqlite3.connect(folder / f"{number}.db", timeout=PATIENCE)
            source.backup(target)
            source.close()
            target.execute("PRAGMA journal_mode = WAL")
            target.close()

    def assert_exact(self, conninfo: str) -> None:
        """Everything was applied, and nothing twice."""
        with StoredPlace(conninfo, EVERY_VIEW) as place:
            for partition in self.partitions.values():
                compared = list(verify(partition.history, EVERY_VIEW, [place]))
                assert [difference for each in compared for difference in each.differences] == []
                assert {each.tenant: each.position for each in compared} == {
                    tenant: partition.history.head(tenant)[0] for tenant in partition.history.tenants()
                }


@asynccontextmanager
async def nodes(
    folders: Sequence[Path], conninfo: str, of: Callable[[TenantId], int] | None = partition_of
) -> AsyncIterator[list[StoredSide]]:
    """The stored sides of some nodes, which share one PostgreSQL; all are stopped in the end."""
    async with AsyncExitStack() as stack:
        sides = [StoredSide(folder, folder / "unused", conninfo, CollectorRegistry(), of) for folder in folders]
        for side in sides:
            stack.push_async_callback(side.stop)
            await side.start({})
        yield sides


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.01)


def cursors(conninfo: str) -> dict[int, int]:
    """How far each partition is in the live generation."""
    with contextlib.suppress(errors.UndefinedTable), psycopg.connect(conninfo) as connection:
        statement = f"SELECT partition, sequence FROM views_{live(conninfo)}.cursors"  # noqa: S608
        return dict(connection.execute(statement.encode()).fetchall())
    return {}  # nothing was made yet, or it has been replaced


def live(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        (generation,) = connection.execute("SELECT generation FROM muniment.live_generation").fetchall()
        return int(generation[0])


async def shown(ledger: PartitionedLedger, conninfo: str) -> None:
    """Returns once the views are at the end of every partition."""
    await until(lambda: cursors(conninfo) == ledger.ends())


def generations(conninfo: str) -> list[str]:
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^views_' ORDER BY 1")
        return [name for (name,) in rows]


def tell_grown(ledger: PartitionedLedger, *sides: StoredSide) -> None:
    for side in sides:
        for number, end in ledger.ends().items():
            side.grown(end, number)


def restarts_of(side: StoredSide) -> int:
    return side._restarts()
