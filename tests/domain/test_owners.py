"""Owners: once a tenant has an active one, no way leaves it without one."""

import pytest

from domain.access.owners import OWNER, RoleAssigned, RoleWithdrawn
from domain.access.roles import AssignRole, ChangeRole, DefineRole, RetireRole, WithdrawRole
from domain.command import Command, Missing, Refused, Taken
from domain.directory.groups import MemberAdded
from domain.directory.life import SubjectErased, UserDeactivated, UserReactivated
from domain.directory.users import DeactivateUser, DeleteUser, EraseUser, ReviseUser
from domain.event import Code, Event
from domain.ids import RoleId, UserId
from tests.domain.given import LATER, given
from tests.domain.people import CREW, FRY, HUBERT, LEELA, ZAPP, created, deleted, handle, named, provisioned

WAYS_OUT: list[Command] = [
    WithdrawRole(OWNER, HUBERT),
    DeactivateUser(HUBERT),
    ReviseUser(HUBERT, active=False),
    ReviseUser(HUBERT, named(HUBERT, "professor"), active=False),
    DeleteUser(HUBERT),
    EraseUser(HUBERT),
]
every_way_out = pytest.mark.parametrize("command", WAYS_OUT, ids=lambda command: type(command).__name__)
LAST = "the tenant's last active owner; make somebody else an owner first"


def owner(user: UserId, active: bool = True) -> tuple[Event, Event]:
    return provisioned(user, active=active), RoleAssigned(OWNER, user)


@every_way_out
def test_the_last_owner_stays(command: Command) -> None:
    given(*owner(HUBERT)).when(command).then_refused(LAST, Refused)


@every_way_out
def test_who_is_no_active_owner_does_not_count(command: Command) -> None:
    for others in (
        (provisioned(LEELA),),
        owner(LEELA, active=False),
        (*owner(LEELA), UserDeactivated(LEELA)),
        (*owner(LEELA), RoleWithdrawn(OWNER, LEELA)),
        (*owner(LEELA), deleted(LEELA)),
        (*owner(LEELA), deleted(LEELA), SubjectErased(LEELA, (handle("leela"),))),
        (provisioned(LEELA), RoleAssigned(RoleId("rol_pilot"), LEELA)),
        (provisioned(LEELA), created(CREW), MemberAdded(CREW, LEELA), RoleAssigned(RoleId("rol_pilot"), CREW)),
    ):
        given(*owner(HUBERT), *others).when(command).then_refused(LAST, Refused)
        given(*others, *owner(HUBERT)).when(command).then_refused(LAST, Refused)


EFFECTS: list[tuple[Command, list[Event]]] = [
    (WithdrawRole(OWNER, HUBERT), [RoleWithdrawn(OWNER, HUBERT)]),
    (DeactivateUser(HUBERT), [UserDeactivated(HUBERT)]),
    (ReviseUser(HUBERT, active=False), [UserDeactivated(HUBERT)]),
    (DeleteUser(HUBERT), [deleted(HUBERT)]),
    (EraseUser(HUBERT), [deleted(HUBERT), SubjectErased(HUBERT, (handle("hubert"),))]),
]


@pytest.mark.parametrize(("command", "effect"), EFFECTS, ids=[type(command).__name__ for command, _ in EFFECTS])
def test_an_owner_may_leave_while_another_is_active(command: Command, effect: list[Event]) -> None:
    given(*owner(HUBERT), *owner(LEELA)).when(command).then(*effect)
    given(*owner(LEELA), *owner(HUBERT)).when(command).then(*effect)
    given(*owner(HUBERT), *owner(FRY, active=False), *owner(LEELA), deleted(FRY)).when(command).then(*effect)
    back = (*owner(LEELA), UserDeactivated(LEELA), UserReactivated(LEELA), *owner(HUBERT))
    given(*back).when(command).then(*effect)
    again = (*owner(LEELA), RoleWithdrawn(OWNER, LEELA), RoleAssigned(OWNER, LEELA), *owner(HUBERT))
    given(*again).when(command).then(*effect)


@pytest.mark.parametrize(("command", "effect"), EFFECTS, ids=[type(command).__name__ for command, _ in EFFECTS])
def test_who_is_no_owner_may_always_leave(command: Command, effect: list[Event]) -> None:
    ordinary = provisioned(HUBERT), RoleAssigned(RoleId("rol_pilot"), HUBERT)
    expected = [] if isinstance(command, WithdrawRole) else effect
    given(*ordinary).when(command).then(*expected)
    given(*owner(HUBERT), *owner(LEELA), RoleWithdrawn(OWNER, HUBERT)).when(command).then(*expected)


@pytest.mark.parametrize(("command", "effect"), EFFECTS, ids=[type(command).__name__ for command, _ in EFFECTS])
def test_who_was_an_owner_once_may_leave_although_there_is_none(command: Command, effect: list[Event]) -> None:
    history = (*owner(HUBERT, active=False), RoleWithdrawn(OWNER, HUBERT), UserReactivated(HUBERT))
    expected = [] if isinstance(command, WithdrawRole) else effect
    given(*history).when(command).then(*expected)


@every_way_out
def test_an_owner_who_came_back_is_the_last(command: Command) -> None:
    history = (*owner(HUBERT, active=False), UserReactivated(HUBERT), *owner(LEELA, active=False))
    given(*history).when(command).then_refused(LAST, Refused)


def test_an_inactive_owner_may_leave_who_was_nobodys_last_hope() -> None:
    history: tuple[Event, ...] = owner(HUBERT, active=False)
    given(*history).when(WithdrawRole(OWNER, HUBERT)).then(RoleWithdrawn(OWNER, HUBERT))
    given(*history).when(DeleteUser(HUBERT)).then(deleted(HUBERT))
    given(*history).when(DeactivateUser(HUBERT)).then_nothing()
    history = (*owner(HUBERT), UserDeactivated(HUBERT))
    given(*history).when(DeleteUser(HUBERT)).then(deleted(HUBERT))
    given(*history).when(WithdrawRole(OWNER, HUBERT)).then(RoleWithdrawn(OWNER, HUBERT))


def test_a_deleted_owner_gives_back_their_own_name_and_nobody_elses() -> None:
    """Asking after the other owners shows their events; they must say nothing of this one."""
    history = (*owner(HUBERT), *owner(LEELA), *owner(ZAPP, active=False))
    given(*history).when(DeleteUser(HUBERT)).then(deleted(HUBERT))


def test_an_owner_becomes_inactive_only_once() -> None:
    history = (*owner(HUBERT), *owner(LEELA), UserDeactivated(HUBERT))
    given(*history).when(ReviseUser(HUBERT, active=False)).then_nothing()


def test_the_rest_of_a_last_owner_may_be_revised() -> None:
    given(*owner(HUBERT)).when(ReviseUser(HUBERT, active=True)).then_nothing()


def test_owners_are_people_and_have_no_end() -> None:
    given(created(CREW)).when(AssignRole(OWNER, CREW)).then_refused("owners are people", Refused)
    given(provisioned(FRY)).when(AssignRole(OWNER, FRY, LATER)).then_refused("does not expire", Refused)


def test_a_user_who_exists_becomes_an_owner_once() -> None:
    given(provisioned(FRY)).when(AssignRole(OWNER, FRY)).then(RoleAssigned(OWNER, FRY))
    given(*owner(FRY)).when(AssignRole(OWNER, FRY)).then_nothing()
    given().when(AssignRole(OWNER, FRY)).then_refused("does not exist", Missing)
    given(provisioned(FRY), deleted(FRY)).when(AssignRole(OWNER, FRY)).then_refused("does not exist", Missing)


def test_a_group_never_owned_anything_that_could_be_withdrawn() -> None:
    given(created(CREW)).when(WithdrawRole(OWNER, CREW)).then_nothing()


def test_the_owner_role_is_nobodys_to_define_change_or_retire() -> None:
    given().when(DefineRole(OWNER, Code("boss"), ())).then_refused("the role exists already", Taken)
    given().when(DefineRole(RoleId("rol_boss"), Code("owner"), ())).then_refused("another role has this name", Taken)
    given().when(ChangeRole(OWNER, ())).then_refused("the role does not exist", Missing)
    given().when(RetireRole(OWNER)).then_refused("the role does not exist", Missing)
