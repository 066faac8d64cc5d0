"""Groups: made, renamed, filled and emptied, deleted; a membership ends with the group and with the user."""

import pytest

from domain.command import Command, Missing, Taken
from domain.directory.feeds import DirectoryRemoved
from domain.directory.groups import (
    AddMember,
    CreateGroup,
    DeleteGroup,
    GroupExternalIdChanged,
    GroupRenamed,
    MemberAdded,
    MemberRemoved,
    RemoveMember,
    RenameGroup,
    ReviseGroup,
)
from domain.directory.life import GroupCreated, GroupDeleted, UserDeactivated
from domain.ids import GroupId
from tests.domain.given import given
from tests.domain.people import (
    BENDER,
    CREW,
    FRY,
    LEELA,
    OFFICE,
    OKTA,
    created,
    deleted,
    feed,
    handle,
    known_as,
    provisioned,
    sealed,
)

USERS = provisioned(FRY), provisioned(LEELA), provisioned(BENDER)
THERE = (*USERS, created(CREW, "c1"))
NAME, OTHER = sealed(CREW, "crew"), sealed(CREW, "Delivery crew")
GONE = GroupDeleted(CREW, handle("c1", "external"))
FULL = (*THERE, MemberAdded(CREW, FRY), MemberAdded(CREW, LEELA))


def now_known_as(group: GroupId, new: str | None, former: str | None) -> GroupExternalIdChanged:
    unique = known_as(group, new) if new else None
    return GroupExternalIdChanged(
        group,
        unique.value if unique else None,
        unique.handle if unique else None,
        handle(former, "external") if former else None,
    )


def test_a_group_is_created_with_members_each_once() -> None:
    command = CreateGroup(CREW, NAME, OKTA, known_as(CREW, "c1"), (FRY, LEELA, FRY))
    given(feed(OKTA), *USERS).when(command).then(
        GroupCreated(CREW, NAME, OKTA, sealed(CREW, "c1"), handle("c1", "external")),
        MemberAdded(CREW, FRY),
        MemberAdded(CREW, LEELA),
    )
    given().when(CreateGroup(CREW, NAME)).then(GroupCreated(CREW, NAME))


def test_a_group_is_created_once() -> None:
    given(*THERE).when(CreateGroup(CREW, NAME)).then_refused("the group exists already", Taken)
    given(*THERE, GONE).when(CreateGroup(CREW, NAME)).then_refused("the group exists already", Taken)


def test_a_group_comes_only_from_a_directory_that_is_there() -> None:
    command = CreateGroup(CREW, NAME, OKTA)
    given().when(command).then_refused("the directory does not exist", Missing)
    given(feed(OKTA), DirectoryRemoved(OKTA)).when(command).then_refused("the directory does not exist", Missing)


def test_a_group_is_created_of_users_that_exist() -> None:
    command = CreateGroup(CREW, NAME, members=(FRY, LEELA))
    given(provisioned(FRY)).when(command).then_refused("a member does not exist", Missing)
    history = provisioned(FRY), provisioned(LEELA), deleted(LEELA)
    given(*history).when(command).then_refused("a member does not exist", Missing)


def test_an_external_id_is_one_groups_until_it_is_given_back() -> None:
    command = CreateGroup(CREW, NAME, external_id=known_as(CREW, "x1"))
    event = GroupCreated(CREW, NAME, None, sealed(CREW, "x1"), handle("x1", "external"))
    office = created(OFFICE, "x1")
    given(office).when(command).then_refused("another group has this external id", Taken)
    given(office, GroupDeleted(OFFICE, handle("x1", "external"))).when(command).then(event)
    given(office, now_known_as(OFFICE, "x2", "x1")).when(command).then(event)
    given(office, now_known_as(OFFICE, None, "x1")).when(command).then(event)
    again = office, now_known_as(OFFICE, None, "x1"), now_known_as(OFFICE, "x1", None)
    given(*again).when(command).then_refused("another group has this external id", Taken)


def test_a_group_is_renamed() -> None:
    given(*THERE).when(RenameGroup(CREW, OTHER)).then(GroupRenamed(CREW, OTHER))
    given(*THERE).when(RenameGroup(CREW, NAME)).then_nothing()
    given(*THERE, GroupRenamed(CREW, OTHER)).when(RenameGroup(CREW, OTHER)).then_nothing()


def test_a_deleted_group_gives_back_the_external_id_it_has_now() -> None:
    given(*THERE).when(DeleteGroup(CREW)).then(GONE)
    changed = now_known_as(CREW, "c2", "c1")
    given(*THERE, changed).when(DeleteGroup(CREW)).then(GroupDeleted(CREW, handle("c2", "external")))
    given(created(CREW)).when(DeleteGroup(CREW)).then(GroupDeleted(CREW))


def test_a_member_is_added_and_removed() -> None:
    given(*THERE).when(AddMember(CREW, FRY)).then(MemberAdded(CREW, FRY))
    given(*FULL).when(RemoveMember(CREW, FRY)).then(MemberRemoved(CREW, FRY))
    given(*FULL, MemberRemoved(CREW, FRY)).when(AddMember(CREW, FRY)).then(MemberAdded(CREW, FRY))


def test_a_member_can_be_inactive() -> None:
    given(*THERE, UserDeactivated(FRY)).when(AddMember(CREW, FRY)).then(MemberAdded(CREW, FRY))


def test_adding_a_member_and_removing_a_stranger_change_nothing() -> None:
    given(*FULL).when(AddMember(CREW, FRY)).then_nothing()
    given(*FULL).when(RemoveMember(CREW, BENDER)).then_nothing()
    given(*FULL, MemberRemoved(CREW, FRY)).when(RemoveMember(CREW, FRY)).then_nothing()


def test_a_membership_of_one_group_is_none_of_another() -> None:
    history = (*THERE, created(OFFICE), MemberAdded(OFFICE, FRY))
    given(*history).when(AddMember(CREW, FRY)).then(MemberAdded(CREW, FRY))
    given(*history).when(RemoveMember(CREW, FRY)).then_nothing()


def test_only_who_exists_becomes_a_member() -> None:
    given(created(CREW)).when(AddMember(CREW, FRY)).then_refused("a member does not exist", Missing)
    given(*THERE, deleted(FRY)).when(AddMember(CREW, FRY)).then_refused("a member does not exist", Missing)
    given(*THERE, deleted(FRY)).when(ReviseGroup(CREW, add=(FRY,))).then_refused("a member does not exist", Missing)
    given(*THERE, deleted(FRY)).when(ReviseGroup(CREW, members=(FRY,))).then_refused("a member does not", Missing)


def test_a_membership_has_ended_with_the_user() -> None:
    gone = (*FULL, deleted(FRY))
    given(*gone).when(RemoveMember(CREW, FRY)).then_nothing()
    given(*gone).when(ReviseGroup(CREW, remove=(FRY,))).then_nothing()
    given(*gone).when(ReviseGroup(CREW, members=(LEELA,))).then_nothing()


def test_several_changes_are_made_at_once() -> None:
    command = ReviseGroup(CREW, OTHER, known_as(CREW, "c2"), add=(BENDER, LEELA), remove=(FRY, FRY))
    given(*FULL).when(command).then(
        GroupRenamed(CREW, OTHER),
        now_known_as(CREW, "c2", "c1"),
        MemberRemoved(CREW, FRY),
        MemberAdded(CREW, BENDER),
    )


def test_the_same_again_changes_nothing() -> None:
    command = ReviseGroup(CREW, NAME, known_as(CREW, "c1"), members=(LEELA, FRY))
    given(*FULL).when(command).then_nothing()
    given(*FULL).when(ReviseGroup(CREW)).then_nothing()
    given(*FULL, GroupRenamed(CREW, OTHER)).when(ReviseGroup(CREW, OTHER)).then_nothing()
    left = (*FULL, MemberRemoved(CREW, FRY))
    given(*left).when(ReviseGroup(CREW, remove=(FRY,))).then_nothing()
    given(*left).when(ReviseGroup(CREW, add=(FRY,))).then(MemberAdded(CREW, FRY))
    given(*FULL).when(ReviseGroup(CREW, add=(FRY,), remove=(BENDER,))).then_nothing()


def test_an_exact_set_removes_who_is_left_out_and_adds_who_is_new() -> None:
    changes = MemberRemoved(CREW, FRY), MemberAdded(CREW, BENDER)
    given(*FULL).when(ReviseGroup(CREW, members=(LEELA, BENDER, BENDER))).then(*changes)
    given(*FULL).when(ReviseGroup(CREW, members=())).then(MemberRemoved(CREW, FRY), MemberRemoved(CREW, LEELA))
    back = (*FULL, MemberRemoved(CREW, FRY), MemberAdded(CREW, FRY))
    given(*back).when(ReviseGroup(CREW, members=(LEELA,))).then(MemberRemoved(CREW, FRY))


def test_who_is_both_added_and_removed_is_a_member() -> None:
    given(*FULL).when(ReviseGroup(CREW, add=(FRY,), remove=(FRY,))).then_nothing()
    given(*FULL).when(ReviseGroup(CREW, add=(BENDER,), remove=(BENDER,))).then(MemberAdded(CREW, BENDER))


def test_an_external_id_is_taken_away() -> None:
    forget = ReviseGroup(CREW, forget_external_id=True)
    given(*THERE).when(forget).then(now_known_as(CREW, None, "c1"))
    given(created(CREW)).when(forget).then_nothing()
    given(*THERE, now_known_as(CREW, None, "c1")).when(forget).then_nothing()


def test_one_part_that_is_refused_refuses_all() -> None:
    command = ReviseGroup(CREW, OTHER, known_as(CREW, "x1"), add=(BENDER,))
    given(*THERE, created(OFFICE, "x1")).when(command).then_refused("another group has this external id", Taken)
    history = (*THERE, created(OFFICE), now_known_as(OFFICE, "x1", None))
    given(*history).when(command).then_refused("another group has this external id", Taken)


def test_what_another_group_was_called_before_is_not_taken_for_ones_own() -> None:
    history = (*THERE, created(OFFICE, "x1"), GroupDeleted(OFFICE, handle("x1", "external")))
    command = ReviseGroup(CREW, NAME, known_as(CREW, "x1"))
    given(*history).when(command).then(now_known_as(CREW, "x1", "c1"))


@pytest.mark.parametrize(
    "command",
    [
        RenameGroup(CREW, OTHER),
        ReviseGroup(CREW, OTHER),
        DeleteGroup(CREW),
        AddMember(CREW, FRY),
        RemoveMember(CREW, FRY),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_group_that_is_not_there_can_not_be_changed(command: Command) -> None:
    given(*USERS).when(command).then_refused("the group does not exist", Missing)
    given(*FULL, GONE).when(command).then_refused("the group does not exist", Missing)
