"""API keys and operators' keys: only hashes are kept, a rotation overlaps, a key ends with its holder."""

from domain.agents import (
    ApiKeyIssued,
    ApiKeyRevoked,
    ApiKeyRotated,
    IssueApiKey,
    OperatorKeyIssued,
    OperatorKeyRevoked,
    RevokeApiKey,
    RotateApiKey,
    RotateOperatorKey,
)
from domain.command import Missing, Refused, Taken
from domain.directory.life import SubjectErased, UserDeactivated, UserReactivated
from domain.event import Code, Instant
from domain.ids import OperatorId, TenantId, UserId
from tests.domain.given import BEFORE, LATER, NOW, given
from tests.domain.people import FRY, KEY, OTHER_KEY, PLANET_EXPRESS, deleted, issued, provisioned, sealed

READ = (Code("users:read"),)
OPERATOR = OperatorId("opr_nibbler")


def issue(holder: TenantId | UserId, expires_at: Instant | None = None) -> IssueApiKey:
    return IssueApiKey(KEY, holder, b"hash", READ, sealed(holder, "ci"), expires_at)


def expiring(at: Instant) -> ApiKeyIssued:
    return ApiKeyIssued(KEY, PLANET_EXPRESS, b"hash of key_one", READ, None, at)


def test_a_key_of_the_tenant_is_issued() -> None:
    expected = ApiKeyIssued(KEY, PLANET_EXPRESS, b"hash", READ, sealed(PLANET_EXPRESS, "ci"), LATER)
    given().when(issue(PLANET_EXPRESS, LATER)).then(expected)


def test_an_active_user_holds_a_key() -> None:
    expected = ApiKeyIssued(KEY, FRY, b"hash", READ, sealed(FRY, "ci"))
    given(provisioned(FRY)).when(issue(FRY)).then(expected)
    given(provisioned(FRY), UserDeactivated(FRY), UserReactivated(FRY)).when(issue(FRY)).then(expected)


def test_nobody_else_holds_one() -> None:
    for history in (
        (),
        (provisioned(FRY, active=False),),
        (provisioned(FRY), UserDeactivated(FRY)),
        (provisioned(FRY), deleted(FRY)),
        (provisioned(FRY), deleted(FRY), SubjectErased(FRY, ())),
    ):
        given(*history).when(issue(FRY)).then_refused("only an active user can hold a key", Refused)


def test_a_key_is_issued_once() -> None:
    given(issued(KEY)).when(issue(PLANET_EXPRESS)).then_refused("exists already", Taken)
    given(issued(KEY), ApiKeyRevoked(KEY)).when(issue(PLANET_EXPRESS)).then_refused("exists already", Taken)


def test_a_key_does_not_begin_expired() -> None:
    given().when(issue(PLANET_EXPRESS, NOW)).then_refused("not in the future", Refused)


def rotated(before: bytes, until: Instant = LATER) -> ApiKeyRotated:
    return ApiKeyRotated(KEY, b"new", before, until)


def test_a_rotated_key_overlaps_with_the_secret_before_it() -> None:
    given(issued(KEY)).when(RotateApiKey(KEY, b"new", LATER)).then(rotated(b"hash of key_one"))
    once = ApiKeyRotated(KEY, b"second", b"hash of key_one", LATER)
    given(issued(KEY), once).when(RotateApiKey(KEY, b"new", LATER)).then(rotated(b"second"))


def test_an_overlap_that_is_over_ends_now() -> None:
    given(issued(KEY)).when(RotateApiKey(KEY, b"new", BEFORE)).then(rotated(b"hash of key_one", NOW))


def test_rotating_to_the_same_secret_changes_nothing() -> None:
    given(issued(KEY)).when(RotateApiKey(KEY, b"hash of key_one", LATER)).then_nothing()


def test_what_does_not_open_anything_is_not_rotated() -> None:
    rotate = RotateApiKey(KEY, b"new", LATER)
    given().when(rotate).then_refused("does not exist", Missing)
    given(issued(KEY), ApiKeyRevoked(KEY)).when(rotate).then_refused("is revoked", Missing)
    given(expiring(NOW)).when(rotate).then_refused("has expired", Refused)
    given(expiring(LATER)).when(rotate).then(rotated(b"hash of key_one"))


def test_a_key_ends_with_its_holder() -> None:
    rotate = RotateApiKey(KEY, b"new", LATER)
    given(provisioned(FRY), issued(KEY, FRY)).when(rotate).then(rotated(b"hash of key_one"))
    gone = provisioned(FRY), issued(KEY, FRY), deleted(FRY)
    given(*gone).when(rotate).then_refused("ended with its holder", Missing)
    given(*gone, SubjectErased(FRY, ())).when(rotate).then_refused("ended with its holder", Missing)


def test_a_key_is_revoked_once() -> None:
    given(issued(KEY)).when(RevokeApiKey(KEY)).then(ApiKeyRevoked(KEY))
    given(issued(KEY), ApiKeyRevoked(KEY)).when(RevokeApiKey(KEY)).then_nothing()
    given(issued(OTHER_KEY), ApiKeyRevoked(OTHER_KEY)).when(RevokeApiKey(KEY)).then_refused("does not exist", Missing)


def test_an_expired_key_or_one_whose_holder_is_gone_can_be_revoked() -> None:
    given(expiring(BEFORE)).when(RevokeApiKey(KEY)).then(ApiKeyRevoked(KEY))
    given(provisioned(FRY), issued(KEY, FRY), deleted(FRY)).when(RevokeApiKey(KEY)).then(ApiKeyRevoked(KEY))


def test_an_operators_new_key_revokes_the_one_before() -> None:
    first, second = OperatorKeyIssued(OPERATOR, KEY, b"one"), OperatorKeyIssued(OPERATOR, OTHER_KEY, b"two")
    revoked = OperatorKeyRevoked(OPERATOR, KEY)
    given().when(RotateOperatorKey(OPERATOR, KEY, b"one")).then(first)
    given(first).when(RotateOperatorKey(OPERATOR, OTHER_KEY, b"two")).then(revoked, second)
    third = RotateOperatorKey(OPERATOR, KEY, b"three")
    expected = OperatorKeyRevoked(OPERATOR, OTHER_KEY), OperatorKeyIssued(OPERATOR, KEY, b"three")
    given(OperatorKeyIssued(OPERATOR, OTHER_KEY, b"two")).when(third).then(*expected)


def test_an_operators_key_does_not_replace_itself() -> None:
    first = OperatorKeyIssued(OPERATOR, KEY, b"one")
    given(first).when(RotateOperatorKey(OPERATOR, KEY, b"two")).then_refused("make one with a new id", Taken)


def test_one_operator_does_not_revoke_anothers_key() -> None:
    others = OperatorKeyIssued(OperatorId("opr_fnog"), OTHER_KEY, b"two")
    given(others).when(RotateOperatorKey(OPERATOR, KEY, b"one")).then(OperatorKeyIssued(OPERATOR, KEY, b"one"))
