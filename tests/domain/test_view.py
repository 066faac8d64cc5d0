"""Rows folded in memory: since when they are so, how they are found, and how many end at once."""

from collections.abc import Sequence

import msgspec

from domain.directory.groups import MemberAdded, MemberRemoved
from domain.directory.life import GroupDeleted
from domain.event import Event, Instant, Recorded
from domain.view import Close, Rows, View
from tests.domain.people import BENDER, CREW, FRY, LEELA, OFFICE, PLANET_EXPRESS, provisioned


class Badge(msgspec.Struct, frozen=True):
    group: str
    member: str


class Badges(View[Badge]):
    name = "badges"
    row = Badge
    follows = (MemberAdded, MemberRemoved, GroupDeleted)
    indexes = ("group", "member")

    def concerns(self, event: Event) -> Sequence[str | Close]:
        match event:
            case MemberAdded(group, member) | MemberRemoved(group, member):
                return (f"{group}/{member}",)
            case GroupDeleted(group):
                return (Close("group", group),)
        return ()

    def evolve(self, row: Badge | None, recorded: Recorded) -> Badge | None:
        match recorded.event:
            case MemberAdded(group, member):
                return Badge(group, member)
        return None


BADGES = Badges()


def fold(*events: Event) -> Rows:
    rows = Rows([BADGES])
    for position, event in enumerate(events, 1):
        rows.evolve(Recorded(PLANET_EXPRESS, position, Instant(position), event))
    return rows


ADDED = MemberAdded(CREW, FRY), MemberAdded(OFFICE, FRY), MemberAdded(CREW, LEELA)
KEYS = [f"{CREW}/{FRY}", f"{OFFICE}/{FRY}", f"{CREW}/{LEELA}"]


def test_a_row_is_so_since_the_event_that_made_it_so() -> None:
    assert fold(*ADDED).since["badges"] == dict(zip(KEYS, (1, 2, 3), strict=True))


def test_an_event_that_changes_nothing_leaves_since_as_it_was() -> None:
    rows = fold(*ADDED, MemberAdded(CREW, FRY))
    assert rows.since["badges"][KEYS[0]] == 1
    assert rows.position == 4


def test_a_row_that_comes_back_is_new() -> None:
    rows = fold(*ADDED, MemberRemoved(CREW, FRY), MemberAdded(CREW, FRY))
    assert rows.since["badges"][KEYS[0]] == 5


def test_a_row_that_ends_is_nowhere_any_more() -> None:
    rows = fold(*ADDED, MemberRemoved(CREW, FRY), MemberRemoved(CREW, BENDER))
    assert rows.rows["badges"].keys() == rows.since["badges"].keys() == set(KEYS[1:])
    assert rows.find(BADGES, "group", CREW) == [(KEYS[2], Badge(CREW, LEELA))]
    assert rows.find(BADGES, "member", FRY) == [(KEYS[1], Badge(OFFICE, FRY))]


def test_many_rows_end_at_once_and_the_others_stay() -> None:
    rows = fold(*ADDED, GroupDeleted(CREW))
    assert rows.rows["badges"] == {KEYS[1]: Badge(OFFICE, FRY)}
    assert rows.since["badges"] == {KEYS[1]: 2}
    assert rows.find(BADGES, "group", CREW) == rows.find(BADGES, "member", LEELA) == []
    assert fold(GroupDeleted(CREW)).rows["badges"] == {}


def test_rows_are_found_in_the_order_of_their_keys() -> None:
    backwards = fold(*reversed(ADDED))
    assert [key for key, _ in backwards.find(BADGES, "group", CREW)] == sorted([KEYS[0], KEYS[2]])


def test_other_events_pass_and_only_move_the_position() -> None:
    rows = fold(*ADDED, provisioned(FRY))
    assert rows.position == 4
    assert len(rows.rows["badges"]) == 3
    assert set(rows.follows) == set(BADGES.follows)
