"""Batches of several partitions: every one has its turn, and what was read of another log is noticed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.index import batches
from adapters.index.batches import Turns, UnlikeTheLog
from adapters.index.database import Database
from adapters.index.partitions import Partitions
from adapters.postgres.applying import Batch
from adapters.postgres.generations import BEGINNING, Cursor
from domain.directory.groups import MemberAdded
from domain.ids import GroupId, TenantId, UserId
from tests.log import WrittenLog


class Logs:
    """A folder of indexes, and what follows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._databases: dict[int, Database] = {}
        self._logs: dict[int, WrittenLog] = {}
        self.turns = Turns(Partitions(folder), [MemberAdded])
        self.cursors: dict[int, Cursor] = {}

    def grow(self, number: int, *commits: int) -> None:
        """Commits of so many events."""
        if number not in self._logs:
            self._databases[number] = Database(self.folder / f"{number}.db", str(number), disposable=True)
            self._logs[number] = WrittenLog(self._databases[number])
            self.cursors[number] = BEGINNING
        joined = (TenantId(f"ten_{number}"), MemberAdded(GroupId("grp_1"), UserId("usr_1")))
        for events in commits:
            self._logs[number].commit([joined] * events)

    def next(self) -> dict[int, int] | None:
        """How many events the next batch has of each partition."""
        batch = self.turns.next(self.cursors)
        if batch is None:
            return None
        self.cursors |= {part.partition: part.cursor for part in batch.parts}
        return sizes(batch)

    def close(self) -> None:
        for number, database in self._databases.items():
            self.turns.drop(number)
            database.close()


def sizes(batch: Batch) -> dict[int, int]:
    for part in batch.parts:
        assert part.cursor.sequence - part.after == len(part.events)
        assert part.heads[TenantId(f"ten_{part.partition}")][0] == part.cursor.sequence
    return {part.partition: len(part.events) for part in batch.parts}


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Logs]:
    monkeypatch.setattr(batches, "MOST_EVENTS", 10)
    logs = Logs(tmp_path)
    yield logs
    logs.close()


def test_what_is_small_goes_together(logs: Logs) -> None:
    for number in (0, 1, 7):
        logs.grow(number, 1, 1)
    assert logs.next() == {0: 2, 1: 2, 7: 2}
    assert logs.next() is None
    logs.grow(1, 3)
    assert logs.next() == {1: 3}


def test_a_partition_with_much_to_read_does_not_keep_others_waiting(logs: Logs) -> None:
    logs.grow(0, *[4] * 12)
    logs.grow(1, *[3] * 8)
    logs.grow(2, 1)
    assert [logs.next() for _ in range(4)] == [{0: 12}, {1: 12}, {2: 1, 0: 12}, {1: 12}]
    assert [logs.next() for _ in range(3)] == [{0: 12}, {0: 12}, None]


def test_a_commit_is_never_torn(logs: Logs) -> None:
    logs.grow(0, 9, 50, 1)
    assert [logs.next() for _ in range(3)] == [{0: 59}, {0: 1}, None]


def test_of_an_index_that_is_not_there_yet_nothing_comes(logs: Logs) -> None:
    logs.cursors[3] = BEGINNING
    assert logs.next() is None
    logs.grow(3, 2)
    assert logs.next() == {3: 2}


def test_an_index_that_is_behind_is_waited_for_and_one_that_is_unlike_is_not(logs: Logs, tmp_path: Path) -> None:
    logs.grow(0, 2, 2)
    logs.next()
    further = Turns(Partitions(tmp_path), [MemberAdded])
    read = logs.cursors[0]._replace(sequence=6)
    assert not further.stands(0, read)
    assert further.next({0: read}) is None
    assert further.behind == {0}
    logs.grow(0, 2, 2)
    with pytest.raises(UnlikeTheLog):  # the hash of the first four events is not that of six
        further.next({0: read})
    with pytest.raises(UnlikeTheLog):
        further.stands(0, logs.cursors[0]._replace(sequence=3))
    logs.next()
    assert not further.stands(0, logs.cursors[0]._replace(sequence=9))
    assert further.stands(0, logs.cursors[0])
    assert further.behind == set()
    further.drop(0)


def test_the_embedded_log_can_never_be_behind(logs: Logs, tmp_path: Path) -> None:
    logs.grow(0, 2)
    logs.next()
    alone = Turns(Partitions(tmp_path / "0.db"), [MemberAdded])
    assert alone.stands(0, logs.cursors[0])
    with pytest.raises(UnlikeTheLog, match="more than there is"):
        alone.stands(0, logs.cursors[0]._replace(sequence=3))
    alone.drop(0)
