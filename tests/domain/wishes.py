"""Commands at random, about few enough things that they get in each other's way."""

from typing import Final

from hypothesis import strategies as st

from domain.access.owners import OWNER
from domain.access.roles import AssignRole, ChangeRole, DefineRole, ExpireAssignment, RetireRole, WithdrawRole
from domain.agents import IssueApiKey, RevokeApiKey, RotateApiKey
from domain.command import Command
from domain.directory.groups import AddMember, CreateGroup, DeleteGroup, RemoveMember, RenameGroup, ReviseGroup
from domain.directory.users import (
    ChangeProfile,
    DeactivateUser,
    DeleteUser,
    EraseUser,
    Profile,
    ProvisionUser,
    ReactivateUser,
    RenameUser,
    ReviseUser,
)
from domain.event import Code, Instant
from domain.flags import ArchiveFlag, ChangeFlagDefault, DefineFlag, SwitchFlagOff, SwitchFlagOn, TargetFlag
from domain.ids import CredentialId, FlagId, GroupId, RoleId, UserId
from tests.domain.people import PLANET_EXPRESS, known_as, named, sealed
from tests.domain.world import START

USERS: Final = [UserId(f"usr_{number}") for number in range(5)]
users = st.sampled_from(USERS)
groups = st.sampled_from([GroupId("grp_0"), GroupId("grp_1")])
plain_roles = st.sampled_from([RoleId("rol_0"), RoleId("rol_1")])
roles = st.sampled_from([OWNER, RoleId("rol_0"), RoleId("rol_1")])
keys = st.sampled_from([CredentialId("key_0"), CredentialId("key_1")])
flags = st.sampled_from([FlagId("flg_0"), FlagId("flg_1")])
texts = st.sampled_from(["ada", "bob", "cy", "dee"])
codes = st.sampled_from([Code("a"), Code("b")])
permissions = st.sampled_from([(), (Code("x:y"),)])
ends = st.none() | st.integers(0, 5).map(lambda seconds: Instant(START + seconds * 1_000_000))
subjects = users | groups
members = st.lists(users, max_size=3).map(tuple)
hashes = st.sampled_from([b"one", b"two"])
VARIANTS: Final = Code('{"a":true,"b":false}')

FURNISHED: Final[tuple[Command, ...]] = (
    ProvisionUser(USERS[0], named(USERS[0], "ada")),
    ProvisionUser(USERS[1], named(USERS[1], "bob"), external_id=known_as(USERS[1], "ada")),
    ProvisionUser(USERS[2], named(USERS[2], "cy"), external_id=known_as(USERS[2], "bob")),
    AssignRole(OWNER, USERS[0]),
    AssignRole(OWNER, USERS[1]),
    CreateGroup(GroupId("grp_0"), sealed("grp_0", "ada"), members=(USERS[0],)),
    CreateGroup(GroupId("grp_1"), sealed("grp_1", "ada"), members=(USERS[0], USERS[1])),
    DefineRole(RoleId("rol_0"), Code("a"), ()),
    DefineRole(RoleId("rol_1"), Code("b"), ()),
    DefineFlag(FlagId("flg_0"), Code("a"), Code("boolean"), VARIANTS, Code("a"), Code("b")),
    IssueApiKey(CredentialId("key_0"), USERS[1], b"one", ()),
)
"""A tenant in which something can happen."""


@st.composite
def provisions(draw: st.DrawFn) -> Command:
    user = draw(users)
    external_id = draw(st.none() | texts)
    return ProvisionUser(
        user,
        named(user, draw(texts)),
        external_id=known_as(user, external_id) if external_id else None,
        active=draw(st.sampled_from([True, True, True, False])),
    )


@st.composite
def renamings(draw: st.DrawFn) -> Command:
    user = draw(users)
    return RenameUser(user, named(user, draw(texts)))


@st.composite
def revisions(draw: st.DrawFn) -> Command:
    user = draw(users)
    name, external_id = draw(st.none() | texts), draw(st.none() | texts)
    profile = draw(st.none() | st.sampled_from([Profile(), Profile(email=sealed(user, "mail"))]))
    return ReviseUser(
        user,
        named(user, name) if name else None,
        profile,
        known_as(user, external_id) if external_id else None,
        draw(st.booleans()),
        draw(st.sampled_from([None, True, False])),
    )


@st.composite
def profiles(draw: st.DrawFn) -> Command:
    user = draw(users)
    return ChangeProfile(user, Profile(display_name=sealed(user, draw(texts))))


@st.composite
def group_names(draw: st.DrawFn) -> Command:
    group = draw(groups)
    return RenameGroup(group, sealed(group, draw(texts)))


@st.composite
def new_groups(draw: st.DrawFn) -> Command:
    group = draw(groups)
    return CreateGroup(group, sealed(group, draw(texts)), members=draw(members))


def owners() -> st.SearchStrategy[Command]:
    return st.builds(AssignRole, st.just(OWNER), users)


def about_users() -> st.SearchStrategy[Command]:
    ends = [st.builds(each, users) for each in (DeactivateUser, ReactivateUser, DeleteUser, EraseUser)]
    return st.one_of(provisions(), provisions(), owners(), renamings(), revisions(), profiles(), *ends)


def about_groups() -> st.SearchStrategy[Command]:
    return st.one_of(
        new_groups(),
        group_names(),
        st.builds(AddMember, groups, users),
        st.builds(RemoveMember, groups, users),
        st.builds(ReviseGroup, groups, members=members),
        st.builds(ReviseGroup, groups, add=members, remove=members),
        st.builds(DeleteGroup, groups),
    )


def about_access() -> st.SearchStrategy[Command]:
    return st.one_of(
        st.builds(DefineRole, plain_roles, codes, permissions),
        st.builds(ChangeRole, plain_roles, permissions),
        st.builds(RetireRole, plain_roles),
        st.builds(AssignRole, roles, subjects, ends),
        st.builds(AssignRole, plain_roles, subjects, ends),
        st.builds(WithdrawRole, roles, subjects),
        st.builds(ExpireAssignment, roles, subjects),
    )


def about_keys_and_flags() -> st.SearchStrategy[Command]:
    told = st.sampled_from([None, Code("a"), Code("b")])
    return st.one_of(
        st.builds(IssueApiKey, keys, st.just(PLANET_EXPRESS) | users, hashes, permissions),
        st.builds(RotateApiKey, keys, hashes, st.just(Instant(START))),
        st.builds(RevokeApiKey, keys),
        st.builds(DefineFlag, flags, codes, st.just(Code("boolean")), st.just(VARIANTS), codes, codes),
        st.builds(ChangeFlagDefault, flags, codes),
        st.builds(TargetFlag, flags, st.just(PLANET_EXPRESS) | users, told),
        st.builds(SwitchFlagOff, flags),
        st.builds(SwitchFlagOn, flags),
        st.builds(ArchiveFlag, flags),
    )


def wishes() -> st.SearchStrategy[Command]:
    """More about people than about anything else."""
    return st.one_of(about_users(), about_users(), about_groups(), about_access(), about_keys_and_flags())
