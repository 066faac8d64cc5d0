"""How a node grows: start-up, memory and disk, empty and with longer and longer histories."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

import psutil
import uvloop

from tests.bench.office import Office, rate
from tests.bench.table import Row

STARTS: Final = 3


def rows(folder: Path) -> Iterator[Row]:
    first, memory = _start(folder / "empty")
    yield Row("start-up on an empty folder, which makes the database", first, "s")
    yield Row("start-up again", median(_start(folder / "empty")[0] for _ in range(STARTS)), "s")
    yield Row("memory just started, empty", memory, "MB")
    for events in (10_000, 100_000):
        data = folder / f"events-{events}"
        uvloop.run(_fill(data, events))
        _start(data)
        yield from grown(data, events)


def grown(data: Path, events: int) -> Iterator[Row]:
    """Of a folder whose views are current."""
    starts = [_start(data) for _ in range(STARTS)]
    yield Row(f"start-up with {events:,} events", median(each[0] for each in starts), "s")
    yield Row(f"memory just started, {events:,} events", median(each[1] for each in starts), "MB")
    size = sum(file.stat().st_size for file in data.glob("ledger.db*"))
    yield Row(f"bytes on disk for each of {events:,} events", size / events, "bytes")


async def _fill(data: Path, events: int) -> None:
    office = Office(data)
    await office.open()
    await rate(office.provision, 0, events)
    await office.close()


def _start(data: Path) -> tuple[float, float]:
    """Seconds until the node says it is ready, and its megabytes then."""
    environment = {**os.environ, "MUNIMENT_ROOT_KEY": "00" * 32}
    began = time.perf_counter()
    command = [sys.executable, "-m", "tests.bench.server", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    out = process.stdout
    assert out is not None
    json.loads(out.readline())
    took = time.perf_counter() - began
    memory = psutil.Process(process.pid).memory_info().rss / 1e6
    process.terminate()
    process.wait()
    out.close()
    return took, memory
