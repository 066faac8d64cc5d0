"""What would have been decided otherwise, had something not happened, or happened elsewhere, or been permitted."""

from collections.abc import AsyncIterator

import pytest

from domain import agents
from domain.access.owners import RoleAssigned, RoleWithdrawn
from domain.access.roles import RoleDefined
from domain.agents import ApiKeyIssued, ApiKeyRevoked
from domain.directory.life import UserDeactivated
from domain.event import Code
from domain.ids import CredentialId, TenantId
from domain.ledger import CommandRefused
from domain.tenants import TenantCreated
from replay.edits import Add, Edit, LeaveOut, Move, NoSuchEvent, Permit, Plan
from replay.parted import AccessFlip, CredentialFlip, Opens
from replay.what_if import Walked, what_if
from tests.domain import people
from tests.domain.people import BENDER, FRY, KEY, LEELA, OTHER_KEY, PILOT, PLANET_EXPRESS, ZAPP
from tests.replay.happened import BEGAN, OPERATOR_KEY, Happened

LATE = BEGAN * 2


@pytest.fixture
async def past() -> AsyncIterator[Happened]:
    past = Happened()
    await past.operator()
    await past.record(TenantCreated(PLANET_EXPRESS, people.sealed(PLANET_EXPRESS, "name")), may="tenants:create")
    yield past
    await past.stop()


def issued(key: CredentialId, *permissions: str, holder: str = PLANET_EXPRESS) -> ApiKeyIssued:
    wanted = tuple(Code(each) for each in permissions or ("users:manage",))
    return ApiKeyIssued(key, TenantId(holder), key.encode(), wanted)


def walked(past: Happened, *edits: Edit, closed: bool = True) -> Walked:
    head = past.history.head(PLANET_EXPRESS)[0]
    return what_if(past.history, PLANET_EXPRESS, Plan(past.history, PLANET_EXPRESS, edits, head), head, closed=closed)


def flips(found: Walked) -> list[tuple[int, bool, str]]:
    return [(each.entry.position, each.would, each.because) for each in found.flips]


async def test_without_edits_every_decision_is_as_it_was(past: Happened) -> None:
    await past.record(issued(KEY))
    await past.record(people.provisioned(FRY), key=KEY)
    found = walked(past)
    assert (found.events, found.flips, found.undecidable) == (0, (), 0)
    everything = walked(past, LeaveOut(frozenset({10_000})))
    assert everything.flips == ()


async def test_a_key_revoked_earlier_would_have_opened_nothing(past: Happened) -> None:
    await past.record(issued(KEY))
    before = await past.record(people.provisioned(FRY), key=KEY)
    later = [await past.record(people.provisioned(LEELA), key=KEY), await past.record(UserDeactivated(FRY), key=KEY)]
    await past.record(people.provisioned(BENDER))
    found = walked(past, Add(before, ApiKeyRevoked(KEY)))
    assert flips(found) == [(each, False, "the key is revoked") for each in later]
    assert (found.first, found.followed, found.decisions) == (before + 1, 2, 3)
    (flip,) = found.parted.credentials(LATE)
    assert flip == CredentialFlip(KEY, Opens("open", ("users:manage",)), Opens("the key is revoked", ()), before)


async def test_what_followed_from_it_would_not_have_been_either(past: Happened) -> None:
    await past.record(issued(KEY, "keys:manage", "users:manage"))
    start = past.history.head(PLANET_EXPRESS)[0]
    chain = [
        await past.record(issued(OTHER_KEY), key=KEY, may="keys:manage"),
        await past.record(people.provisioned(ZAPP), key=OTHER_KEY),
        await past.record(UserDeactivated(ZAPP)),
    ]
    await past.record(people.provisioned(FRY))
    found = walked(past, LeaveOut(credential=KEY, first=start))
    assert found.left_out == 1
    assert flips(found) == [
        (chain[1], False, "the credential does not exist"),
        (chain[2], False, f"{ZAPP} would not have been there"),
    ]
    assert all(each.left_out for each in found.flips)


async def test_without_closure_consequences_are_told_and_stay(past: Happened) -> None:
    await past.record(issued(KEY, "keys:manage"))
    other = await past.record(issued(OTHER_KEY), key=KEY, may="keys:manage")
    acted = await past.record(people.provisioned(ZAPP), key=OTHER_KEY)
    revoked = Add(other - 1, ApiKeyRevoked(KEY))
    alone = walked(past, revoked, closed=False)
    assert flips(alone) == [(other, False, "the key is revoked")]
    assert not alone.flips[0].left_out
    assert [each[0] for each in flips(walked(past, revoked))] == [other, acted]


async def test_a_role_that_was_never_given_allows_nothing(past: Happened) -> None:
    await past.record(
        people.provisioned(FRY), RoleDefined(PILOT, Code("pilot"), (Code("users:manage"),)), issued(KEY, holder=FRY)
    )
    given = await past.record(RoleAssigned(PILOT, FRY))
    acted = await past.record(people.provisioned(LEELA), key=KEY, by=FRY, policies=[PILOT])
    found = walked(past, LeaveOut(frozenset({given})))
    because = "no role of the key's holder grants users:manage; assign one that does"
    assert flips(found) == [(acted, False, because)]
    assert list(found.parted.access(LATE)) == [AccessFlip(FRY, ("users:manage",), (), given)]
    (key,) = found.parted.credentials(LATE)
    assert (key.credential, key.first, key.would) == (KEY, given, Opens("open", ()))


async def test_a_role_that_permits_less_flips_what_it_allowed(past: Happened) -> None:
    defined = await past.record(RoleDefined(PILOT, Code("pilot"), (Code("users:manage"), Code("flags:read"))))
    await past.record(people.provisioned(FRY), RoleAssigned(PILOT, FRY), issued(KEY, holder=FRY))
    first = await past.record(people.provisioned(LEELA), key=KEY, by=FRY, policies=[PILOT])
    second = await past.record(people.provisioned(BENDER), key=KEY, by=FRY, policies=[PILOT])
    always = walked(past, Permit(PILOT, ("flags:read",)))
    assert [each[0] for each in flips(always)] == [first, second]
    assert list(always.parted.access(LATE)) == [AccessFlip(FRY, ("users:manage",), (), defined)]
    assert [each[0] for each in flips(walked(past, Permit(PILOT, ("flags:read",), since=second)))] == [second]
    assert [each[0] for each in flips(walked(past, Permit(KEY, ("flags:read",))))] == [first, second]


async def test_what_was_refused_and_would_have_been_allowed_is_told(past: Happened) -> None:
    await past.record(people.provisioned(FRY), RoleDefined(PILOT, Code("pilot"), (Code("users:manage"),)))
    await past.record(issued(KEY, holder=FRY))
    refused = await past.record(
        CommandRefused(Code("users:manage"), Code("NotPermitted"), Code("no role")), key=KEY, by=FRY, policies=()
    )
    given = await past.record(RoleAssigned(PILOT, FRY))
    found = walked(past, Move(given, refused - 1))
    assert flips(found) == [(refused, True, "it would have been allowed")]
    assert not found.flips[0].left_out
    assert list(found.parted.access(LATE)) == []


async def test_what_can_no_longer_be_handed_on_flips(past: Happened) -> None:
    await past.record(
        people.provisioned(FRY),
        RoleDefined(PILOT, Code("pilot"), (Code("keys:manage"), Code("users:erase"))),
        RoleAssigned(PILOT, FRY),
        issued(KEY, "keys:manage", "users:erase", holder=FRY),
    )
    handed = await past.record(issued(OTHER_KEY, "users:erase"), key=KEY, by=FRY, may="keys:manage", policies=[PILOT])
    found = walked(past, Permit(PILOT, ("keys:manage",)))
    assert flips(found) == [(handed, False, "its giver may not do all that was handed on")]


async def test_operators_are_judged_by_the_deployments_history(past: Happened) -> None:
    given = await past.record(people.provisioned(FRY))
    found = walked(past, LeaveOut(credential=OPERATOR_KEY, first=given, last=given))
    assert (found.left_out, found.flips, found.undecidable) == (1, (), 0)
    unknown = await past.record(people.provisioned(LEELA), key=OPERATOR_KEY + "s")
    assert walked(past, LeaveOut(frozenset({given}))).undecidable == 1
    assert unknown


async def test_an_edit_that_changes_nothing_flips_nothing(past: Happened) -> None:
    await past.record(people.provisioned(FRY), RoleDefined(PILOT, Code("pilot"), (Code("users:manage"),)))
    await past.record(RoleAssigned(PILOT, FRY), issued(KEY, holder=FRY))
    withdrawn = await past.record(RoleWithdrawn(PILOT, LEELA))
    await past.record(people.provisioned(ZAPP), key=KEY, by=FRY, policies=[PILOT])
    found = walked(past, LeaveOut(frozenset({withdrawn})))
    assert (found.flips, list(found.parted.access(LATE)), list(found.parted.credentials(LATE))) == ((), [], [])


@pytest.mark.parametrize(
    "edit",
    [Move(1_000, 1), Add(1_000, agents.ApiKeyRevoked(KEY)), Permit("rol_nobody", ())],
)
async def test_an_edit_of_what_never_was_is_refused(past: Happened, edit: Edit) -> None:
    with pytest.raises(NoSuchEvent):
        walked(past, edit)
