"""What a record's headers say, and that marks come back as they were."""

import struct
from base64 import b64decode
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kafka.control import TakeOver, encode_takeover
from adapters.kafka.headers import (
    COMMIT,
    SCHEMA,
    CommitMark,
    control_headers_of,
    headers_of,
    mark_of,
    schema_header,
    schema_of,
)
from domain.ids import TenantId
from schemas.registry import by_id
from tests.golden import GoldenEvent, golden_events

TENANT = TenantId("ten_018bcfe5680000000000000000000001")
EVENT_ID = "018bcfe5-6800-7000-8000-000000000001"
MARK = CommitMark(bytes(range(16)), 2, 5, 7, 41)
INSTANT = 1_700_000_000_000_042

marks = st.builds(
    CommitMark,
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
)
any_headers = st.lists(st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=50)), max_size=12)


@pytest.mark.parametrize("kept", golden_events(), ids=lambda kept: kept.event)
def test_an_event_is_a_cloud_event_in_binary_mode(kept: GoldenEvent) -> None:
    """CloudEvents 1.0, Kafka protocol binding, §3.2: all that is required, as text."""
    headers = headers_of(kept.stored, EVENT_ID, INSTANT, TENANT, MARK)
    said = {name: value.decode() for name, value in headers}
    assert said.pop(COMMIT).isascii()
    schema = by_id()[kept.id]
    assert said == {
        "ce_specversion": "1.0",
        "ce_id": EVENT_ID,
        "ce_source": f"/tenants/{TENANT}",
        "ce_type": f"{schema.avro['namespace']}.{kept.event}",
        "ce_time": "2023-11-14T22:13:20.000042Z",
        "ce_dataschema": f"/schema-registry/schemas/ids/{kept.id}",
        "content-type": "application/avro",
    }
    assert said["ce_type"].startswith("muniment.")


def test_the_schema_is_found_relative_to_the_node() -> None:
    said = dict(headers_of(golden_events()[0].stored, EVENT_ID, INSTANT, TENANT, MARK))
    found = urljoin("https://node.example:8000/anything", said["ce_dataschema"].decode())
    assert urlsplit(found).path == "/schema-registry/schemas/ids/1"


def test_the_mark_is_one_packed_header() -> None:
    said = dict(headers_of(golden_events()[0].stored, EVENT_ID, INSTANT, TENANT, MARK))
    assert b64decode(said[COMMIT]) == bytes(range(16)) + struct.pack(">IIQQ", 2, 5, 7, 41)


def test_a_control_record_is_a_cloud_event_of_the_ledger() -> None:
    value = encode_takeover(TakeOver(7, 3, "http://node:8000", 40, bytes(32), INSTANT))
    headers = control_headers_of(value, INSTANT, MARK)
    assert mark_of(headers) == MARK
    assert {name: value.decode() for name, value in headers if name != COMMIT} == {
        "ce_specversion": "1.0",
        "ce_id": "000102030405060708090a0b0c0d0e0f-2",
        "ce_source": "/ledger",
        "ce_type": "muniment.control.OwnerTookOver",
        "ce_time": "2023-11-14T22:13:20.000042Z",
        "ce_dataschema": f"/schema-registry/schemas/ids/{struct.unpack('>I', value[1:5])[0]}",
        "content-type": "application/avro",
    }


@given(mark=marks, instant=st.integers(0, 253_402_300_799_999_999), before=any_headers)
def test_a_mark_comes_back_whatever_others_add(
    mark: CommitMark, instant: int, before: list[tuple[str, bytes | None]]
) -> None:
    headers = headers_of(golden_events()[0].stored, EVENT_ID, instant, TENANT, mark)
    others = [each for each in before if each[0] != COMMIT]
    assert mark_of(headers) == mark
    assert mark_of([*others, *headers, *others]) == mark
    time = datetime.fromisoformat(dict(headers)["ce_time"].decode())
    assert (time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() == pytest.approx(instant / 1e6, abs=1e-3)
    assert time.microsecond == instant % 1_000_000


@given(headers=any_headers, value=st.none() | st.binary(max_size=60) | st.binary(min_size=56, max_size=56))
def test_what_is_no_mark_is_none(headers: list[tuple[str, bytes | None]], value: bytes | None) -> None:
    others = [each for each in headers if each[0] != COMMIT]
    assert mark_of(others) is None
    assert mark_of([*others, (COMMIT, value)]) is None


def test_records_without_headers_have_no_mark_and_no_schema() -> None:
    assert mark_of(None) is None
    assert schema_of(None) is None
    assert schema_of([("a", b"b")]) is None
    assert schema_header(b"\0\0\0\1\0 and so on") == (SCHEMA, b"256")
    assert schema_of([("a", b"b"), (SCHEMA, b"256")]) == b"256"


def test_bytes_of_no_schema_of_ours_have_no_headers() -> None:
    with pytest.raises(KeyError):
        headers_of(b"\x00\xff\xff\xff\xff", EVENT_ID, INSTANT, TENANT, MARK)
