"""Names and external ids are one person's alone, until they are given back, or erased with whom they stood for."""

from itertools import pairwise

import msgspec

from domain.command import Missing, Refused, Taken
from domain.directory.life import SubjectErased, UserDeactivated, UserProvisioned
from domain.directory.users import (
    MOST_HANDLES,
    DeleteUser,
    EraseUser,
    Profile,
    ProvisionUser,
    RenameUser,
    ReviseUser,
    UserProfileChanged,
    UserRenamed,
)
from domain.event import Event
from tests.domain.given import given
from tests.domain.people import (
    BENDER,
    FRY,
    LEELA,
    deleted,
    external,
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


def test_a_user_name_is_one_users() -> None:
    command = ProvisionUser(FRY, named(FRY, "captain"))
    given(provisioned(LEELA, "captain")).when(command).then_refused("another user has this user name", Taken)
    history = provisioned(LEELA), renamed(LEELA, "captain", "leela")
    given(*history).when(command).then_refused("another user has this user name", Taken)


def test_an_external_id_is_one_users() -> None:
    command = ProvisionUser(FRY, named(FRY, "fry"), external_id=known_as(FRY, "x1"))
    refusal = "another user has this external id"
    given(provisioned(LEELA, external_id="x1")).when(command).then_refused(refusal, Taken)
    given(provisioned(LEELA), user_known_as(LEELA, "x1", None)).when(command).then_refused(refusal, Taken)


def test_a_name_is_free_again_once_its_holder_is_deleted_or_renamed() -> None:
    command = ProvisionUser(FRY, named(FRY, "captain"))
    event = UserProvisioned(FRY, sealed(FRY, "captain"), handle("captain"))
    left = provisioned(LEELA, "captain"), deleted(LEELA, "captain")
    given(*left).when(command).then(event)
    moved_on = provisioned(LEELA, "captain"), renamed(LEELA, "leela", "captain")
    given(*moved_on).when(command).then(event)


def test_an_external_id_is_free_again_once_its_holder_is_deleted_or_changed() -> None:
    command = ProvisionUser(FRY, named(FRY, "fry"), external_id=known_as(FRY, "x1"))
    event = provisioned(FRY, external_id="x1")
    expected = msgspec.structs.replace(event, display_name=None)
    given(provisioned(LEELA, external_id="x1"), deleted(LEELA, external_id="x1")).when(command).then(expected)
    for change in (user_known_as(LEELA, None, "x1"), user_known_as(LEELA, "x2", "x1")):
        given(provisioned(LEELA, external_id="x1"), change).when(command).then(expected)


def test_a_name_that_went_from_hand_to_hand_is_its_last_holders() -> None:
    history = (
        provisioned(LEELA, "captain"),
        renamed(LEELA, "leela", "captain"),
        provisioned(BENDER, "captain"),
        renamed(BENDER, "bender", "captain"),
        renamed(LEELA, "captain", "leela"),
    )
    command = ProvisionUser(FRY, named(FRY, "captain"))
    given(*history).when(command).then_refused("another user has this user name", Taken)
    freed = renamed(LEELA, "leela", "captain")
    given(*history, freed).when(command).then(UserProvisioned(FRY, sealed(FRY, "captain"), handle("captain")))


def test_the_handle_of_an_erased_name_stands_for_nothing_again() -> None:
    history = provisioned(LEELA, "captain"), deleted(LEELA, "captain"), SubjectErased(LEELA, (handle("captain"),))
    command = ProvisionUser(FRY, named(FRY, "captain"))
    given(*history).when(command).then_refused("has just been erased; send the command again", Refused)


def test_a_user_is_renamed() -> None:
    given(THERE).when(RenameUser(FRY, named(FRY, "philip"))).then(renamed(FRY, "philip", "fry"))
    again = renamed(FRY, "philip", "fry")
    given(THERE, again).when(RenameUser(FRY, named(FRY, "lars"))).then(renamed(FRY, "lars", "philip"))


def test_the_name_a_user_has_already_changes_nothing() -> None:
    given(THERE).when(RenameUser(FRY, named(FRY, "fry"))).then_nothing()


def test_a_name_can_be_spelt_another_way() -> None:
    capital = msgspec.structs.replace(named(FRY, "Fry"), handle=handle("fry"))
    event = UserRenamed(FRY, capital.value, handle("fry"), handle("fry"))
    given(THERE).when(RenameUser(FRY, capital)).then(event)
    command = RenameUser(LEELA, named(LEELA, "fry"))
    given(THERE, provisioned(LEELA), event).when(command).then_refused("another user has this user name", Taken)


def test_a_user_takes_no_name_that_another_has() -> None:
    command = RenameUser(FRY, named(FRY, "leela"))
    history: tuple[Event, ...] = THERE, provisioned(LEELA)
    given(*history).when(command).then_refused("another user has this user name", Taken)
    given(*history).when(ReviseUser(FRY, command.name)).then_refused("another user has this user name", Taken)
    history = THERE, provisioned(LEELA, "captain"), renamed(LEELA, "leela", "captain")
    given(*history).when(command).then_refused("another user has this user name", Taken)
    given(*history).when(ReviseUser(FRY, command.name)).then_refused("another user has this user name", Taken)


def test_nobody_is_renamed_to_what_an_erased_handle_stood_for() -> None:
    erased = SubjectErased(LEELA, (handle("captain"), external("x1")))
    history = THERE, provisioned(LEELA, "captain", "x1"), deleted(LEELA, "captain", "x1"), erased
    for command in (
        RenameUser(FRY, named(FRY, "captain")),
        ReviseUser(FRY, named(FRY, "captain")),
        ReviseUser(FRY, external_id=known_as(FRY, "x1")),
    ):
        given(*history).when(command).then_refused("has just been erased; send the command again", Refused)


def test_taking_a_name_that_another_had_gives_back_ones_own() -> None:
    history = THERE, provisioned(LEELA, "captain"), deleted(LEELA, "captain")
    given(*history).when(RenameUser(FRY, named(FRY, "captain"))).then(renamed(FRY, "captain", "fry"))


def test_a_user_can_go_back_to_an_earlier_name() -> None:
    history = THERE, renamed(FRY, "lars", "fry")
    given(*history).when(RenameUser(FRY, named(FRY, "fry"))).then(renamed(FRY, "fry", "lars"))


def test_an_external_id_is_given_changed_and_taken_away() -> None:
    given(provisioned(FRY)).when(ReviseUser(FRY, external_id=known_as(FRY, "f2"))).then(user_known_as(FRY, "f2", None))
    given(THERE).when(ReviseUser(FRY, external_id=known_as(FRY, "f2"))).then(user_known_as(FRY, "f2", "f1"))
    forget = ReviseUser(FRY, forget_external_id=True)
    given(THERE).when(forget).then(user_known_as(FRY, None, "f1"))
    given(THERE, user_known_as(FRY, "f2", "f1")).when(forget).then(user_known_as(FRY, None, "f2"))
    given(provisioned(FRY)).when(forget).then_nothing()
    given(THERE, user_known_as(FRY, None, "f1")).when(forget).then_nothing()


def test_what_another_user_had_before_is_not_taken_for_ones_own() -> None:
    """Asking who has a name shows events of another user; they must say nothing of this one."""
    bare = UserProvisioned(LEELA, sealed(LEELA, "captain"), handle("captain"))
    history = THERE, bare, deleted(LEELA, "captain")
    command = ReviseUser(FRY, named(FRY, "captain"), Profile(), active=True)
    given(*history).when(command).then(renamed(FRY, "captain", "fry"), profile_changed(Profile()))
    command = ReviseUser(FRY, named(FRY, "captain"), forget_external_id=True)
    given(*history).when(command).then(renamed(FRY, "captain", "fry"), user_known_as(FRY, None, "f1"))


def test_a_deleted_user_gives_back_the_names_they_have_now() -> None:
    given(THERE).when(DeleteUser(FRY)).then(deleted(FRY, external_id="f1"))
    history = THERE, renamed(FRY, "lars", "fry"), user_known_as(FRY, None, "f1")
    given(*history).when(DeleteUser(FRY)).then(deleted(FRY, "lars"))
    given(THERE, INACTIVE).when(DeleteUser(FRY)).then(deleted(FRY, external_id="f1"))


def test_erasing_deletes_and_destroys_every_handle_there_ever_was() -> None:
    handles = handle("fry"), external("f1"), handle("lars"), handle("philip"), external("f2")
    history = (
        THERE,
        renamed(FRY, "lars", "fry"),
        renamed(FRY, "philip", "lars"),
        user_known_as(FRY, "f2", "f1"),
    )
    given(*history).when(EraseUser(FRY)).then(deleted(FRY, "philip", "f2"), SubjectErased(FRY, handles))


def test_who_was_deleted_can_still_be_erased() -> None:
    history: tuple[Event, ...] = THERE, deleted(FRY, external_id="f1")
    given(*history).when(EraseUser(FRY)).then(SubjectErased(FRY, (handle("fry"), external("f1"))))
    history = THERE, INACTIVE, renamed(FRY, "lars", "fry"), renamed(FRY, "fry", "lars"), deleted(FRY, external_id="f1")
    expected = SubjectErased(FRY, (handle("fry"), external("f1"), handle("lars")))
    given(*history).when(EraseUser(FRY)).then(expected)


def test_erasing_spares_the_handles_that_others_have_now() -> None:
    history: tuple[Event, ...] = (
        THERE,
        renamed(FRY, "lars", "fry"),
        renamed(FRY, "philip", "lars"),
        provisioned(LEELA, "fry"),
    )
    expected = SubjectErased(FRY, (external("f1"), handle("lars"), handle("philip")))
    given(*history).when(EraseUser(FRY)).then(deleted(FRY, "philip", "f1"), expected)
    history = THERE, renamed(FRY, "lars", "fry"), provisioned(LEELA), renamed(LEELA, "fry", "leela")
    expected = SubjectErased(FRY, (external("f1"), handle("lars")))
    given(*history).when(EraseUser(FRY)).then(deleted(FRY, "lars", "f1"), expected)
    history = THERE, user_known_as(FRY, None, "f1"), provisioned(LEELA, external_id="f1")
    expected = SubjectErased(FRY, (handle("fry"),))
    given(*history).when(EraseUser(FRY)).then(deleted(FRY), expected)
    history = THERE, user_known_as(FRY, None, "f1"), provisioned(LEELA), user_known_as(LEELA, "f1", None)
    given(*history).when(EraseUser(FRY)).then(deleted(FRY), expected)


def test_erasing_takes_the_handles_that_others_had_but_gave_back() -> None:
    history = THERE, renamed(FRY, "lars", "fry"), provisioned(LEELA, "fry"), deleted(LEELA, "fry")
    expected = SubjectErased(FRY, (handle("fry"), external("f1"), handle("lars")))
    given(*history).when(EraseUser(FRY)).then(deleted(FRY, "lars", "f1"), expected)


def test_many_handles_are_erased_by_many_events() -> None:
    names = ["fry", *(f"fry{number}" for number in range(1, 20))]
    history = [provisioned(FRY), *(renamed(FRY, new, former) for former, new in pairwise(names))]
    handles = tuple(handle(name) for name in names)
    given(*history).when(EraseUser(FRY)).then(
        deleted(FRY, "fry19"),
        *(SubjectErased(FRY, handles[start : start + MOST_HANDLES]) for start in range(0, 20, MOST_HANDLES)),
    )


def test_who_is_erased_is_erased_once() -> None:
    history = THERE, deleted(FRY, external_id="f1"), SubjectErased(FRY, (handle("fry"),))
    given(*history).when(EraseUser(FRY)).then_refused("erased already", Missing)
    given().when(EraseUser(FRY)).then_refused("does not exist", Missing)
