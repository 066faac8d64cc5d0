"""Verifying: what was changed behind the projector's back is found and named; what is as it should be is left alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.postgres.stored_rows import StoredPlace
from domain.access.owners import RoleAssigned
from domain.directory.groups import MemberAdded
from domain.event import Event, Recorded
from domain.flags import FlagDefined, FlagSwitchedOff
from domain.ids import FlagId, GroupId, RoleId, TenantId, UserId
from domain.ledger import Query
from domain.view import Rows, ViewUnavailable
from domain.view_hash import hash_of
from projections.access import ASSIGNMENTS
from projections.every import EVERY_VIEW
from projections.flags import FLAGS
from replay.verify import CopiedRows, Difference, verify
from tests.adapters.stored import folded, stored_generation, versioned
from tests.log import WrittenLog

ACME, OTHER = TenantId("ten_1"), TenantId("ten_2")
FLAG = FlagId("flg_1")


def happened() -> list[Event]:
    joined: list[Event] = [MemberAdded(GroupId("grp_1"), UserId(f"usr_{number}")) for number in range(30)]
    return [
        *joined,
        FlagDefined(FLAG, "beta", "boolean", "{}", "on", "off"),  # type: ignore[arg-type]
        RoleAssigned(RoleId("rol_1"), UserId("usr_1"), None),
        FlagSwitchedOff(FLAG),
    ]


class Resident:
    """Rows in memory, as a node would copy them for comparing."""

    name = "resident"

    def __init__(self, rows: Rows, position: int) -> None:
        self._copied = CopiedRows(rows, position)

    @contextmanager
    def of(self, tenant: TenantId) -> Iterator[CopiedRows | None]:
        yield self._copied if tenant == ACME else None


@pytest.fixture
def history(tmp_path: Path) -> Iterator[IndexHistory]:
    database = Database(tmp_path / "ledger.sqlite")
    log = WrittenLog(database)
    log.commit([(tenant, event) for event in happened() for tenant in (ACME, OTHER)])
    yield IndexHistory(database)
    database.close()


def history_of(history: IndexHistory, tenant: TenantId = ACME) -> list[Recorded]:
    return list(history.recorded(tenant, Query(), 1_000))


@pytest.fixture
def stored(history: IndexHistory, empty_database: str) -> str:
    """The conninfo of views that show the history exactly."""
    with stored_generation(empty_database) as generation:
        for tenant in (ACME, OTHER):
            generation.apply(history_of(history, tenant))
    return empty_database


def differences(history: IndexHistory, conninfo: str) -> list[Difference]:
    with StoredPlace(conninfo, EVERY_VIEW) as place:
        return [each for verified in verify(history, EVERY_VIEW, [place]) for each in verified.differences]


def test_what_was_projected_is_what_the_history_folds_to(history: IndexHistory, stored: str) -> None:
    steps: list[tuple[int, int]] = []
    with StoredPlace(stored, EVERY_VIEW) as place:
        verified = list(verify(history, EVERY_VIEW, [place], progress=lambda *step: steps.append(step)))
    assert [(each.tenant, each.place, each.position, each.differences) for each in verified] == [
        (ACME, "stored", 33, ()),
        (OTHER, "stored", 33, ()),
    ]
    rows = folded(history_of(history))
    assert verified[0].hashes == {view.name: hash_of(versioned(rows, view)) for view in EVERY_VIEW}
    assert steps == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("change", "view", "key", "what"),
    [
        ("UPDATE views_1.flags SET \"off_variant\" = 'on'", "flags", FLAG, "has another off_variant"),
        (
            "UPDATE views_1.members SET to_position = 33 WHERE key = 'grp_1/usr_7'",
            "members",
            "grp_1/usr_7",
            "is missing",
        ),
        ("DELETE FROM views_1.members WHERE key = 'grp_1/usr_7'", "members", "grp_1/usr_7", "is missing"),
        (
            "UPDATE views_1.assignments SET from_position = 31",
            "assignments",
            "rol_1/usr_1",
            "became so at 32, not at 31",
        ),
        (
            "WITH mine AS (INSERT INTO views_1.assignments SELECT tenant, 'rol_1/usr_2', from_position, to_position,"
            " \"role\", 'usr_2', \"since\" FROM views_1.assignments WHERE tenant = 'ten_1' RETURNING *) "
            "INSERT INTO views_1.assignments_spans SELECT tenant, '', '', key, from_position, to_position FROM mine",
            "assignments",
            "rol_1/usr_2",
            "is not in the history",
        ),
        ("UPDATE views_1.hashes SET hash = sha256('') WHERE view = 'flags'", "flags", None, "kept current"),
    ],
    ids=["changed", "ended", "deleted", "moved", "added", "hash"],
)
def test_what_was_changed_behind_the_projectors_back_is_named(
    history: IndexHistory, stored: str, change: str, view: str, key: str | None, what: str
) -> None:
    with psycopg.connect(stored) as connection:
        connection.execute(change.encode())
    found = [each for each in differences(history, stored) if each.tenant == ACME]
    assert [(each.place, each.view) for each in found] == [("stored", view)] * len(found)
    assert any(each.key == key and what in each.what for each in found)


def test_of_very_many_differences_the_first_are_named(history: IndexHistory, stored: str) -> None:
    with psycopg.connect(stored) as connection:
        connection.execute("UPDATE views_1.members SET \"since\" = 0 WHERE tenant = 'ten_2'")
    hash, *named, more = differences(history, stored)
    assert hash.key is None
    assert {each.tenant for each in named} == {OTHER}
    assert len(named) == 20
    assert (more.key, more.what) == (None, "10 more rows differ")


def test_views_that_lag_are_compared_as_far_as_they_are(history: IndexHistory, empty_database: str) -> None:
    with stored_generation(empty_database) as generation:
        generation.apply([each for each in history_of(history) if each.position <= 31])
    with StoredPlace(empty_database, EVERY_VIEW) as place:
        verified = list(verify(history, EVERY_VIEW, [place]))
    assert [(each.position, each.differences) for each in verified] == [(31, ()), (0, ())]


def test_resident_rows_are_compared_by_the_same_code(history: IndexHistory) -> None:
    views = (FLAGS, ASSIGNMENTS)
    rows = folded(history_of(history), views)
    (verified,) = verify(history, views, [Resident(rows, 33)])
    assert (verified.place, verified.differences) == ("resident", ())
    rows.rows[FLAGS.name].clear()
    (verified,) = verify(history, views, [Resident(rows, 33)])
    assert verified.differences == (Difference(ACME, "resident", "flags", FLAG, "is missing"),)


def test_a_database_without_views_has_nothing_to_compare(history: IndexHistory, empty_database: str) -> None:
    with StoredPlace(empty_database, EVERY_VIEW) as place:
        assert list(verify(history, EVERY_VIEW, [place])) == []


def test_without_postgres_stored_rows_are_unavailable(history: IndexHistory, tmp_path: Path) -> None:
    with (
        StoredPlace(f"host={tmp_path} dbname=nowhere", EVERY_VIEW) as place,
        pytest.raises(ViewUnavailable),
    ):
        list(verify(history, EVERY_VIEW, [place]))
