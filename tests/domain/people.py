"""People, groups and other things that the tests' histories are about, and sealed values that nobody can open."""

import hashlib

from domain.agents import ApiKeyIssued
from domain.directory.feeds import DirectoryCreated, DirectoryTokenIssued
from domain.directory.life import GroupCreated, UserDeleted, UserProvisioned
from domain.directory.unique import Unique
from domain.directory.users import UserExternalIdChanged, UserRenamed
from domain.event import Code, Sealed
from domain.flags import FlagDefined
from domain.ids import CredentialId, DirectoryId, FlagId, GroupId, Handle, RoleId, TenantId, UserId

PLANET_EXPRESS = TenantId("ten_planet_express")
HUBERT, LEELA, FRY, BENDER, ZAPP = (UserId(f"usr_{name}") for name in ("hubert", "leela", "fry", "bender", "zapp"))
CREW, OFFICE = GroupId("grp_crew"), GroupId("grp_office")
PILOT, CLERK = RoleId("rol_pilot"), RoleId("rol_clerk")
OKTA, ENTRA = DirectoryId("dir_okta"), DirectoryId("dir_entra")
KEY, OTHER_KEY = CredentialId("key_one"), CredentialId("key_two")
TOKEN, OTHER_TOKEN = CredentialId("tok_one"), CredentialId("tok_two")
DARK, FAST = FlagId("flg_dark"), FlagId("flg_fast")


def sealed(subject: str, text: str) -> Sealed:
    """As the keyring seals: equal values of one subject are the same, those of two subjects never are."""
    eq = hashlib.sha256(f"{subject}|{text}".encode()).digest()[:16]
    return Sealed(f"dek_{subject}", b"n" * 12, b"\x00cannot be opened\xff", eq)


def handle(text: str, attribute: str = "name") -> Handle:
    return Handle(f"hdl_{attribute}_{text}")


def named(user: UserId, text: str) -> Unique:
    """A user name, as this user's."""
    return Unique(sealed(user, text), handle(text))


def known_as(subject: str, text: str) -> Unique:
    """An external id, as this user's or group's."""
    return Unique(sealed(subject, text), handle(text, "external"))


def provisioned(user: UserId, name: str = "", external_id: str | None = None, active: bool = True) -> UserProvisioned:
    """The user has come, named like their id if nothing else is said."""
    unique = named(user, name or user[4:])
    external = known_as(user, external_id) if external_id else None
    return UserProvisioned(
        user,
        unique.value,
        unique.handle,
        display_name=sealed(user, "display"),
        external_id=external.value if external else None,
        external_id_handle=external.handle if external else None,
        active=active,
    )


def deleted(user: UserId, name: str = "", external_id: str | None = None) -> UserDeleted:
    return UserDeleted(user, handle(name or user[4:]), handle(external_id, "external") if external_id else None)


def created(group: GroupId, external_id: str | None = None) -> GroupCreated:
    external = known_as(group, external_id) if external_id else None
    return GroupCreated(
        group,
        sealed(group, group[4:]),
        external_id=external.value if external else None,
        external_id_handle=external.handle if external else None,
    )


def feed(directory: DirectoryId) -> DirectoryCreated:
    return DirectoryCreated(directory, sealed(directory, directory[4:]), Code("scim"))


def token(credential: CredentialId, directory: DirectoryId) -> DirectoryTokenIssued:
    return DirectoryTokenIssued(credential, directory, b"hash of " + credential.encode())


def issued(credential: CredentialId, holder: TenantId | UserId = PLANET_EXPRESS) -> ApiKeyIssued:
    return ApiKeyIssued(credential, holder, b"hash of " + credential.encode(), (Code("users:read"),))


def flag(which: FlagId) -> FlagDefined:
    variants = Code('{"on":true,"off":false}')
    return FlagDefined(which, Code(which[4:]), Code("boolean"), variants, Code("off"), Code("off"))


def renamed(user: UserId, new: str, former: str) -> UserRenamed:
    unique = named(user, new)
    return UserRenamed(user, unique.value, unique.handle, handle(former))


def external(text: str) -> Handle:
    """What stands for an external id."""
    return handle(text, "external")


def user_known_as(user: UserId, new: str | None, former: str | None) -> UserExternalIdChanged:
    """The user's external id has changed."""
    unique = known_as(user, new) if new else None
    return UserExternalIdChanged(
        user,
        unique.value if unique else None,
        unique.handle if unique else None,
        external(former) if former else None,
    )
