"""Users, groups, memberships, directories and tokens, as they follow from events."""

import msgspec

from domain.directory.feeds import DirectoryRemoved, DirectoryRenamed, DirectoryTokenRevoked
from domain.directory.groups import GroupExternalIdChanged, GroupRenamed, MemberAdded, MemberRemoved
from domain.directory.life import (
    GroupDeleted,
    SubjectErased,
    UserDeactivated,
    UserProvisioned,
    UserReactivated,
)
from domain.directory.users import UserExternalIdChanged, UserProfileChanged, UserRenamed
from domain.event import Instant
from projections.directory import (
    DIRECTORIES,
    GROUPS,
    MEMBERS,
    TOKENS,
    USERS,
    DirectoryRow,
    GroupRow,
    MemberRow,
    TokenRow,
    UserRow,
)
from tests.domain.people import (
    CREW,
    ENTRA,
    FRY,
    LEELA,
    OFFICE,
    OKTA,
    OTHER_TOKEN,
    TOKEN,
    created,
    deleted,
    feed,
    handle,
    provisioned,
    sealed,
    token,
)
from tests.projections.folding import fold, rows_of

CAME = UserProvisioned(
    FRY,
    sealed(FRY, "fry"),
    handle("fry"),
    sealed(FRY, "display"),
    sealed(FRY, "given"),
    sealed(FRY, "family"),
    sealed(FRY, "email"),
    sealed(FRY, "attributes"),
    OKTA,
    sealed(FRY, "f1"),
    handle("f1", "external"),
    False,
)
ROW = UserRow(
    FRY,
    CAME.user_name,
    CAME.user_name_handle,
    False,
    Instant(10),
    Instant(10),
    CAME.display_name,
    CAME.given_name,
    CAME.family_name,
    CAME.email,
    CAME.attributes,
    OKTA,
    CAME.external_id,
    CAME.external_id_handle,
)


def changed(row: UserRow, at: int, **fields: object) -> UserRow:
    return msgspec.structs.replace(row, changed_at=Instant(at), **fields)


def test_a_user_comes_with_everything() -> None:
    assert rows_of(USERS, CAME) == {FRY: ROW}


def test_a_users_row_follows_each_change() -> None:
    lars, parts = sealed(FRY, "lars"), [sealed(FRY, str(number)) for number in range(5)]
    events = (
        CAME,
        UserRenamed(FRY, lars, handle("lars"), handle("fry")),
        UserProfileChanged(FRY, *parts),
        UserExternalIdChanged(FRY, sealed(FRY, "f2"), handle("f2", "external"), handle("f1", "external")),
        UserReactivated(FRY),
        UserDeactivated(FRY),
        UserExternalIdChanged(FRY, None, None, handle("f2", "external")),
    )
    renamed = changed(ROW, 20, user_name=lars, user_name_handle=handle("lars"))
    names = ("display_name", "given_name", "family_name", "email", "attributes")
    profiled = changed(renamed, 30, **dict(zip(names, parts, strict=True)))
    known_as = changed(profiled, 40, external_id=sealed(FRY, "f2"), external_id_handle=handle("f2", "external"))
    active = changed(known_as, 50, active=True)
    inactive = changed(active, 60, active=False)
    unknown = changed(inactive, 70, external_id=None, external_id_handle=None)
    for number, row in enumerate((ROW, renamed, profiled, known_as, active, inactive, unknown), 1):
        assert rows_of(USERS, *events[:number]) == {FRY: row}


def test_a_user_who_left_has_no_row_and_nothing_brings_it_back() -> None:
    left = CAME, deleted(FRY, external_id="f1"), SubjectErased(FRY, (handle("fry"),))
    assert rows_of(USERS, *left) == {}
    assert rows_of(USERS, *left, UserReactivated(FRY)) == {}


def test_users_are_found_by_their_handles_and_directory() -> None:
    lars = UserRenamed(FRY, sealed(FRY, "lars"), handle("lars"), handle("fry"))
    rows = fold(CAME, provisioned(LEELA), lars)
    assert [key for key, _ in rows.find(USERS, "user_name_handle", handle("lars"))] == [FRY]
    assert rows.find(USERS, "user_name_handle", handle("fry")) == []
    assert [key for key, _ in rows.find(USERS, "external_id_handle", handle("f1", "external"))] == [FRY]
    assert [key for key, _ in rows.find(USERS, "directory", OKTA)] == [FRY]


def test_a_group_follows_each_change_until_it_is_deleted() -> None:
    crew = sealed(CREW, "Delivery crew")
    events = (
        created(CREW, "c1"),
        GroupRenamed(CREW, crew),
        GroupExternalIdChanged(CREW, None, None, handle("c1", "external")),
        GroupDeleted(CREW),
    )
    row = GroupRow(
        CREW,
        sealed(CREW, "crew"),
        Instant(10),
        Instant(10),
        None,
        sealed(CREW, "c1"),
        handle("c1", "external"),
    )
    renamed = msgspec.structs.replace(row, display_name=crew, changed_at=Instant(20))
    unknown = msgspec.structs.replace(renamed, external_id=None, external_id_handle=None, changed_at=Instant(30))
    for number, after in enumerate((row, renamed, unknown), 1):
        assert rows_of(GROUPS, *events[:number]) == {CREW: after}
    assert rows_of(GROUPS, *events) == {}


JOINED = provisioned(FRY), provisioned(LEELA), created(CREW), created(OFFICE), MemberAdded(CREW, FRY)


def test_a_member_is_one_since_they_were_added() -> None:
    assert rows_of(MEMBERS, *JOINED) == {f"{CREW}/{FRY}": MemberRow(CREW, FRY, Instant(50))}
    assert rows_of(MEMBERS, *JOINED, MemberRemoved(CREW, FRY)) == {}
    back = (*JOINED, MemberRemoved(CREW, FRY), MemberAdded(CREW, FRY))
    assert rows_of(MEMBERS, *back) == {f"{CREW}/{FRY}": MemberRow(CREW, FRY, Instant(70))}


def test_memberships_end_with_the_user_and_only_theirs() -> None:
    more = MemberAdded(OFFICE, FRY), MemberAdded(CREW, LEELA)
    assert rows_of(MEMBERS, *JOINED, *more, deleted(FRY)).keys() == {f"{CREW}/{LEELA}"}


def test_memberships_end_with_the_group_and_only_its() -> None:
    more = MemberAdded(OFFICE, FRY), MemberAdded(CREW, LEELA)
    assert rows_of(MEMBERS, *JOINED, *more, GroupDeleted(CREW)).keys() == {f"{OFFICE}/{FRY}"}


def test_a_directory_is_there_until_it_is_removed_and_its_tokens_with_it() -> None:
    okta = sealed(OKTA, "Okta of the crew")
    history = feed(OKTA), token(TOKEN, OKTA), feed(ENTRA), token(OTHER_TOKEN, ENTRA), DirectoryRenamed(OKTA, okta)
    rows = fold(*history)
    assert rows.rows[DIRECTORIES.name][OKTA] == DirectoryRow(OKTA, okta, "scim", Instant(10))
    assert rows.rows[TOKENS.name][TOKEN] == TokenRow(TOKEN, OKTA, b"hash of tok_one", Instant(20))
    rows = fold(*history, DirectoryRemoved(OKTA))
    assert rows.rows[DIRECTORIES.name].keys() == {ENTRA}
    assert rows.rows[TOKENS.name].keys() == {OTHER_TOKEN}


def test_a_revoked_token_is_gone() -> None:
    history = feed(OKTA), token(TOKEN, OKTA), token(OTHER_TOKEN, OKTA)
    assert rows_of(TOKENS, *history, DirectoryTokenRevoked(TOKEN, OKTA)).keys() == {OTHER_TOKEN}


def test_a_directorys_people_stay() -> None:
    assert rows_of(USERS, feed(OKTA), CAME, DirectoryRemoved(OKTA)).keys() == {FRY}
