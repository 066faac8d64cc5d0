"""What follows from a stolen key, a person or an address: all of it, and nothing else."""

from collections.abc import AsyncIterator

import pytest

from domain.access.owners import RoleAssigned
from domain.access.roles import RoleChanged, RoleDefined
from domain.agents import ApiKeyIssued, ApiKeyRotated
from domain.directory.groups import MemberAdded
from domain.directory.life import UserDeactivated
from domain.event import Code, Instant
from domain.flags import FlagDefaultChanged
from domain.ids import CredentialId, TenantId
from replay import radius as walking
from replay.graph import dot_of
from replay.radius import blast_radius
from replay.reached import Radius
from tests.domain import people
from tests.domain.people import BENDER, CREW, DARK, FRY, KEY, LEELA, OKTA, OTHER_KEY, PILOT, PLANET_EXPRESS, TOKEN, ZAPP
from tests.replay.happened import Happened

THIRD = CredentialId("key_three")


@pytest.fixture
async def past() -> AsyncIterator[Happened]:
    past = Happened()
    await past.operator()
    yield past
    await past.stop()


def issued(key: CredentialId, holder: str = PLANET_EXPRESS, *permissions: str) -> ApiKeyIssued:
    return ApiKeyIssued(
        key, TenantId(holder), key.encode(), tuple(Code(each) for each in permissions or ("users:manage",))
    )


def reached(past: Happened, of: str, after: int = 0, most: int = 1_000) -> Radius:
    head = past.history.head(PLANET_EXPRESS)[0]
    return blast_radius(past.history, PLANET_EXPRESS, of, after, head, most)


def positions(found: Radius) -> list[int]:
    return [each.entry.position for each in found.events]


async def test_everything_done_with_a_key_is_reached_and_nothing_else(past: Happened) -> None:
    await past.record(issued(KEY), issued(OTHER_KEY))
    done = [await past.record(people.provisioned(FRY), key=KEY)]
    await past.record(people.provisioned(LEELA), key=OTHER_KEY)
    done.append(await past.record(FlagDefaultChanged(DARK, Code("on")), key=KEY))
    assert positions(reached(past, KEY)) == done


async def test_a_key_that_the_key_issued_is_followed_and_one_that_this_issued_too(past: Happened) -> None:
    await past.record(issued(KEY))
    done = [
        await past.record(issued(OTHER_KEY), key=KEY),
        await past.record(issued(THIRD), key=OTHER_KEY),
        await past.record(people.provisioned(FRY), key=THIRD),
    ]
    found = reached(past, KEY)
    assert positions(found) == done
    assert [each.through for each in found.events] == [KEY, OTHER_KEY, THIRD]
    edges = {(each.source, each.target, each.what): each.positions for each in found.edges}
    assert edges == {
        (KEY, OTHER_KEY, "ApiKeyIssued"): (done[0],),
        (OTHER_KEY, THIRD, "ApiKeyIssued"): (done[1],),
        (THIRD, FRY, "UserProvisioned"): (done[2],),
    }
    assert {each.id: (each.kind, each.since) for each in found.nodes} == {
        KEY: ("credential", 0),
        OTHER_KEY: ("credential", done[0]),
        THIRD: ("credential", done[1]),
        FRY: ("user", done[2]),
    }


async def test_a_key_is_followed_from_where_the_thief_had_it(past: Happened) -> None:
    await past.record(issued(KEY), issued(OTHER_KEY))
    await past.record(people.provisioned(LEELA), key=OTHER_KEY)
    rotated = await past.record(ApiKeyRotated(OTHER_KEY, b"new", b"old", Instant(1)), key=KEY)
    done = await past.record(people.provisioned(FRY), key=OTHER_KEY)
    assert positions(reached(past, KEY)) == [rotated, done]


async def test_what_a_user_does_who_was_made_by_it_is_reached(past: Happened) -> None:
    await past.record(issued(KEY))
    made = await past.record(people.provisioned(ZAPP), key=KEY)
    given = await past.record(issued(OTHER_KEY, ZAPP))
    acted = await past.record(people.provisioned(FRY), key=OTHER_KEY, by=ZAPP, policies=["rol_owner"])
    assert positions(reached(past, KEY)) == [made, acted]
    assert given not in positions(reached(past, KEY))


async def test_a_role_that_it_gave_is_followed_where_it_counted(past: Happened) -> None:
    await past.record(issued(KEY), issued(OTHER_KEY, FRY), people.provisioned(FRY))
    await past.record(UserDeactivated(LEELA), key=OTHER_KEY, by=FRY, policies=["rol_clerk"])
    gave = await past.record(RoleAssigned(PILOT, FRY), key=KEY)
    counted = await past.record(UserDeactivated(ZAPP), key=OTHER_KEY, by=FRY, policies=[PILOT])
    await past.record(UserDeactivated(BENDER), key=OTHER_KEY, by=FRY, policies=["rol_clerk"])
    assert positions(reached(past, KEY)) == [gave, counted]


async def test_a_role_given_to_a_group_and_a_membership_are_followed(past: Happened) -> None:
    await past.record(issued(KEY), issued(OTHER_KEY, FRY), people.provisioned(FRY), MemberAdded(CREW, FRY))
    gave = await past.record(RoleAssigned(PILOT, CREW), key=KEY)
    joined = await past.record(MemberAdded(CREW, BENDER), key=KEY)
    by_fry = await past.record(UserDeactivated(ZAPP), key=OTHER_KEY, by=FRY, policies=[PILOT])
    by_bender = await past.record(UserDeactivated(LEELA), key=THIRD, by=BENDER, policies=[PILOT])
    assert positions(reached(past, KEY)) == [gave, joined, by_fry, by_bender]


async def test_a_permission_that_it_added_to_a_role_is_followed_where_it_counted(past: Happened) -> None:
    await past.record(issued(KEY), RoleDefined(PILOT, Code("pilot"), (Code("users:read"),)), RoleAssigned(PILOT, FRY))
    await past.record(UserDeactivated(LEELA), key=OTHER_KEY, by=FRY, may="users:read", policies=[PILOT])
    widened = await past.record(RoleChanged(PILOT, (Code("users:read"), Code("users:manage"))), key=KEY)
    await past.record(UserDeactivated(LEELA), key=OTHER_KEY, by=FRY, may="users:read", policies=[PILOT])
    counted = await past.record(UserDeactivated(ZAPP), key=OTHER_KEY, by=FRY, policies=[PILOT])
    assert positions(reached(past, KEY)) == [widened, counted]


async def test_a_directory_that_it_made_is_followed(past: Happened) -> None:
    await past.record(issued(KEY))
    made = await past.record(people.feed(OKTA), people.token(TOKEN, OKTA), key=KEY)
    acted = await past.record(people.provisioned(FRY), key=TOKEN, by=OKTA)
    assert positions(reached(past, KEY)) == [made - 1, made, acted]


async def test_what_was_done_on_behalf_and_what_was_caused_is_reached(past: Happened) -> None:
    behalf = await past.record(UserDeactivated(LEELA), key=KEY, behalf=(f"user:{FRY}",))
    await past.record(UserDeactivated(BENDER), key=None, by="expiry", caused_by="evt_other")
    caused = await past.record(UserDeactivated(ZAPP), key=None, by="expiry", caused_by=past.event_id(behalf))
    found = reached(past, FRY)
    assert positions(found) == [behalf, caused]
    assert found.events[1].because == "it was caused by what was reached"


async def test_what_came_from_an_address_is_followed_by_the_credentials_it_issued(past: Happened) -> None:
    made = await past.record(issued(OTHER_KEY), key=KEY, address="00ff" * 6)
    await past.record(people.provisioned(LEELA), key=KEY)
    acted = await past.record(people.provisioned(FRY), key=OTHER_KEY)
    found = reached(past, "address:" + "00ff" * 6)
    assert positions(found) == [made, acted]
    assert ("address:" + "00ff" * 6, KEY, "acted by") in {(each.source, each.target, each.what) for each in found.edges}


async def test_a_range_holds_what_lies_in_it(past: Happened) -> None:
    before = await past.record(issued(OTHER_KEY), key=KEY)
    after = await past.record(people.provisioned(FRY), key=KEY)
    assert positions(reached(past, KEY, after=before)) == [after]
    within = blast_radius(past.history, PLANET_EXPRESS, KEY, 0, before)
    assert positions(within) == [before]


async def test_what_is_cut_is_said(past: Happened, monkeypatch: pytest.MonkeyPatch) -> None:
    done = [await past.record(people.provisioned(FRY), key=KEY) for _ in range(4)]
    found = reached(past, KEY, most=3)
    assert positions(found) == done[:3]
    assert [(each.position, each.because) for each in found.cuts] == [(done[2], "only the first 3 events are told")]
    assert reached(past, KEY, most=4).cuts == ()
    monkeypatch.setattr(walking, "MOST_SCANNED", 2)
    assert "causes were looked for" in reached(past, KEY).cuts[0].because


async def test_the_graph_is_drawn_with_everything_quoted(past: Happened) -> None:
    await past.record(issued(OTHER_KEY), key=KEY)
    await past.record(people.provisioned(FRY), key=OTHER_KEY)
    drawn = dot_of(reached(past, KEY))
    assert drawn.startswith("digraph radius {")
    assert f'"{KEY}" -> "{OTHER_KEY}" [label="ApiKeyIssued at 1"];' in drawn
    hostile = dot_of(Radius('key_"]; evil\n', (), (), (), ()))
    assert '\\"]; evil?' in hostile
