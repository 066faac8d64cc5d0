"""Rules that only the whole ledger can keep: a tenant's life, whose tags are whose, and invariants under a crowd."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from domain.access.owners import OWNER
from domain.access.roles import AssignRole, DefineRole, WithdrawRole
from domain.agents import ApiKeyRevoked, IssueApiKey, RevokeApiKey, RotateApiKey
from domain.capabilities import DECIDERS
from domain.command import Command, Missing, Refused, Taken
from domain.directory.groups import AddMember, CreateGroup
from domain.directory.life import SubjectErased, UserDeleted
from domain.directory.users import DeactivateUser, DeleteUser, EraseUser, ProvisionUser, RenameUser
from domain.event import Code, Instant
from domain.ids import DEPLOYMENT, TenantId, UserId
from domain.ledger import CommandHadNoEffect, CommandRefused, Idempotency
from domain.tenants import (
    ChangeTenantSetting,
    CreateTenant,
    DeleteTenant,
    RenameTenant,
    ReserveTenantName,
    ResumeTenant,
    SuspendTenant,
    TenantCreated,
)
from tests.domain.people import (
    CREW,
    FRY,
    HUBERT,
    KEY,
    LEELA,
    OTHER_KEY,
    PILOT,
    PLANET_EXPRESS,
    handle,
    named,
    sealed,
)
from tests.domain.world import START, World, running

CREATE = CreateTenant(PLANET_EXPRESS, sealed(PLANET_EXPRESS, "Planet Express"))


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    """With the tenant in it."""
    async with running() as world:
        await world.ask(CREATE)
        yield world


def provision(user: UserId, name: str = "") -> ProvisionUser:
    return ProvisionUser(user, named(user, name or user[4:]))


async def refused(world: World, command: Command, reason: str, kind: type[Refused] = Refused) -> None:
    with pytest.raises(Refused, match=reason) as caught:
        await world.ask(command)
    assert caught.type is kind


OF_THE_HISTORY = {
    *("PlaceLegalHold", "LiftLegalHold", "TrimHistory"),
    *("RecordAccess", "SummariseAccesses", "RequestExport", "FinishExport", "FailExport", "ExpireExport"),
}
"""A history outlives its tenant, and so do holds of it, and what is recorded of its readers."""


async def test_a_suspended_tenant_accepts_being_resumed_deleted_or_a_person_erased_and_no_other_wish(
    world: World,
) -> None:
    await world.ask(provision(FRY))
    await world.ask(SuspendTenant(PLANET_EXPRESS))
    accepted = {command.__name__ for command in DECIDERS if command.while_suspended}
    of_people = {"SuspendTenant", "ResumeTenant", "DeleteTenant", "EraseUser"}
    of_the_node = {
        *("ExpireAssignment", "AdvanceWebhook", "GiveUpDelivery", "SettleDeadLetter", "DisableWebhook"),
        *("AdvanceSink", "GiveUpOnEvent", "SettleSinkLetter", "DisableSink"),
    }
    assert accepted == of_people | of_the_node | OF_THE_HISTORY
    for command in (
        provision(LEELA),
        DeleteUser(FRY),
        RenameTenant(PLANET_EXPRESS, sealed(PLANET_EXPRESS, "Other")),
        ChangeTenantSetting(PLANET_EXPRESS, Code("theme"), None),
        IssueApiKey(KEY, PLANET_EXPRESS, b"hash", ()),
    ):
        await refused(world, command, "the tenant is suspended; resume it first")
    assert (await world.ask(EraseUser(FRY))).events[-1] == SubjectErased(FRY, (handle("fry"),))
    await world.ask(ResumeTenant(PLANET_EXPRESS))
    await world.ask(provision(LEELA))
    await world.ask(SuspendTenant(PLANET_EXPRESS))
    await world.ask(DeleteTenant(PLANET_EXPRESS))


async def test_a_deleted_tenant_accepts_nothing(world: World) -> None:
    await world.ask(DeleteTenant(PLANET_EXPRESS))
    for command in (provision(FRY), ResumeTenant(PLANET_EXPRESS), DeleteTenant(PLANET_EXPRESS)):
        await refused(world, command, "the tenant does not exist", Missing)
    await refused(world, CREATE, "exists already", Taken)


async def test_a_deleted_tenant_accepts_that_its_people_are_erased_and_no_other_wish(world: World) -> None:
    accepted = {command.__name__ for command in DECIDERS if command.while_deleted}
    assert accepted == {"EraseUser"} | OF_THE_HISTORY
    await world.ask(provision(FRY))
    await world.ask(provision(LEELA))
    await world.ask(DeleteUser(FRY))
    await world.ask(DeleteTenant(PLANET_EXPRESS))
    await refused(world, DeleteUser(LEELA), "the tenant does not exist", Missing)
    assert (await world.ask(EraseUser(FRY))).events == (SubjectErased(FRY, (handle("fry"),)),)
    erased = UserDeleted(LEELA, handle("leela"), None), SubjectErased(LEELA, (handle("leela"),))
    assert (await world.ask(EraseUser(LEELA))).events == erased
    await refused(world, EraseUser(LEELA), "erased already", Missing)


async def test_the_last_owner_of_a_tenant_is_erased_once_it_is_deleted(world: World) -> None:
    await world.ask(provision(HUBERT))
    await world.ask(AssignRole(OWNER, HUBERT))
    await refused(world, EraseUser(HUBERT), "last active owner")
    await world.ask(DeleteTenant(PLANET_EXPRESS))
    await world.ask(EraseUser(HUBERT))
    assert world.events()[-1] == SubjectErased(HUBERT, (handle("hubert"),))


async def test_nobody_is_erased_in_a_tenant_that_was_never_created(world: World) -> None:
    nowhere = TenantId("ten_nowhere")
    with pytest.raises(Missing, match="the tenant does not exist"):
        await world.ask(EraseUser(FRY), nowhere)
    assert world.events(nowhere) == []


async def test_refusals_are_recorded_also_while_suspended(world: World) -> None:
    await world.ask(SuspendTenant(PLANET_EXPRESS))
    await refused(world, provision(FRY), "suspended")
    assert world.events()[-1] == CommandRefused(
        Code("ProvisionUser"), Code("Refused"), Code("the tenant is suspended; resume it first")
    )


async def test_a_refusal_is_about_the_attempt_and_tagged_with_no_subject(world: World) -> None:
    await world.ask(provision(FRY))
    await refused(world, provision(LEELA, "fry"), "another user has this user name", Taken)
    kinds = {tag.partition(":")[0] for tag in world.entries()[-1].meta.tags}
    assert kinds == {"actor", "command", "correlation", "attempt"}


async def test_asking_a_tenant_that_was_never_created_begins_no_history(world: World) -> None:
    nowhere = TenantId("ten_nowhere")
    with pytest.raises(Missing, match="the tenant does not exist"):
        await world.ask(provision(FRY), nowhere)
    assert world.events(nowhere) == []
    created = CreateTenant(nowhere, sealed(nowhere, "Nowhere"))
    assert (await world.ask(created, nowhere)).position == 1


async def test_the_deployment_is_always_there(world: World) -> None:
    name = sealed(DEPLOYMENT, "Planet Express")
    reserve = ReserveTenantName(PLANET_EXPRESS, name, handle("pe"), Instant(START + 1))
    assert (await world.ask(reserve, DEPLOYMENT)).position == 1


async def test_one_tenants_history_says_nothing_of_anothers(world: World) -> None:
    other = TenantId("ten_momcorp")
    await world.ask(CreateTenant(other, sealed(other, "Momcorp")), other)
    await world.ask(provision(FRY))
    await world.ask(provision(FRY), other)
    await world.ask(DeleteUser(FRY), other)
    await refused(world, provision(FRY), "exists already", Taken)


async def test_what_a_key_did_to_another_is_not_taken_for_its_own_end(world: World) -> None:
    """A key's events are those about it, not those made with it."""
    await world.ask(IssueApiKey(KEY, PLANET_EXPRESS, b"one", ()))
    await world.ask(IssueApiKey(OTHER_KEY, PLANET_EXPRESS, b"two", ()), credential=KEY)
    await world.ask(RotateApiKey(OTHER_KEY, b"three", Instant(START)), credential=KEY)
    await world.ask(RevokeApiKey(OTHER_KEY), credential=KEY)
    rotated = await world.ask(RotateApiKey(KEY, b"four", Instant(START)), credential=KEY)
    assert [getattr(event, "former_hash", None) for event in rotated.events] == [b"one"]
    assert (await world.ask(RevokeApiKey(KEY), credential=KEY)).events == (ApiKeyRevoked(KEY),)


async def test_what_was_done_with_a_credential_can_be_found_by_it(world: World) -> None:
    await world.ask(provision(FRY), credential=KEY)
    tags = world.entries()[-1].meta.tags
    assert f"used:{KEY}" in tags
    assert f"credential:{KEY}" not in tags


async def test_a_keyed_command_without_effect_is_remembered(world: World) -> None:
    await world.ask(provision(FRY))
    await world.ask(DeactivateUser(FRY))
    keyed = Idempotency(b"key", b"body")
    assert (await world.ask(DeactivateUser(FRY), idempotency=keyed)).events == ()
    assert world.events()[-1] == CommandHadNoEffect(Code("DeactivateUser"))


async def both(world: World, *commands: Command) -> list[bool]:
    """Which of the commands succeeded, asked at once."""
    outcomes = await asyncio.gather(*(world.ask(command) for command in commands), return_exceptions=True)
    unexpected = [each for each in outcomes if isinstance(each, BaseException) and not isinstance(each, Refused)]
    assert unexpected == []
    return [not isinstance(each, BaseException) for each in outcomes]


async def test_two_owners_can_not_leave_at_once(world: World) -> None:
    for user in (HUBERT, LEELA):
        await world.ask(provision(user))
        await world.ask(AssignRole(OWNER, user))
    ways = DeleteUser(HUBERT), WithdrawRole(OWNER, LEELA), DeactivateUser(HUBERT), EraseUser(LEELA)
    assert await both(world, *ways) == [True, False, False, False]


async def test_of_a_crowd_that_wants_one_name_one_gets_it(world: World) -> None:
    users = [UserId(f"usr_{number}") for number in range(20)]
    assert sum(await both(world, *(provision(user, "captain") for user in users))) == 1
    await world.ask(provision(FRY))
    taken = await both(world, RenameUser(FRY, named(FRY, "lars")), provision(LEELA, "lars"), provision(HUBERT, "fry"))
    assert taken == [True, False, True]


async def test_nobody_joins_a_group_or_takes_a_role_after_their_end(world: World) -> None:
    await world.ask(provision(FRY))
    await world.ask(CreateGroup(CREW, sealed(CREW, "Crew")))
    await world.ask(DefineRole(PILOT, Code("pilot"), ()))
    answers = await both(world, DeleteUser(FRY), AddMember(CREW, FRY), AssignRole(PILOT, FRY))
    assert answers == [True, False, False]


async def test_positions_are_dense_and_begin_with_the_tenant(world: World) -> None:
    await world.ask(provision(FRY))
    await refused(world, provision(FRY), "exists already", Taken)
    await world.ask(RenameUser(FRY, named(FRY, "lars")))
    entries = world.entries()
    assert [entry.position for entry in entries] == [1, 2, 3, 4]
    assert type(entries[0].event) is TenantCreated
