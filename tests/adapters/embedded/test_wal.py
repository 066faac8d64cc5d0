"""The write-ahead log is moved into the file beside the commits, so it stays short however much is written."""

import asyncio
from pathlib import Path

import pytest

from adapters.index import wal
from tests.adapters.index.logs import Log, note, running, work

EVENTS = 3_000
SIZE = 4_000


async def written(folder: Path) -> int:
    """The length of the WAL after many commits."""
    async with running(folder) as log:
        for _ in range(EVENTS // 50):
            await asyncio.gather(*(log.sequencer.execute(work(note(bytes(SIZE), "tag:1"))) for _ in range(50)))
        assert len(log.said()) == EVENTS
        return (folder / "ledger.db-wal").stat().st_size


async def test_the_wal_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "EVENTS_BETWEEN", 200)
    assert await written(tmp_path) < EVENTS * SIZE / 3
    async with running(tmp_path) as log:
        assert len(log.said()) == EVENTS


async def test_an_emptied_wal_is_empty(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        await log.sequencer.execute(work(note(bytes(SIZE))))
        assert await emptied(log)
        assert (tmp_path / "ledger.db-wal").stat().st_size == 0
        await log.sequencer.execute(work(note(b"after")))
        assert log.said()[1:] == [b"after"]


async def test_a_reader_in_the_way_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        await log.sequencer.execute(work(note(bytes(SIZE))))
        log.database.writer.execute("PRAGMA busy_timeout = 10")
        reader = log.database.open(read_only=True)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (1,)
        await log.sequencer.execute(work(note()))
        assert not await emptied(log)
        reader.close()
        assert await emptied(log)


async def emptied(log: Log) -> bool:
    return await log.sequencer.exclusively(lambda _: log.database.truncate_wal())
