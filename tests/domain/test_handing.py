"""Who may hand on what, for how long, and in whose name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access.check import TENANT_PERMISSIONS, Held, Subject, all_permissions, decide_access, end_of
from domain.access.handing import ANOTHERS, FORMER, OUTLASTS, Given, Giver, Handing, objection
from domain.access.owners import OWNER
from domain.ids import RoleId, UserId

FRY, LEELA = UserId("usr_fry"), UserId("usr_leela")
READ, KEYS = "users:read", "keys:manage"
OURS = frozenset({READ, "users:erase", KEYS})
NOW = 100

some = st.frozensets(st.sampled_from([READ, "users:erase", KEYS, "roles:assign", "forms:stamp", "tenants:create"]))
ends = st.none() | st.integers(NOW - 2, NOW + 2)
roles = st.lists(st.builds(Held, st.sampled_from([RoleId("rol_1"), OWNER]), some, ends), max_size=4).map(tuple)
subjects = st.builds(Subject, some, st.none() | roles)


def key(*permissions: str, roles: tuple[Held, ...] | None = None) -> Subject:
    return Subject(frozenset(permissions), roles)


def role(*permissions: str, until: int | None = None, id: str = "rol_1") -> Held:
    return Held(RoleId(id), frozenset(permissions), until)


def judged(
    giver: Giver, *given: Given, holder: UserId | None = None, within: frozenset[str] = frozenset()
) -> str | None:
    return objection(giver, Handing(given, "beyond", within=within, holder=holder), OURS, NOW)


@given(subjects)
def test_all_that_one_may_is_what_the_decision_says_of_each(subject: Subject) -> None:
    assert all_permissions(subject, NOW) == {
        each for each in TENANT_PERMISSIONS if decide_access(subject, each, NOW).allowed
    }


@given(subjects, st.sampled_from([READ, KEYS, "users:erase"]))
def test_the_end_of_what_is_granted_is_where_the_decision_turns(subject: Subject, action: str) -> None:
    if not decide_access(subject, action, NOW).allowed:
        return
    end = end_of(subject, [action], NOW)
    assert decide_access(subject, action, NOW + 10 if end is None else end - 1).allowed
    assert end is None or not decide_access(subject, action, end).allowed


def test_what_one_has_may_be_given_and_more_may_not() -> None:
    giver = Giver(key(KEYS, READ), "key_1", KEYS)
    assert judged(giver, Given(frozenset({READ}))) is None
    assert judged(giver, Given(frozenset({READ, "users:erase"}))) == "beyond"
    assert judged(giver, within=frozenset({"users:erase"})) == "beyond"


def test_the_products_own_permissions_may_be_given_by_anybody() -> None:
    assert judged(Giver(key(KEYS), "key_1", KEYS), Given(frozenset({"forms:stamp"}))) is None


@pytest.mark.parametrize(("until", "because"), [(None, OUTLASTS), (151, OUTLASTS), (150, None), (120, None)])
def test_nothing_outlasts_the_key_by_which_it_was_given(until: int | None, because: str | None) -> None:
    giver = Giver(key(KEYS, READ), "key_1", KEYS, expires_at=150)
    assert judged(giver, Given(frozenset({READ}), until)) == because


@pytest.mark.parametrize(("until", "because"), [(None, OUTLASTS), (151, OUTLASTS), (150, None)])
def test_nothing_outlasts_the_assignment_that_let_it_be_given(until: int | None, because: str | None) -> None:
    giver = Giver(key(KEYS, READ, roles=(role(READ), role(KEYS, until=150))), FRY, KEYS)
    assert judged(giver, Given(frozenset({READ}), until)) == because


def test_a_role_without_an_end_that_covers_it_sets_no_limit() -> None:
    giver = Giver(key(KEYS, READ, roles=(role(KEYS, READ, until=150), role(KEYS, READ, id="rol_2"))), FRY, KEYS)
    assert judged(giver, Given(frozenset({READ}))) is None


def test_ones_own_key_is_bounded_by_ones_roles_anyway_and_needs_no_end_of_theirs() -> None:
    subject = key(KEYS, READ, roles=(role(KEYS, READ, until=150),))
    assert judged(Giver(subject, FRY, KEYS), Given(frozenset({READ})), holder=FRY) is None
    assert judged(Giver(subject, FRY, KEYS, expires_at=120), Given(frozenset({READ})), holder=FRY) == OUTLASTS


def test_only_the_user_an_owner_and_an_operator_give_what_acts_in_a_users_name() -> None:
    what = Given(frozenset({READ}))
    owner = (role(id=OWNER),)
    assert judged(Giver(key(KEYS, READ), "key_1", KEYS), what, holder=FRY) == ANOTHERS
    assert judged(Giver(key(KEYS, READ, roles=(role(KEYS, READ),)), LEELA, KEYS), what, holder=FRY) == ANOTHERS
    assert judged(Giver(key(KEYS, READ, roles=(role(KEYS, READ),)), FRY, KEYS), what, holder=FRY) is None
    assert judged(Giver(key(KEYS, READ, roles=owner), LEELA, KEYS), what, holder=FRY) is None
    assert judged(Giver(Subject(frozenset(), operator=True), "opr_1", KEYS), what, holder=FRY) is None


def test_a_former_secret_hands_nothing_on() -> None:
    assert judged(Giver(key(KEYS, READ), "key_1", KEYS, former=True), Given(frozenset({READ}))) == FORMER
