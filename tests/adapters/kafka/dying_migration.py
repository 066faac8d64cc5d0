"""A migration in a process of its own, in small steps, for tests that kill it on the way."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from adapters.index.database import Database
from adapters.kafka import copying, ring_copying
from adapters.kafka.migrating import migration
from tests.adapters.index.logs import ROOT_KEY
from tests.adapters.kafka.logs import now, options
from tests.node import PATIENCE


class DyingMigration:
    """Copies, until it is killed."""

    def __init__(self, servers: str, prefix: str, source: Path, target: Path, partitions: int) -> None:
        words = [servers, prefix, str(source), str(target), str(partitions)]
        self._process = subprocess.Popen([sys.executable, "-m", __name__, *words])

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE)


async def copy(servers: str, prefix: str, source: Path, target: Path, partitions: int) -> None:
    copying.EVENTS_AT_ONCE = 5  # type: ignore[misc]
    ring_copying.AT_ONCE = 5  # type: ignore[misc]
    database = Database(source / "ledger.db")
    given = options(servers, prefix, target, partitions=partitions)
    async with migration(database, given, ROOT_KEY, now) as migrating:
        await migrating.copy()


def main(servers: str, prefix: str, source: str, target: str, partitions: Any) -> None:
    asyncio.run(copy(servers, prefix, Path(source), Path(target), int(partitions)))


if __name__ == "__main__":
    main(*sys.argv[1:])
