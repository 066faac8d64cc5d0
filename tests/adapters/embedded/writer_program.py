"""A program that writes to a log until it is killed, and says what was acknowledged: `python -m ... FOLDER FIRST`."""

import asyncio
import sys
from itertools import count
from pathlib import Path

from domain.ids import TenantId
from tests.adapters.index.logs import HERE, THERE, Log, note, running, work

CALLERS = 16


async def main(folder: Path, first: int) -> None:
    numbers = count(first)
    async with running(folder) as log:
        await asyncio.gather(*(_caller(log, numbers, (HERE, THERE)[number % 2]) for number in range(CALLERS)))


async def _caller(log: Log, numbers: "count[int]", tenant: TenantId) -> None:
    for number in numbers:
        said = b"%d" % number
        outcome = await log.sequencer.execute(work(note(said, f"n:{number}"), note(said), tenant=tenant))
        sys.stdout.write(f"{number} {tenant} {outcome.position}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
