"""The hash of a view: the same rows have the same hash however they came about."""

from hypothesis import given
from hypothesis import strategies as st

from domain.event import Instant
from domain.ids import GroupId, UserId
from domain.view import Versioned
from domain.view_hash import digest, hash_of, row_hash, total_of
from projections.directory import MemberRow

ROWS = st.builds(
    Versioned,
    key=st.text(max_size=3),
    since=st.integers(1, 9),
    row=st.builds(
        MemberRow, group=st.just(GroupId("grp_1")), member=st.just(UserId("usr_1")), since=st.just(Instant(1))
    ),
)


@given(rows=st.lists(ROWS, max_size=6), data=st.data())
def test_the_order_of_rows_does_not_matter(rows: list[Versioned[MemberRow]], data: st.DataObject) -> None:
    assert hash_of(data.draw(st.permutations(rows))) == hash_of(rows)


@given(kept=st.lists(ROWS, max_size=4), ended=st.lists(ROWS, max_size=4))
def test_rows_that_end_leave_no_trace(kept: list[Versioned[MemberRow]], ended: list[Versioned[MemberRow]]) -> None:
    total = total_of(hash_of([*kept, *ended])) - sum(row_hash(each.key, each.since, each.row) for each in ended)
    assert digest(total) == hash_of(kept)


def test_every_part_of_a_row_counts() -> None:
    row = MemberRow(GroupId("grp_1"), UserId("usr_1"), Instant(1))
    other = MemberRow(GroupId("grp_1"), UserId("usr_1"), Instant(2))
    versions = [Versioned("a", 1, row), Versioned("b", 1, row), Versioned("a", 2, row), Versioned("a", 1, other)]
    assert len({hash_of([each]) for each in versions} | {hash_of([]), hash_of(versions[:1] * 2)}) == 6


def test_the_hash_of_a_row_never_changes() -> None:
    """It is kept in databases: whoever changes it must have all views built again."""
    row = MemberRow(GroupId("grp_1"), UserId("usr_1"), Instant(1))
    golden = "c7d09519252317ce89389ad0e32f381442bb20c37b9bead8c96353bed2020d00"
    assert hash_of([Versioned("grp_1/usr_1", 7, row)]).hex() == golden
