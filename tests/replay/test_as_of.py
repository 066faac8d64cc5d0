"""Folding up to a position: from the beginning or from a snapshot, in pages, it gives the same rows."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import snapshots as keeping
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.snapshots import SnapshotFile, code_of
from domain.directory.groups import MemberAdded
from domain.directory.life import UserDeactivated, UserReactivated
from domain.event import Event, Instant, Recorded
from domain.ids import TenantId, UserId
from domain.ledger import Query
from domain.view import Moment, Rows, View
from projections.directory import MEMBERS, USERS
from projections.flags import FLAGS, TARGETS
from replay.as_of import as_of
from replay.folded import Folded
from replay.folded_views import FoldedViews
from replay.past import PastHistory
from replay.standing import DECIDING
from replay.verify import replayed
from tests.domain import people
from tests.domain.people import CREW, FRY, LEELA, PLANET_EXPRESS
from tests.histories import events_that
from tests.log import WrittenLog

TRIED: tuple[View[Any], ...] = (*DECIDING, USERS, FLAGS, TARGETS)
KEY = bytes(32)
OTHER = TenantId("ten_momcorp")


class Told:
    """A history of these events, which counts the pages that are read."""

    def __init__(self, *events: Event, tenant: TenantId = PLANET_EXPRESS) -> None:
        database = Database(None)
        self.log = WrittenLog(database)
        for event in events:
            self.log.commit([(tenant, event)])
        self.history = IndexHistory(database)
        self.read = 0

    def recorded(self, tenant: TenantId, query: Query, limit: int) -> Sequence[Recorded]:
        found = self.history.recorded(tenant, query, limit)
        self.read += len(found)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.history, name)


def busy(times: int) -> list[Event]:
    """People who come and go."""
    events: list[Event] = [people.provisioned(FRY), people.provisioned(LEELA), people.created(CREW)]
    for _ in range(times):
        events += [UserDeactivated(FRY), UserReactivated(FRY), MemberAdded(CREW, LEELA)]
    return events


def plain(rows: Rows) -> dict[str, dict[str, tuple[int, Any]]]:
    return {
        view.name: {key: (rows.since[view.name][key], row) for key, row in rows.rows[view.name].items()}
        for view in rows.views
    }


def snapshots(path: Path | None = None) -> SnapshotFile[Folded]:
    return SnapshotFile(path, KEY, Folded)


@settings(max_examples=40, deadline=None)
@given(events=st.lists(events_that(TRIED), min_size=1, max_size=30), data=st.data())
def test_from_a_snapshot_or_from_the_beginning_the_rows_are_the_same(events: list[Event], data: st.DataObject) -> None:
    told, kept = Told(*events), snapshots()
    for _ in range(3):
        until = data.draw(st.integers(1, len(events)))
        rows = as_of(told, PLANET_EXPRESS, TRIED, until, kept, every=1)
        assert plain(rows) == plain(replayed(told.history, PLANET_EXPRESS, TRIED, until))
        for view in TRIED:
            for column in view.indexes:
                for row in rows.rows[view.name].values():
                    value = getattr(row, column)
                    if value is not None:
                        folded = replayed(told.history, PLANET_EXPRESS, (view,), until)
                        assert rows.find(view, column, value) == folded.find(view, column, value)


def test_a_second_fold_reads_only_what_came_after_the_snapshot() -> None:
    told, kept = Told(*busy(20)), snapshots()
    as_of(told, PLANET_EXPRESS, (USERS,), 60, kept, every=10)
    first, told.read = told.read, 0
    rows = as_of(told, PLANET_EXPRESS, (USERS,), 62, kept, every=10)
    assert plain(rows) == plain(replayed(told.history, PLANET_EXPRESS, (USERS,), 62))
    assert told.read <= 2 < first


def test_a_short_history_is_not_worth_a_snapshot(tmp_path: Path) -> None:
    told, kept = Told(*busy(5)), snapshots(tmp_path / "snapshots.db")
    as_of(told, PLANET_EXPRESS, (USERS,), 18, kept)
    assert not (tmp_path / "snapshots.db").exists() or _kept(tmp_path) == 0


def _kept(folder: Path) -> int:
    with sqlite3.connect(folder / "snapshots.db") as connection:
        count: int = connection.execute("SELECT count(*) FROM snapshots").fetchone()[0]
    connection.close()
    return count


def fold(told: Told, kept: SnapshotFile[Folded]) -> Rows:
    return as_of(told, PLANET_EXPRESS, (USERS, MEMBERS), 33, kept, every=1)


def test_snapshots_outlast_a_restart(tmp_path: Path) -> None:
    told, kept = Told(*busy(10)), snapshots(tmp_path / "snapshots.db")
    expected = plain(fold(told, kept))
    kept.close()
    told.read = 0
    again = snapshots(tmp_path / "snapshots.db")
    assert plain(fold(told, again)) == expected
    assert told.read == 0
    again.close()


def test_a_byte_that_was_changed_is_never_read_back(tmp_path: Path) -> None:
    told, kept = Told(*busy(10)), snapshots(tmp_path / "snapshots.db")
    expected = plain(fold(told, kept))
    kept.close()
    with sqlite3.connect(tmp_path / "snapshots.db") as connection:
        (data,) = connection.execute("SELECT data FROM parts LIMIT 1").fetchone()
        changed = data.replace(b"\xc3", b"\xc2") if b"\xc3" in data else data[:-1]
        assert changed != data
        connection.execute("UPDATE parts SET data = ?", (changed,))
    connection.close()
    told.read = 0
    again = snapshots(tmp_path / "snapshots.db")
    assert plain(fold(told, again)) == expected
    assert told.read > 0
    again.close()


def test_without_the_key_nobody_makes_a_snapshot_that_is_read(tmp_path: Path) -> None:
    told, kept = Told(*busy(10)), SnapshotFile(tmp_path / "snapshots.db", b"another" * 4, Folded)
    fold(told, kept)
    kept.close()
    told.read = 0
    ours = snapshots(tmp_path / "snapshots.db")
    fold(told, ours)
    assert told.read > 0
    ours.close()


def test_a_snapshot_of_another_history_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    kept = snapshots(tmp_path / "snapshots.db")
    fold(Told(*busy(10)), kept)
    other = Told(*reversed(busy(10)))
    assert plain(fold(other, kept)) == plain(replayed(other.history, PLANET_EXPRESS, (USERS, MEMBERS), 33))
    kept.close()


def test_a_file_that_is_no_database_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "snapshots.db").write_bytes(b"not a database" * 1000)
    told, kept = Told(*busy(10)), snapshots(tmp_path / "snapshots.db")
    expected = plain(replayed(told.history, PLANET_EXPRESS, (USERS, MEMBERS), 33))
    assert plain(fold(told, kept)) == expected
    assert plain(fold(told, kept)) == expected
    kept.close()


def test_snapshots_are_thinned_out_and_the_least_used_leave(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keeping, "MOST_OF_ONE", 4)
    monkeypatch.setattr("replay.as_of._PAGE", 3)
    told, kept = Told(*busy(20)), snapshots(tmp_path / "snapshots.db")
    as_of(told, PLANET_EXPRESS, (USERS,), 63, kept, every=1)
    assert _kept(tmp_path) == 4
    monkeypatch.setattr(keeping, "MOST_BYTES", 1)
    as_of(told, PLANET_EXPRESS, (MEMBERS,), 63, kept, every=1)
    assert _kept(tmp_path) == 1
    kept.close()


class Renamed(View[Any]):
    name = "renamed"
    row = USERS.row
    follows = USERS.follows


def test_code_that_changed_is_another_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of((USERS,)) == code_of((USERS,))
    assert code_of((USERS,)) != code_of((Renamed(),))
    monkeypatch.setattr("inspect.getsource", lambda module: "changed")
    keeping.code_of.cache_clear()
    changed = code_of((USERS,))
    monkeypatch.undo()
    keeping.code_of.cache_clear()
    assert changed != code_of((USERS,))


async def test_folded_views_answer_as_stored_ones_do() -> None:
    told = Told(people.provisioned(FRY), people.provisioned(LEELA), people.created(CREW), MemberAdded(CREW, FRY))
    views = FoldedViews(told)
    now, before = Moment(4, Instant(0)), Moment(1, Instant(0))
    assert [each.key for each in await views.page(USERS, PLANET_EXPRESS, now)] == [FRY, LEELA]
    assert [each.key for each in await views.page(USERS, PLANET_EXPRESS, now, after=FRY, limit=1)] == [LEELA]
    assert await views.get(USERS, PLANET_EXPRESS, LEELA, before) is None
    assert [each.key for each in await views.find(MEMBERS, PLANET_EXPRESS, now, "group", CREW)] == [f"{CREW}/{FRY}"]
    assert await views.count(USERS, PLANET_EXPRESS, now) == 2
    assert await views.count(MEMBERS, PLANET_EXPRESS, now, "member", LEELA) == 0
    assert (await views.get_many(USERS, PLANET_EXPRESS, [FRY, "usr_none"], now))[FRY].since == 1


def test_a_history_of_then_ends_then() -> None:
    told = Told(*busy(2))
    told.log.commit([(OTHER, people.provisioned(UserId("usr_mom")))])
    instant = told.history.instant_of(PLANET_EXPRESS, 5)
    past = PastHistory(told.history, instant)
    assert past.head(PLANET_EXPRESS) == (5, instant)
    assert past.head(OTHER) == (0, 0)
    assert past.tenants() == [PLANET_EXPRESS]
    assert [each.position for each in past.recorded(PLANET_EXPRESS, Query(), 100)] == [1, 2, 3, 4, 5]
    assert [each.position for each in past.recorded(PLANET_EXPRESS, Query(until=9), 100)] == [1, 2, 3, 4, 5]
    assert len(past.entries(PLANET_EXPRESS, Query(), 100, newest_first=True)) == 5
    assert [position for position, _ in past.stored(PLANET_EXPRESS, 3, 10)] == [4, 5]
    assert past.stored(PLANET_EXPRESS, 5, 10) == []
    assert past.position_at(PLANET_EXPRESS, Instant(instant + 10)) == 5
    told.log.commit([(PLANET_EXPRESS, UserDeactivated(LEELA))])
    assert past.head(PLANET_EXPRESS)[0] == 5
    with pytest.raises(KeyError):
        past.instant_of(PLANET_EXPRESS, 6)


def test_rows_are_copied_and_part() -> None:
    told = Told(*busy(1))
    one = as_of(told, PLANET_EXPRESS, (USERS, MEMBERS), 6)
    other = one.copy()
    other.evolve(Recorded(PLANET_EXPRESS, 7, Instant(7), people.deleted(LEELA)))
    assert LEELA in one.rows[USERS.name]
    assert LEELA not in other.rows[USERS.name]
    assert one.find(MEMBERS, "member", LEELA)
    assert not other.find(MEMBERS, "member", LEELA)
    assert msgspec.structs.asdict(one.rows[USERS.name][FRY])
    assert (one.count, other.count) == (3, 1)
