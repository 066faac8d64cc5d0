"""Users: they come, change, go inactive and back, and leave."""

import msgspec
import pytest

from domain.command import Command, Missing, Taken
from domain.directory.feeds import DirectoryRemoved
from domain.directory.life import SubjectErased, UserDeactivated, UserProvisioned, UserReactivated
from domain.directory.users import (
    ChangeProfile,
    DeactivateUser,
    DeleteUser,
    Profile,
    ProvisionUser,
    ReactivateUser,
    RenameUser,
    ReviseUser,
    UserProfileChanged,
)
from domain.event import Event
from tests.domain.given import given
from tests.domain.people import (
    FRY,
    LEELA,
    OKTA,
    deleted,
    external,
    feed,
    handle,
    known_as,
    named,
    provisioned,
    renamed,
    sealed,
    user_known_as,
)

PROFILE = Profile(display_name=sealed(FRY, "Philip J. Fry"), email=sealed(FRY, "fry@planetexpress.example"))
THERE = provisioned(FRY, external_id="f1")
INACTIVE = UserDeactivated(FRY)


def profile_changed(profile: Profile) -> UserProfileChanged:
    return UserProfileChanged(FRY, *msgspec.structs.astuple(profile))


def test_a_user_is_provisioned_by_a_directory() -> None:
    command = ProvisionUser(FRY, named(FRY, "fry"), PROFILE, OKTA, known_as(FRY, "f1"), active=False)
    given(feed(OKTA)).when(command).then(
        UserProvisioned(
            FRY,
            sealed(FRY, "fry"),
            handle("fry"),
            display_name=PROFILE.display_name,
            email=PROFILE.email,
            directory=OKTA,
            external_id=sealed(FRY, "f1"),
            external_id_handle=external("f1"),
            active=False,
        )
    )


def test_a_user_is_provisioned_once() -> None:
    command = ProvisionUser(FRY, named(FRY, "philip"))
    for history in ((THERE,), (THERE, deleted(FRY, external_id="f1")), (THERE, deleted(FRY), SubjectErased(FRY, ()))):
        given(*history).when(command).then_refused("the user exists already", Taken)


def test_a_user_comes_only_from_a_directory_that_is_there() -> None:
    command = ProvisionUser(FRY, named(FRY, "fry"), directory=OKTA)
    given().when(command).then_refused("the directory does not exist", Missing)
    given(feed(OKTA), DirectoryRemoved(OKTA)).when(command).then_refused("the directory does not exist", Missing)


def test_a_profile_is_changed_whole() -> None:
    given(THERE).when(ChangeProfile(FRY, PROFILE)).then(profile_changed(PROFILE))
    given(THERE, profile_changed(PROFILE)).when(ChangeProfile(FRY, Profile())).then(profile_changed(Profile()))


def test_a_profile_as_it_is_changes_nothing() -> None:
    given(THERE, profile_changed(PROFILE)).when(ChangeProfile(FRY, PROFILE)).then_nothing()
    came_with = Profile(display_name=THERE.display_name)
    given(THERE).when(ChangeProfile(FRY, came_with)).then_nothing()
    given(THERE, renamed(FRY, "lars", "fry")).when(ChangeProfile(FRY, came_with)).then_nothing()


def test_a_user_is_deactivated_and_reactivated() -> None:
    given(THERE).when(DeactivateUser(FRY)).then(INACTIVE)
    given(THERE, INACTIVE).when(ReactivateUser(FRY)).then(UserReactivated(FRY))
    given(THERE, INACTIVE, UserReactivated(FRY)).when(DeactivateUser(FRY)).then(INACTIVE)


def test_nothing_happens_to_who_is_inactive_or_active_already() -> None:
    given(THERE, INACTIVE).when(DeactivateUser(FRY)).then_nothing()
    given(THERE).when(ReactivateUser(FRY)).then_nothing()
    came_inactive = provisioned(FRY, active=False)
    given(came_inactive).when(DeactivateUser(FRY)).then_nothing()
    given(came_inactive).when(ReactivateUser(FRY)).then(UserReactivated(FRY))
    came_back = THERE, INACTIVE, UserReactivated(FRY)
    given(*came_back).when(ReactivateUser(FRY)).then_nothing()
    given(*came_back).when(ReviseUser(FRY, active=True)).then_nothing()


def test_everything_is_revised_at_once() -> None:
    command = ReviseUser(FRY, named(FRY, "lars"), PROFILE, known_as(FRY, "f2"), active=False)
    given(THERE).when(command).then(
        renamed(FRY, "lars", "fry"),
        user_known_as(FRY, "f2", "f1"),
        profile_changed(PROFILE),
        INACTIVE,
    )


def test_the_same_again_changes_nothing() -> None:
    same = ReviseUser(
        FRY, named(FRY, "fry"), Profile(display_name=THERE.display_name), known_as(FRY, "f1"), active=True
    )
    given(THERE).when(same).then_nothing()
    given(THERE).when(ReviseUser(FRY)).then_nothing()
    history = THERE, renamed(FRY, "lars", "fry"), user_known_as(FRY, "f2", "f1"), profile_changed(PROFILE), INACTIVE
    same = ReviseUser(FRY, named(FRY, "lars"), PROFILE, known_as(FRY, "f2"), active=False)
    given(*history).when(same).then_nothing()


def test_one_part_that_is_refused_refuses_all() -> None:
    history: tuple[Event, ...] = THERE, provisioned(LEELA, external_id="x1")
    taken = ReviseUser(FRY, named(FRY, "leela"), PROFILE)
    given(*history).when(taken).then_refused("another user has this user name", Taken)
    taken = ReviseUser(FRY, named(FRY, "lars"), PROFILE, known_as(FRY, "x1"))
    given(*history).when(taken).then_refused("another user has this external id", Taken)
    history = THERE, provisioned(LEELA), user_known_as(LEELA, "x1", None)
    given(*history).when(taken).then_refused("another user has this external id", Taken)


@pytest.mark.parametrize(
    "command",
    [
        ReviseUser(FRY, profile=PROFILE),
        ChangeProfile(FRY, PROFILE),
        RenameUser(FRY, named(FRY, "lars")),
        DeactivateUser(FRY),
        ReactivateUser(FRY),
        DeleteUser(FRY),
    ],
    ids=lambda command: type(command).__name__,
)
def test_who_is_not_there_can_not_be_changed(command: Command) -> None:
    given().when(command).then_refused("the user does not exist", Missing)
    gone = THERE, deleted(FRY, external_id="f1")
    given(*gone).when(command).then_refused("the user does not exist", Missing)
    given(*gone, SubjectErased(FRY, (handle("fry"),))).when(command).then_refused("the user does not exist", Missing)
