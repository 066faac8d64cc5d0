"""What a comparison of two moments says, and that it says all of it."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.access.owners import RoleAssigned, RoleWithdrawn
from domain.access.roles import RoleDefined, RoleRetired
from domain.directory.feeds import DirectoryRemoved
from domain.directory.groups import GroupRenamed, MemberAdded, MemberRemoved
from domain.directory.life import GroupDeleted, UserDeactivated, UserReactivated
from domain.directory.users import UserProfileChanged, UserRenamed
from domain.event import Code, Event
from domain.ids import TenantId
from domain.view import Moment
from projections.every import EVERY_VIEW
from replay import diff as comparison
from replay.diff import Change, TooMuchBetween, diff
from tests.domain import people
from tests.domain.people import CREW, FRY, HUBERT, LEELA, OKTA, PILOT, PLANET_EXPRESS, TOKEN
from tests.replay.past import Past, at


@pytest.fixture
async def past() -> AsyncIterator[Past]:
    past = Past()
    yield past
    await past.stop()


async def changes(past: Past, start: Moment, end: Moment, limit: int = 100) -> list[Change]:
    """All pages."""
    found: list[Change] = []
    place = None
    while True:
        page = await diff(past.history, past, EVERY_VIEW, PLANET_EXPRESS, start, end, after=place, limit=limit)
        found += page.items
        place = page.next
        if place is None:
            return found


def told(found: list[Change]) -> list[tuple[str, str]]:
    return [(each.view, each.key) for each in found]


async def test_a_changed_row_is_told_as_it_was_and_as_it_is(past: Past) -> None:
    start = await past.record(people.provisioned(FRY))
    end = await past.record(UserDeactivated(FRY))
    (change,) = await changes(past, start, end)
    assert (change.view, change.key) == ("users", FRY)
    assert change.before is not None
    assert change.after is not None
    assert change.before.row.active
    assert not change.after.row.active
    assert (change.before.since, change.after.since) == (1, 2)


async def test_who_changed_it_is_told(past: Past) -> None:
    start = await past.record(people.provisioned(FRY))
    await past.record(UserDeactivated(FRY), by="usr_leela")
    end = await past.record(UserProfileChanged(FRY, None, None, None, None, None), by="usr_bender")
    (change,) = await changes(past, start, end)
    assert [(each.position, each.event.type_name, each.meta.actor_id) for each in change.causes] == [
        (2, "UserDeactivated", "usr_leela"),
        (3, "UserProfileChanged", "usr_bender"),
    ]
    assert change.steps == 2


async def test_sealed_values_stay_sealed(past: Past) -> None:
    start = await past.record(people.provisioned(FRY))
    end = await past.record(
        UserRenamed(FRY, people.sealed(FRY, "orange joe"), people.handle("orange joe"), people.handle("fry"))
    )
    (change,) = await changes(past, start, end)
    assert change.before is not None
    assert change.after is not None
    assert change.before.row.user_name == people.sealed(FRY, "fry")
    assert change.after.row.user_name == people.sealed(FRY, "orange joe")


async def test_what_came_was_not_there_and_what_went_is_no_more(past: Past) -> None:
    start = await past.record(people.provisioned(FRY))
    end = await past.record(people.deleted(FRY), people.provisioned(LEELA))
    gone, come = await changes(past, start, end)
    assert (gone.key, gone.after) == (FRY, None)
    assert (come.key, come.before) == (LEELA, None)


async def test_what_came_and_went_in_between_is_no_difference(past: Past) -> None:
    start = await past.record(people.provisioned(FRY))
    end = await past.record(people.provisioned(LEELA), people.deleted(LEELA))
    assert await changes(past, start, end) == []


async def test_a_value_that_came_back_is_no_difference(past: Past) -> None:
    start = await past.record(people.created(CREW), people.provisioned(FRY))
    end = await past.record(RoleAssigned(PILOT, FRY), RoleWithdrawn(PILOT, FRY))
    assert await changes(past, start, end) == []


async def test_the_end_of_a_group_is_told_of_every_membership(past: Past) -> None:
    start = await past.record(people.created(CREW), MemberAdded(CREW, FRY), MemberAdded(CREW, LEELA))
    end = await past.record(GroupDeleted(CREW), by="usr_hermes")
    found = await changes(past, start, end)
    assert told(found) == [("groups", CREW), ("members", f"{CREW}/{FRY}"), ("members", f"{CREW}/{LEELA}")]
    assert {each.causes[0].meta.actor_id for each in found} == {"usr_hermes"}


async def test_a_membership_that_began_and_ended_with_its_group_is_no_difference(past: Past) -> None:
    start = await past.record(people.created(CREW))
    end = await past.record(MemberAdded(CREW, FRY), GroupDeleted(CREW))
    assert told(await changes(past, start, end)) == [("groups", CREW)]


async def test_an_ending_before_a_row_began_did_not_end_it(past: Past) -> None:
    start = await past.record(RoleDefined(PILOT, Code("pilot"), ()), RoleAssigned(PILOT, FRY))
    end = await past.record(
        RoleRetired(PILOT, Code("pilot")),
        RoleDefined(PILOT, Code("pilot"), ()),
        RoleAssigned(PILOT, FRY),
        by="usr_hermes",
    )
    assigned = next(each for each in await changes(past, start, end) if each.view == "assignments")
    assert assigned.after is not None
    assert [each.event.type_name for each in assigned.causes] == ["RoleRetired", "RoleAssigned"]


async def test_from_the_very_beginning_everything_is_new(past: Past) -> None:
    end = await past.record(people.feed(OKTA), people.token(TOKEN, OKTA), people.provisioned(FRY))
    found = await changes(past, at(0), end)
    assert told(found) == [("users", FRY), ("directories", OKTA), ("directory_tokens", TOKEN)]
    assert all(each.before is None for each in found)


async def test_the_same_moment_has_no_difference(past: Past) -> None:
    now = await past.record(people.provisioned(FRY))
    assert await changes(past, now, now) == []


async def test_another_tenants_events_are_not_told(past: Past) -> None:
    start = await past.record(people.provisioned(FRY))
    await past.record(people.provisioned(LEELA), tenant=TenantId("ten_momcorp"))
    end = await past.record(people.provisioned(HUBERT))
    assert told(await changes(past, start, end)) == [("users", HUBERT)]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_tell_everything_once_and_in_order(past: Past, limit: int) -> None:
    start = await past.record(people.created(CREW), *(MemberAdded(CREW, who) for who in (FRY, LEELA, HUBERT)))
    end = await past.record(people.provisioned(FRY), people.provisioned(LEELA), GroupDeleted(CREW))
    assert await changes(past, start, end, limit) == await changes(past, start, end)
    assert len(await changes(past, start, end)) == 6


async def test_a_page_reads_no_row_of_the_pages_before_it(past: Past) -> None:
    start = await past.record(people.provisioned(FRY), people.provisioned(LEELA))
    end = await past.record(UserDeactivated(FRY), UserDeactivated(LEELA))
    first = await diff(past.history, past, EVERY_VIEW, PLANET_EXPRESS, start, end, limit=1)
    past.asked.clear()
    second = await diff(past.history, past, EVERY_VIEW, PLANET_EXPRESS, start, end, after=first.next, limit=1)
    assert past.asked == [LEELA]
    assert second.next is None


async def test_the_newest_of_many_causes_are_named_and_all_are_counted(past: Past) -> None:
    start = await past.record(people.provisioned(FRY))
    steps = comparison.MOST_CAUSES + 11
    end = start
    for step in range(steps):
        end = await past.record(UserDeactivated(FRY) if step % 2 == 0 else UserReactivated(FRY))
    (change,) = await changes(past, start, end)
    assert change.steps == steps
    assert [each.position for each in change.causes] == list(range(end.position - 99, end.position + 1))


async def test_too_much_between_is_refused_with_what_to_do(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MOST_EVENTS", 2)
    start = await past.record(people.provisioned(FRY))
    await past.record(UserDeactivated(FRY), people.provisioned(LEELA), people.provisioned(HUBERT))
    assert len(await changes(past, start, at(3))) == 2
    with pytest.raises(TooMuchBetween, match="shorter"):
        await changes(past, start, at(4))


EVENTS: tuple[Event, ...] = (
    people.provisioned(FRY),
    people.provisioned(LEELA),
    people.deleted(FRY),
    UserDeactivated(FRY),
    UserReactivated(FRY),
    people.created(CREW),
    GroupRenamed(CREW, people.sealed(CREW, "delivery")),
    GroupDeleted(CREW),
    MemberAdded(CREW, FRY),
    MemberAdded(CREW, LEELA),
    MemberRemoved(CREW, LEELA),
    RoleDefined(PILOT, Code("pilot"), ()),
    RoleAssigned(PILOT, FRY),
    RoleRetired(PILOT, Code("pilot")),
    people.feed(OKTA),
    people.token(TOKEN, OKTA),
    DirectoryRemoved(OKTA),
)


@settings(max_examples=60, deadline=None)
@given(history=st.lists(st.sampled_from(EVENTS), min_size=1, max_size=30), places=st.data())
async def test_the_differences_turn_the_earlier_views_into_the_later_ones(
    history: list[Event], places: st.DataObject
) -> None:
    past = Past()
    try:
        for event in history:
            await past.record(event)
        first = places.draw(st.integers(0, len(history)))
        last = places.draw(st.integers(first, len(history)))
        found = await changes(past, at(first), at(last))
        before, after = past.rows(PLANET_EXPRESS, first), past.rows(PLANET_EXPRESS, last)
    finally:
        await past.stop()
    for change in found:
        rows = before.rows[change.view]
        assert rows.get(change.key) == (change.before.row if change.before else None)
        assert change.causes[-1].position <= last
        assert change.causes[0].position > first
        if change.after is None:
            del rows[change.key]
        else:
            rows[change.key] = change.after.row
    assert before.rows == after.rows
