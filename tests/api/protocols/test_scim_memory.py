"""What a node remembers of opened users is bounded, and forgotten when anybody is erased."""

from api.protocols.scim_memory import OpenedUsers
from domain.ids import DirectoryId, TenantId

HOME = (TenantId("ten_1"), DirectoryId("dir_1"))
OTHER = (TenantId("ten_1"), DirectoryId("dir_2"))


def test_a_user_is_remembered_as_of_the_position_they_were_opened_at() -> None:
    opened = OpenedUsers()
    opened.keep(HOME, "usr_1", 7, 0, {"id": "usr_1"}, 100)
    assert opened.get(HOME, "usr_1", 7, 0) == {"id": "usr_1"}
    assert opened.get(HOME, "usr_1", 8, 0) is None
    assert opened.get(OTHER, "usr_1", 7, 0) is None


def test_an_erasure_forgets_everybody() -> None:
    opened = OpenedUsers()
    opened.keep(HOME, "usr_1", 7, 0, {"id": "usr_1"}, 100)
    assert opened.get(HOME, "usr_1", 7, 1) is None
    assert opened.weight == 0


def test_room_is_made_by_the_directory_that_was_not_asked_for_the_longest() -> None:
    opened = OpenedUsers(most_weight=10_000)
    opened.keep(HOME, "usr_1", 1, 0, {}, 100)
    opened.keep(OTHER, "usr_2", 1, 0, {}, 100)
    assert opened.get(HOME, "usr_1", 1, 0) == {}
    opened.keep(HOME, "usr_3", 1, 0, {}, 1_200)
    assert opened.get(OTHER, "usr_2", 1, 0) is None
    assert opened.get(HOME, "usr_1", 1, 0) == {}


def test_of_a_directory_that_is_too_large_what_fits_is_kept() -> None:
    opened = OpenedUsers(most_weight=10_000)
    for number in range(10):
        opened.keep(HOME, f"usr_{number}", 1, 0, {}, 100)
    kept = [number for number in range(10) if opened.get(HOME, f"usr_{number}", 1, 0) is not None]
    assert kept == [0, 1, 2, 3]
    assert opened.weight <= 10_000


def test_a_newer_version_takes_the_place_of_the_older() -> None:
    opened = OpenedUsers(most_weight=10_000)
    for since in range(100):
        opened.keep(HOME, "usr_1", since, 0, {}, 100)
    assert opened.weight == 2_400
    assert opened.get(HOME, "usr_1", 99, 0) == {}
