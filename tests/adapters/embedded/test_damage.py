"""A log that is shorter, older or other than what was acknowledged is never served."""

import shutil
from pathlib import Path

import pytest

from adapters.index.database import Database, WrongFormat
from adapters.index.folder_lock import FolderInUse
from adapters.index.log import LogShorter
from tests.adapters.index.logs import Log, note, running, work

FILES = ("ledger.db", "ledger.db-wal", "ledger.tail")


def copy(folder: Path, into: Path) -> Path:
    """The files as they are on the disk now, as a power cut would leave them."""
    into.mkdir()
    for name in FILES:
        if (folder / name).exists():
            shutil.copy(folder / name, into / name)
    return into


def made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


async def written(folder: Path, times: int, into: Path) -> Path:
    """A copy of a log to which so many commands were written, one commit each, with all of them still in the WAL."""
    async with running(made(folder)) as log:
        for number in range(times):
            await log.sequencer.execute(work(note(b"%d" % number)))
        return copy(folder, into)


async def reads(folder: Path) -> list[bytes]:
    async with running(folder) as log:
        await log.sequencer.execute(work(note(b"one more")))
        return log.said()[:-1]


async def test_what_a_power_cut_leaves_is_whole(tmp_path: Path) -> None:
    cut = await written(tmp_path / "log", 20, tmp_path / "cut")
    assert await reads(cut) == [b"%d" % number for number in range(20)]


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.8, 0.97])
async def test_a_wal_that_lost_its_end_is_not_served(tmp_path: Path, kept: float) -> None:
    cut = await written(tmp_path / "log", 20, tmp_path / "cut")
    wal = cut / "ledger.db-wal"
    with wal.open("r+b") as file:
        file.truncate(int(wal.stat().st_size * kept))
    with pytest.raises(LogShorter, match="restore the newest backup"):
        Log(cut)


async def test_a_wal_with_a_torn_page_is_not_served(tmp_path: Path) -> None:
    cut = await written(tmp_path / "log", 20, tmp_path / "cut")
    wal = cut / "ledger.db-wal"
    with wal.open("r+b") as file:
        file.seek(wal.stat().st_size // 2)
        file.write(b"\xff" * 512)
    with pytest.raises(LogShorter):
        Log(cut)


async def test_yesterdays_ledger_is_not_served(tmp_path: Path) -> None:
    log, yesterday = tmp_path / "log", tmp_path / "yesterday"
    await written(log, 5, yesterday)
    today = await written(log, 5, tmp_path / "today")
    shutil.copy(today / "ledger.tail", yesterday / "ledger.tail")
    with pytest.raises(LogShorter, match="the log ends at 5 or differs, but 10 events were acknowledged"):
        Log(yesterday)


async def test_another_ledger_of_the_same_length_is_not_served(tmp_path: Path) -> None:
    mine = await written(tmp_path / "log", 5, tmp_path / "mine")
    other = await written(tmp_path / "other log", 5, tmp_path / "other")
    shutil.copy(mine / "ledger.tail", other / "ledger.tail")
    with pytest.raises(LogShorter):
        Log(other)


async def test_a_log_one_commit_ahead_of_its_tail_is_served_since_nobody_was_answered(tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = await written(log, 5, tmp_path / "before")
    after = await written(log, 1, tmp_path / "after")
    shutil.copy(before / "ledger.tail", after / "ledger.tail")
    assert len(await reads(after)) == 6


@pytest.mark.parametrize("slot", [0, 1])
async def test_a_torn_slot_of_the_tail_file_leaves_the_other(tmp_path: Path, slot: int) -> None:
    cut = await written(tmp_path / "log", 6, tmp_path / "cut")
    with (cut / "ledger.tail").open("r+b") as file:
        file.seek(slot * 128 + 20)
        file.write(b"torn")
    assert len(await reads(cut)) == 6


async def test_without_a_tail_file_a_log_is_not_served(tmp_path: Path) -> None:
    cut = await written(tmp_path / "log", 6, tmp_path / "cut")
    (cut / "ledger.tail").unlink()
    with pytest.raises(LogShorter, match="tail file"):
        Log(cut)


async def test_with_both_slots_torn_a_log_is_not_served(tmp_path: Path) -> None:
    cut = await written(tmp_path / "log", 6, tmp_path / "cut")
    (cut / "ledger.tail").write_bytes(bytes(256))
    with pytest.raises(LogShorter, match="tail file"):
        Log(cut)


async def test_a_first_commit_that_was_never_noted_is_served(tmp_path: Path) -> None:
    cut = await written(tmp_path / "log", 1, tmp_path / "cut")
    (cut / "ledger.tail").unlink()
    assert len(await reads(cut)) == 1


async def test_events_without_their_commit_are_not_served(tmp_path: Path) -> None:
    cut = await written(tmp_path / "log", 3, tmp_path / "cut")
    database = Database(cut / "ledger.db")
    database.writer.execute("DELETE FROM commits WHERE first = 3")
    database.close()
    with pytest.raises(LogShorter, match="disagree"):
        Log(cut)


async def test_a_folder_is_written_by_one_process_at_a_time(tmp_path: Path) -> None:
    async with running(tmp_path):
        with pytest.raises(FolderInUse, match="another process has this data folder open"):
            Database(tmp_path / "ledger.db")
        reader = Database(tmp_path / "ledger.db", read_only=True)
        reader.close()
    async with running(tmp_path):
        pass


async def test_a_folder_of_another_version_is_not_opened(tmp_path: Path) -> None:
    cut = await written(tmp_path / "log", 1, tmp_path / "cut")
    database = Database(cut / "ledger.db")
    database.writer.execute("UPDATE format SET version = 99")
    database.close()
    with pytest.raises(WrongFormat, match="has format 99"):
        Database(cut / "ledger.db")


async def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        await log.sequencer.execute(work(note()))
        for name in (*FILES, "lock"):
            assert (tmp_path / name).stat().st_mode & 0o077 == 0, name
