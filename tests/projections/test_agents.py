"""Keys, as they follow from events."""

import msgspec

from domain.agents import ApiKeyIssued, ApiKeyRevoked, ApiKeyRotated, OperatorKeyIssued, OperatorKeyRevoked
from domain.event import Code, Instant
from domain.ids import OperatorId
from projections.agents import API_KEYS, OPERATOR_KEYS, ApiKeyRow, OperatorKeyRow
from tests.domain.people import FRY, KEY, OTHER_KEY, issued, sealed
from tests.projections.folding import fold, rows_of

ISSUED = ApiKeyIssued(KEY, FRY, b"one", (Code("users:read"),), sealed(FRY, "ci"), Instant(99))
OPERATOR = OperatorId("opr_nibbler")


def test_a_key_is_issued_rotated_and_revoked() -> None:
    issued_row = ApiKeyRow(KEY, FRY, b"one", ("users:read",), Instant(10), Instant(10), sealed(FRY, "ci"), Instant(99))
    rotated_row = msgspec.structs.replace(
        issued_row, secret_hash=b"two", former_hash=b"one", former_until=Instant(50), changed_at=Instant(20)
    )
    revoked_row = msgspec.structs.replace(rotated_row, revoked_at=Instant(30), changed_at=Instant(30))
    events = ISSUED, ApiKeyRotated(KEY, b"two", b"one", Instant(50)), ApiKeyRevoked(KEY)
    for number, row in enumerate((issued_row, rotated_row, revoked_row), 1):
        assert rows_of(API_KEYS, *events[:number]) == {KEY: row}


def test_keys_are_found_by_their_holder() -> None:
    rows = fold(ISSUED, issued(OTHER_KEY))
    assert [key for key, _ in rows.find(API_KEYS, "holder", FRY)] == [KEY]


def test_an_operators_key_is_there_until_it_is_revoked() -> None:
    first, second = OperatorKeyIssued(OPERATOR, KEY, b"one"), OperatorKeyIssued(OPERATOR, OTHER_KEY, b"two")
    assert rows_of(OPERATOR_KEYS, first) == {KEY: OperatorKeyRow(OPERATOR, KEY, b"one", Instant(10))}
    rotated = first, OperatorKeyRevoked(OPERATOR, KEY), second
    assert rows_of(OPERATOR_KEYS, *rotated) == {OTHER_KEY: OperatorKeyRow(OPERATOR, OTHER_KEY, b"two", Instant(30))}
