"""Roles, and who has them until when, as they follow from events."""

from domain.access.owners import OWNER, AssignmentExpired, RoleAssigned, RoleWithdrawn
from domain.access.roles import RoleChanged, RoleDefined, RoleRetired
from domain.directory.life import GroupDeleted
from domain.event import Code, Instant
from projections.access import ASSIGNMENTS, ROLES, AssignmentRow, RoleRow
from tests.domain.people import CLERK, CREW, FRY, LEELA, PILOT, created, deleted, provisioned, sealed
from tests.projections.folding import fold, rows_of

FLY, PAY = (Code("ships:fly"),), (Code("wages:pay"),)
DESCRIPTION = sealed(PILOT, "flies the ship")
DEFINED = RoleDefined(PILOT, Code("pilot"), FLY, DESCRIPTION)
CLERK_DEFINED = RoleDefined(CLERK, Code("clerk"), PAY)


def test_a_role_is_defined_changed_and_retired() -> None:
    changed, retired = RoleChanged(PILOT, PAY), RoleRetired(PILOT, Code("pilot"))
    row = RoleRow(PILOT, "pilot", FLY, Instant(10), Instant(10), DESCRIPTION)
    assert rows_of(ROLES, DEFINED) == {PILOT: row}
    assert rows_of(ROLES, DEFINED, changed) == {PILOT: RoleRow(PILOT, "pilot", PAY, Instant(10), Instant(20))}
    assert rows_of(ROLES, DEFINED, changed, retired) == {}


def test_a_role_is_found_by_its_name_also_when_another_has_it_now() -> None:
    rows = fold(DEFINED, RoleRetired(PILOT, Code("pilot")), RoleDefined(CLERK, Code("pilot"), PAY))
    assert [key for key, _ in rows.find(ROLES, "name", "pilot")] == [CLERK]


def test_an_assignment_is_made_made_again_and_withdrawn() -> None:
    key = f"{PILOT}/{FRY}"
    first, second = RoleAssigned(PILOT, FRY, Instant(99)), RoleAssigned(PILOT, FRY)
    assert rows_of(ASSIGNMENTS, first) == {key: AssignmentRow(PILOT, FRY, Instant(10), Instant(99))}
    assert rows_of(ASSIGNMENTS, first, second) == {key: AssignmentRow(PILOT, FRY, Instant(20))}
    assert rows_of(ASSIGNMENTS, first, second, RoleWithdrawn(PILOT, FRY)) == {}
    assert rows_of(ASSIGNMENTS, first, AssignmentExpired(PILOT, FRY, Instant(99))) == {}


HELD = (
    DEFINED,
    CLERK_DEFINED,
    provisioned(FRY),
    provisioned(LEELA),
    created(CREW),
    RoleAssigned(PILOT, FRY),
    RoleAssigned(PILOT, CREW),
    RoleAssigned(CLERK, FRY),
    RoleAssigned(OWNER, LEELA),
)


def test_assignments_end_with_the_user_the_group_and_the_role() -> None:
    assert rows_of(ASSIGNMENTS, *HELD, deleted(FRY)).keys() == {f"{PILOT}/{CREW}", f"{OWNER}/{LEELA}"}
    without_group = {f"{PILOT}/{FRY}", f"{CLERK}/{FRY}", f"{OWNER}/{LEELA}"}
    assert rows_of(ASSIGNMENTS, *HELD, GroupDeleted(CREW)).keys() == without_group
    without_role = {f"{CLERK}/{FRY}", f"{OWNER}/{LEELA}"}
    assert rows_of(ASSIGNMENTS, *HELD, RoleRetired(PILOT, Code("pilot"))).keys() == without_role


def test_assignments_are_found_by_role_and_by_subject() -> None:
    rows = fold(*HELD)
    assert [row.subject for _, row in rows.find(ASSIGNMENTS, "role", PILOT)] == [CREW, FRY]
    assert [row.role for _, row in rows.find(ASSIGNMENTS, "subject", FRY)] == [CLERK, PILOT]
