"""Stored views in PostgreSQL: whatever happened, however it was cut into batches, they are its fold, at any moment."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import errors
from psycopg.conninfo import make_conninfo

from adapters.postgres.applying import Diverged, Superseded, connect
from adapters.postgres.questions import Statements
from adapters.postgres.reading import PostgresViews
from domain.directory.groups import MemberAdded
from domain.directory.life import GroupDeleted, UserDeleted
from domain.event import Code, Event, Recorded
from domain.flags import FlagDefined
from domain.ids import FlagId, GroupId, Handle, TenantId, UserId
from domain.view import Close, Rows, ViewBehind, ViewUnavailable
from domain.view_hash import hash_of
from projections.directory import MEMBERS, USERS, Members
from projections.every import EVERY_VIEW
from projections.flags import FLAGS
from tests.adapters.stored import StoredGeneration, at, folded, kept_hashes, stored_generation, versioned
from tests.histories import events_that, placed

_tenants = itertools.count(1)
HISTORIES = st.one_of(
    st.lists(events_that(EVERY_VIEW), min_size=1, max_size=30),
    # Of one view at a time, events meet more often.
    st.sampled_from(EVERY_VIEW).flatmap(lambda view: st.lists(events_that([view]), min_size=1, max_size=30)),
)
QUICK = settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def new_tenant() -> TenantId:
    return TenantId(f"ten_{next(_tenants)}")


@pytest.fixture(scope="module")
def stored(shared_database: str) -> Iterator[StoredGeneration]:
    with stored_generation(shared_database) as generation:
        yield generation


@pytest.fixture
async def views(shared_database: str) -> AsyncIterator[PostgresViews]:
    async with aclosing(PostgresViews(shared_database)) as views:
        yield views


def members(group: str, *users: str) -> list[Event]:
    return [MemberAdded(GroupId(group), UserId(user)) for user in users]


def flag(number: int, key: str) -> Event:
    return FlagDefined(FlagId(f"flg_{number}"), Code(key), Code("boolean"), Code("{}"), Code("on"), Code("off"))


@QUICK
@given(history=HISTORIES, cuts=st.lists(st.integers(1, 30), max_size=5), forgets=st.booleans(), seen=st.integers(0, 30))
def test_any_history_in_any_batches_is_its_fold_at_every_position(
    shared_database: str,
    stored: StoredGeneration,
    history: list[Event],
    cuts: list[int],
    forgets: bool,
    seen: int,
) -> None:
    tenant = new_tenant()
    recorded = placed(tenant, history)
    for start, end in itertools.pairwise(sorted({0, len(recorded), *(cut for cut in cuts if cut < len(recorded))})):
        stored.apply(recorded[start:end])
        if forgets:
            stored.forget()

    async def compare() -> None:
        rows = Rows(EVERY_VIEW)
        async with aclosing(PostgresViews(shared_database)) as views:
            for each in recorded:
                rows.evolve(each)
                for view in EVERY_VIEW:
                    assert await views.page(view, tenant, at(each.position)) == versioned(rows, view)
                if each.position == seen or each is recorded[-1]:
                    await compare_questions(views, tenant, rows, each.position)

    asyncio.run(compare())


async def compare_questions(views: PostgresViews, tenant: TenantId, rows: Rows, position: int) -> None:
    """Every other question, asked as of a position, must be answered as the rows of then answer it."""
    for view in EVERY_VIEW:
        expected = versioned(rows, view)
        assert await views.count(view, tenant, at(position)) == len(expected)
        keys = [each.key for each in expected]
        got = await views.get_many(view, tenant, [*keys, "nothing"], at(position))
        assert list(map(got.get, keys)) == expected
        assert len(got) == len(keys)
        for column in view.indexes:
            values = {getattr(each.row, column) for each in expected} - {None}
            for value in (*values, "nothing"):
                having = [each for each in expected if getattr(each.row, column) == value]
                assert await views.find(view, tenant, at(position), column, value) == having
                assert await views.count(view, tenant, at(position), column, value) == len(having)


@QUICK
@given(history=HISTORIES)
def test_one_batch_leaves_what_single_events_leave(
    shared_database: str, stored: StoredGeneration, history: list[Event]
) -> None:
    together, apart = new_tenant(), new_tenant()
    stored.apply(placed(together, history))
    for each in placed(apart, history):
        stored.apply([each])
    with psycopg.connect(shared_database) as connection:
        for view in EVERY_VIEW:
            for table in (view.name, f"{view.name}_spans"):
                assert contents(connection, stored, table, together) == contents(connection, stored, table, apart)
        assert kept_hashes(connection, stored.number, together) == kept_hashes(connection, stored.number, apart)


def contents(connection: psycopg.Connection[Any], stored: StoredGeneration, table: str, tenant: TenantId) -> list[Any]:
    """All that a table holds of a tenant, but the tenant."""
    statement = f"SELECT * FROM views_{stored.number}.{table} WHERE tenant = %s ORDER BY 2, 3, 4, 5"  # noqa: S608
    rows = connection.execute(statement.encode(), (tenant,)).fetchall()
    return [row[1:] for row in rows]


@QUICK
@given(histories=st.lists(HISTORIES, min_size=2, max_size=3), data=st.data())
def test_the_hashes_that_are_kept_current_are_those_of_the_rows(
    shared_database: str, stored: StoredGeneration, histories: list[list[Event]], data: st.DataObject
) -> None:
    of_tenants = [placed(new_tenant(), history) for history in histories]
    mixed = data.draw(interleaved(of_tenants))
    for batch in (mixed[:5], mixed[5:]):
        if batch:
            stored.apply(batch)
    with psycopg.connect(shared_database) as connection:
        for recorded in of_tenants:
            rows = folded(recorded)
            kept = kept_hashes(connection, stored.number, recorded[0].tenant)
            for view in EVERY_VIEW:
                assert kept.get(view.name, bytes(32)) == hash_of(versioned(rows, view))


def interleaved(histories: Sequence[list[Recorded]]) -> st.SearchStrategy[list[Recorded]]:
    turns = [number for number, history in enumerate(histories) for _ in history]

    def mix(order: list[int]) -> list[Recorded]:
        rest = [iter(history) for history in histories]
        return [next(rest[number]) for number in order]

    return st.permutations(turns).map(mix)


async def test_pages_follow_one_another_in_the_order_of_their_keys(
    views: PostgresViews, stored: StoredGeneration
) -> None:
    tenant = new_tenant()
    stored.apply(placed(tenant, members("grp_1", "usr_c", "usr_a", "usr_b", "usr_e", "usr_d")))
    stored.apply(
        [
            Recorded(
                tenant, 6, placed(tenant, [flag(1, "f")])[0].instant, UserDeleted(UserId("usr_b"), Handle("h"), None)
            )
        ]
    )
    seen, after = [], ""
    while page := await views.find(MEMBERS, tenant, at(6), "group", "grp_1", after=after, limit=2):
        seen.append([each.row.member for each in page])
        after = page[-1].key
    assert seen == [["usr_a", "usr_c"], ["usr_d", "usr_e"]]
    earlier = await views.page(MEMBERS, tenant, at(5), after="grp_1/usr_a", limit=2)
    assert [each.row.member for each in earlier] == ["usr_b", "usr_c"]


async def test_the_end_of_a_group_ends_many_rows_of_before_and_of_the_same_batch(
    views: PostgresViews, stored: StoredGeneration
) -> None:
    tenant = new_tenant()
    history = [
        *members("grp_1", *(f"usr_{number}" for number in range(2_000))),
        *members("grp_2", "usr_1"),
        *members("grp_1", "usr_new"),
        GroupDeleted(GroupId("grp_1"), None),
        *members("grp_1", "usr_after"),
    ]
    recorded = placed(tenant, history)
    stored.apply(recorded[:2_001])
    stored.apply(recorded[2_001:])
    assert [each.key for each in await views.page(MEMBERS, tenant, at(len(recorded)))] == [
        "grp_1/usr_after",
        "grp_2/usr_1",
    ]
    assert await views.count(MEMBERS, tenant, at(len(recorded) - 2)) == 2_002


class Fleeting(Members):
    """Every row of it ends at the position at which it began, and those of `usr_again` begin once more."""

    def concerns(self, event: Event) -> Sequence[str | Close]:
        (key,) = super().concerns(event)
        member = str(getattr(event, "member", ""))
        return (key, Close("member", member), key) if member == "usr_again" else (key, Close("member", member))


async def test_what_begins_and_ends_at_one_position_never_was(empty_database: str) -> None:
    view, tenant = Fleeting(), new_tenant()
    recorded = placed(tenant, members("grp_1", "usr_1", "usr_again", "usr_2", "usr_again"))
    with connect(empty_database) as connection:
        stored = StoredGeneration(connection, [view])
        stored.apply(recorded[:3])
        stored.apply(recorded[3:])
        async with aclosing(PostgresViews(empty_database)) as views:
            for position in range(1, 5):
                rows = folded(recorded[:position], [view])
                assert await views.page(view, tenant, at(position)) == versioned(rows, view)
                assert await views.count(view, tenant, at(position)) == len(rows.rows[view.name])
        end = folded(recorded, [view])
        assert kept_hashes(connection, stored.number, tenant) == {view.name: hash_of(versioned(end, view))}


async def test_what_postgres_cannot_hold_does_not_stop_the_projector(
    views: PostgresViews, stored: StoredGeneration
) -> None:
    tenant = new_tenant()
    long = "k" * 20_000
    stored.apply(placed(tenant, [flag(1, "nul\0within"), flag(2, long)]))
    (found,) = await views.find(FLAGS, tenant, at(2), "key", long)
    assert found.row.key == long
    (pictured,) = await views.find(FLAGS, tenant, at(2), "key", "nul\0within")
    assert pictured.row.key == "nul␀within"


@pytest.mark.parametrize("hostile", ["", "\0", "\ud800", "' OR true --", "x" * 100_000, "%s", "👩‍🚀"])
async def test_whatever_is_asked_for_is_only_not_found(
    views: PostgresViews, stored: StoredGeneration, hostile: str
) -> None:
    tenant = new_tenant()
    stored.apply(placed(tenant, members("grp_1", "usr_1")))
    assert await views.get(MEMBERS, tenant, hostile, at(1)) is None
    assert await views.get_many(MEMBERS, tenant, [hostile, "grp_1/usr_1"], at(1)) != {}
    assert await views.find(MEMBERS, tenant, at(1), "group", hostile) == []
    assert await views.find(MEMBERS, tenant, at(1), "group", "grp_1", after=hostile) is not None
    assert await views.page(MEMBERS, TenantId(hostile), at(0)) == []


async def test_a_position_that_is_not_there_yet_is_behind(views: PostgresViews, stored: StoredGeneration) -> None:
    tenant = new_tenant()
    stored.apply(placed(tenant, members("grp_1", "usr_1")))
    await views.reach(tenant, 1)
    for position in (2, 1 << 80):
        with pytest.raises(ViewBehind):
            await views.page(MEMBERS, tenant, at(position))
    with pytest.raises(ViewBehind):
        await views.reach(tenant, 2, timeout=0.01)


async def test_reaching_a_position_waits_for_it(views: PostgresViews, stored: StoredGeneration) -> None:
    tenant = new_tenant()
    reaching = asyncio.create_task(views.reach(tenant, 1, timeout=30))
    await views.reach(tenant, 0)
    assert not reaching.done()
    stored.apply(placed(tenant, members("grp_1", "usr_1")))
    await reaching
    assert await views.count(MEMBERS, tenant, at(1)) == 1


async def test_only_indexed_columns_are_searched(views: PostgresViews, stored: StoredGeneration) -> None:
    with pytest.raises(ValueError, match="users is not found by email"):
        await views.find(USERS, new_tenant(), at(0), "email", "x")
    with pytest.raises(ValueError, match="users is not found by email"):
        await views.count(USERS, new_tenant(), at(0), "email", "x")


async def test_before_anything_was_made_views_are_unavailable(empty_database: str) -> None:
    async with aclosing(PostgresViews(empty_database)) as views:
        with pytest.raises(ViewUnavailable):
            await views.page(USERS, new_tenant(), at(0))
        with stored_generation(empty_database):
            assert await views.page(USERS, new_tenant(), at(0)) == []


def test_the_reading_role_sees_one_tenant_and_only_where_it_is_set(
    shared_database: str, stored: StoredGeneration
) -> None:
    one, other = new_tenant(), new_tenant()
    for tenant in (one, other):
        stored.apply(placed(tenant, members("grp_1", "usr_1")))
    with psycopg.connect(make_conninfo(shared_database, options="-c role=muniment_reader")) as reader:
        for table in ("members", "members_spans", "heads", "hashes"):
            statement = f"SELECT DISTINCT tenant FROM views_{stored.number}.{table}".encode()  # noqa: S608
            assert reader.execute(statement).fetchall() == []
            reader.execute("SELECT set_config('muniment.tenant', %s, true)", (one,))
            assert reader.execute(statement).fetchall() == [(one,)]
            reader.rollback()  # ends the transaction, and what was set in it
            assert reader.execute(statement).fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO views_{}.heads VALUES ('ten_1', 1, 1)",
        "UPDATE views_{}.members SET to_position = 1",
        "DELETE FROM views_{}.members",
        "TRUNCATE views_{}.members",
        "SELECT * FROM views_{}.cursors",
        "UPDATE muniment.live_generation SET generation = 0",
        "CREATE TABLE muniment.mine ()",
        "CREATE TABLE views_{}.mine ()",
        "ALTER TABLE views_{}.members DISABLE ROW LEVEL SECURITY",
    ],
)
def test_the_reading_role_changes_nothing_and_owns_nothing(
    shared_database: str, stored: StoredGeneration, statement: str
) -> None:
    with (
        psycopg.connect(make_conninfo(shared_database, options="-c role=muniment_reader")) as reader,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        reader.execute(statement.format(stored.number).encode())


def test_every_table_that_names_a_tenant_has_its_wall(shared_database: str, stored: StoredGeneration) -> None:
    with psycopg.connect(shared_database) as connection:
        walled = connection.execute(
            "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class "
            "WHERE relnamespace = %s::regnamespace AND relkind = 'r'",
            (f"views_{stored.number}",),
        ).fetchall()
    assert {table for table, has in walled if not has} == {"cursors", "shape"}
    assert len(walled) == 2 * len(EVERY_VIEW) + 4


async def test_reading_with_autocommit_is_refused(shared_database: str, stored: StoredGeneration) -> None:
    async with await psycopg.AsyncConnection.connect(shared_database, autocommit=True) as connection:
        with pytest.raises(RuntimeError, match="autocommit"):
            await Statements(stored.number).ask(connection, new_tenant(), None, ())


def test_a_plain_owner_projects_behind_the_same_walls(postgres_server: str, empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain_owner")
        admin.execute("CREATE ROLE plain_owner LOGIN CREATEROLE")
        admin.execute(
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO plain_owner', current_database()); END $$"
        )
        with stored_generation(empty_database):
            pass  # the reading role exists; a plain owner must be given it
        admin.execute("DROP SCHEMA muniment, views_1 CASCADE")
        admin.execute("GRANT muniment_reader TO plain_owner")
    tenant = new_tenant()
    plain = make_conninfo(empty_database, user="plain_owner")
    with stored_generation(plain) as stored:
        stored.apply(placed(tenant, members("grp_1", "usr_1")))

    async def count() -> int:
        async with aclosing(PostgresViews(plain)) as views:
            return await views.count(MEMBERS, tenant, at(1))

    assert asyncio.run(count()) == 1
    with psycopg.connect(empty_database, autocommit=True) as admin:
        admin.execute("DROP OWNED BY plain_owner CASCADE")
        admin.execute("DROP ROLE plain_owner")


def test_a_batch_is_refused_where_the_tables_were_written_by_another(empty_database: str) -> None:
    tenant = new_tenant()
    recorded = placed(tenant, [*members("grp_1", "usr_1"), UserDeleted(UserId("usr_1"), Handle("hdl_1"), None)])
    with stored_generation(empty_database) as one, stored_generation(empty_database) as other:
        one.apply(recorded[:1])
        with pytest.raises(Diverged):
            other.apply(recorded[:1])
        one.apply(recorded[1:])
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM views_1.members").fetchone() == (1,)


def test_a_batch_is_refused_where_another_generation_went_live(empty_database: str) -> None:
    with stored_generation(empty_database) as stored:
        with stored_generation(empty_database) as other:
            other.generations.start_over(other.number)
        with pytest.raises((Superseded, errors.UndefinedTable)):
            stored.apply(placed(new_tenant(), members("grp_1", "usr_1")))


async def test_a_reader_follows_to_the_generation_that_went_live(empty_database: str) -> None:
    tenant = new_tenant()
    async with aclosing(PostgresViews(empty_database)) as views:
        with stored_generation(empty_database) as stored:
            stored.apply(placed(tenant, members("grp_1", "usr_1")))
            assert await views.count(MEMBERS, tenant, at(1)) == 1
            stored.generations.start_over(stored.number)
        with stored_generation(empty_database) as stored:
            assert stored.number == 2
            with pytest.raises(ViewBehind):
                await views.count(MEMBERS, tenant, at(1))
            stored.apply(placed(tenant, members("grp_1", "usr_1", "usr_2")))
            assert await views.count(MEMBERS, tenant, at(2)) == 2


def test_tables_of_another_shape_are_replaced(empty_database: str) -> None:
    with stored_generation(empty_database) as stored:
        assert stored.generations.prepare() == 1
    with psycopg.connect(empty_database) as connection:
        connection.execute("UPDATE views_1.shape SET hash = 'another'")
    with stored_generation(empty_database) as stored:
        assert stored.number == 2
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regnamespace('views_1')").fetchone() == (None,)
