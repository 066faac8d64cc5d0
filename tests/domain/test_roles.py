"""Roles: named permissions, held by users and groups until an end, a withdrawal, or the end of either."""

from domain.access.owners import AssignmentExpired, RoleAssigned, RoleWithdrawn
from domain.access.roles import (
    AssignRole,
    ChangeRole,
    DefineRole,
    ExpireAssignment,
    RetireRole,
    RoleChanged,
    RoleDefined,
    RoleRetired,
    WithdrawRole,
)
from domain.command import Missing, Refused, Taken
from domain.directory.life import GroupDeleted, UserDeactivated
from domain.event import Code, Instant
from tests.domain.given import BEFORE, LATER, NOW, given
from tests.domain.people import CLERK, CREW, FRY, LEELA, PILOT, created, deleted, provisioned, sealed

FLY, PAY = (Code("ships:fly"),), (Code("wages:pay"),)
NAME = Code("pilot")
DESCRIPTION = sealed(PILOT, "flies the ship")
DEFINED = RoleDefined(PILOT, NAME, FLY, DESCRIPTION)
RETIRED = RoleRetired(PILOT, NAME)
THERE = DEFINED, provisioned(FRY), created(CREW)
ASSIGNED, WITHDRAWN = RoleAssigned(PILOT, FRY), RoleWithdrawn(PILOT, FRY)


def assigned_until(end: Instant) -> RoleAssigned:
    return RoleAssigned(PILOT, FRY, end)


def test_a_role_is_defined() -> None:
    given().when(DefineRole(PILOT, NAME, FLY, DESCRIPTION)).then(DEFINED)


def test_a_role_is_defined_once() -> None:
    given(DEFINED).when(DefineRole(PILOT, Code("captain"), PAY)).then_refused("the role exists already", Taken)
    given(DEFINED, RETIRED).when(DefineRole(PILOT, NAME, FLY)).then_refused("the role exists already", Taken)


def test_a_roles_name_is_its_own_until_it_is_retired() -> None:
    command = DefineRole(CLERK, NAME, PAY)
    given(DEFINED).when(command).then_refused("another role has this name", Taken)
    changed = RoleChanged(PILOT, PAY)
    given(DEFINED, changed).when(command).then_refused("another role has this name", Taken)
    given(DEFINED, RETIRED).when(command).then(RoleDefined(CLERK, NAME, PAY))
    history = DEFINED, RETIRED, RoleDefined(CLERK, NAME, PAY)
    given(*history).when(DefineRole(PILOT, NAME, PAY)).then_refused("exists already", Taken)


def test_a_role_is_changed() -> None:
    given(DEFINED).when(ChangeRole(PILOT, PAY, DESCRIPTION)).then(RoleChanged(PILOT, PAY, DESCRIPTION))
    given(DEFINED).when(ChangeRole(PILOT, FLY)).then(RoleChanged(PILOT, FLY))


def test_a_role_as_it_is_changes_nothing() -> None:
    given(DEFINED).when(ChangeRole(PILOT, FLY, DESCRIPTION)).then_nothing()
    changed = RoleChanged(PILOT, PAY)
    given(DEFINED, changed).when(ChangeRole(PILOT, PAY)).then_nothing()
    given(DEFINED, changed).when(ChangeRole(PILOT, FLY, DESCRIPTION)).then(RoleChanged(PILOT, FLY, DESCRIPTION))


def test_a_role_is_retired_once_and_keeps_its_name_on_record() -> None:
    given(DEFINED).when(RetireRole(PILOT)).then(RETIRED)
    given(DEFINED, RoleChanged(PILOT, PAY)).when(RetireRole(PILOT)).then(RETIRED)
    given(DEFINED, RETIRED).when(RetireRole(PILOT)).then_refused("is retired", Missing)
    given().when(RetireRole(PILOT)).then_refused("does not exist", Missing)


def test_a_retired_role_can_not_be_changed() -> None:
    given(DEFINED, RETIRED).when(ChangeRole(PILOT, PAY)).then_refused("is retired", Missing)
    history = DEFINED, RoleChanged(PILOT, PAY), RETIRED
    given(*history).when(ChangeRole(PILOT, PAY)).then_refused("is retired", Missing)
    given().when(ChangeRole(PILOT, PAY)).then_refused("does not exist", Missing)


def test_users_and_groups_are_assigned_a_role() -> None:
    given(*THERE).when(AssignRole(PILOT, FRY)).then(ASSIGNED)
    given(*THERE).when(AssignRole(PILOT, CREW, LATER)).then(RoleAssigned(PILOT, CREW, LATER))
    given(*THERE, UserDeactivated(FRY)).when(AssignRole(PILOT, FRY)).then(ASSIGNED)


def test_a_retired_role_can_not_be_assigned() -> None:
    given(*THERE, RETIRED).when(AssignRole(PILOT, FRY)).then_refused("is retired", Missing)
    given(*THERE, RoleChanged(PILOT, PAY), RETIRED).when(AssignRole(PILOT, FRY)).then_refused("is retired", Missing)
    given(provisioned(FRY)).when(AssignRole(PILOT, FRY)).then_refused("does not exist", Missing)


def test_who_does_not_exist_can_not_be_assigned_anything() -> None:
    given(DEFINED).when(AssignRole(PILOT, FRY)).then_refused("does not exist", Missing)
    given(DEFINED).when(AssignRole(PILOT, CREW)).then_refused("does not exist", Missing)
    given(*THERE, deleted(FRY)).when(AssignRole(PILOT, FRY)).then_refused("does not exist", Missing)
    given(*THERE, GroupDeleted(CREW)).when(AssignRole(PILOT, CREW)).then_refused("does not exist", Missing)


def test_an_assignment_does_not_begin_ended() -> None:
    given(*THERE).when(AssignRole(PILOT, FRY, NOW)).then_refused("not in the future", Refused)


def test_assigning_again_changes_only_the_end() -> None:
    given(*THERE, ASSIGNED).when(AssignRole(PILOT, FRY)).then_nothing()
    given(*THERE, assigned_until(LATER)).when(AssignRole(PILOT, FRY, LATER)).then_nothing()
    given(*THERE, ASSIGNED).when(AssignRole(PILOT, FRY, LATER)).then(assigned_until(LATER))
    given(*THERE, assigned_until(LATER)).when(AssignRole(PILOT, FRY)).then(ASSIGNED)


def test_an_assignment_that_has_ended_can_be_made_again() -> None:
    given(*THERE, ASSIGNED, WITHDRAWN).when(AssignRole(PILOT, FRY)).then(ASSIGNED)
    given(*THERE, assigned_until(NOW)).when(AssignRole(PILOT, FRY)).then(ASSIGNED)
    expired = AssignmentExpired(PILOT, FRY, BEFORE)
    given(*THERE, assigned_until(BEFORE), expired).when(AssignRole(PILOT, FRY)).then(ASSIGNED)


def test_an_assignment_is_one_subjects_and_one_roles() -> None:
    history = *THERE, provisioned(LEELA), RoleDefined(CLERK, Code("clerk"), PAY), ASSIGNED
    given(*history).when(AssignRole(PILOT, LEELA)).then(RoleAssigned(PILOT, LEELA))
    given(*history).when(AssignRole(CLERK, FRY)).then(RoleAssigned(CLERK, FRY))
    given(*history).when(WithdrawRole(CLERK, FRY)).then_nothing()


def test_a_role_is_withdrawn_once() -> None:
    given(*THERE, ASSIGNED).when(WithdrawRole(PILOT, FRY)).then(WITHDRAWN)
    given(*THERE, assigned_until(LATER)).when(WithdrawRole(PILOT, FRY)).then(WITHDRAWN)
    given(*THERE, ASSIGNED, WITHDRAWN).when(WithdrawRole(PILOT, FRY)).then_nothing()
    given(*THERE).when(WithdrawRole(PILOT, FRY)).then_nothing()


def test_a_role_is_withdrawn_from_a_group_while_there_is_one() -> None:
    history = *THERE, RoleAssigned(PILOT, CREW)
    given(*history).when(WithdrawRole(PILOT, CREW)).then(RoleWithdrawn(PILOT, CREW))
    given(*history, GroupDeleted(CREW)).when(WithdrawRole(PILOT, CREW)).then_nothing()


def test_what_has_ended_can_not_be_withdrawn() -> None:
    for ended in (
        (assigned_until(NOW),),
        (assigned_until(BEFORE), AssignmentExpired(PILOT, FRY, BEFORE)),
        (ASSIGNED, RETIRED),
        (ASSIGNED, deleted(FRY)),
    ):
        given(*THERE, *ended).when(WithdrawRole(PILOT, FRY)).then_nothing()


def test_an_end_is_said_once_it_has_come() -> None:
    expire = ExpireAssignment(PILOT, FRY)
    given(*THERE, assigned_until(NOW)).when(expire).then(AssignmentExpired(PILOT, FRY, NOW))
    given(*THERE, assigned_until(LATER)).when(expire).then_nothing()
    given(*THERE, assigned_until(LATER)).when(expire, now=LATER).then(AssignmentExpired(PILOT, FRY, LATER))
    given(*THERE, ASSIGNED).when(expire).then_nothing()
    given(*THERE).when(expire).then_nothing()


def test_an_end_that_something_else_came_before_is_not_said() -> None:
    for before in (
        (assigned_until(BEFORE), AssignmentExpired(PILOT, FRY, BEFORE)),
        (assigned_until(BEFORE), ASSIGNED),
        (assigned_until(BEFORE), WITHDRAWN),
        (assigned_until(BEFORE), RETIRED),
        (assigned_until(BEFORE), deleted(FRY)),
    ):
        given(*THERE, *before).when(ExpireAssignment(PILOT, FRY)).then_nothing()
