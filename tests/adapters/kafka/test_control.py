"""Control records: the bytes of then, what anybody's Avro reads of them, and nothing else taken for one."""

import io
import struct
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from adapters.kafka.control import NotControl, TakeOver, decode_takeover, encode_takeover, is_control
from schemas.registry import by_id, control
from tests.golden import golden_events

TAKEN = TakeOver(
    epoch=7,
    generation=3,
    address="http://node-2.example:8000",
    sequence=4_000_000,
    chain=bytes(range(32)),
    recorded_at=1_700_000_000_000_042,
)
GOLDEN = bytes.fromhex(
    "00000000320e0634687474703a2f2f6e6f64652d322e6578616d706c653a3830303080a4e80340"
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fd480f28183898506"
)
"""As released: never changed, since bytes like these are in the topics of everybody who runs Muniment."""

longs = st.integers(-(2**63), 2**63 - 1)
take_overs = st.builds(
    TakeOver, longs, longs, st.text(max_size=100), longs, st.binary(max_size=64), st.integers(0, 2**62)
)


def test_the_bytes_are_those_of_then() -> None:
    assert encode_takeover(TAKEN) == GOLDEN
    assert decode_takeover(GOLDEN) == TAKEN


@given(taken=take_overs)
def test_what_is_written_is_read(taken: TakeOver) -> None:
    value = encode_takeover(taken)
    assert is_control(value)
    assert decode_takeover(value) == taken


@given(taken=take_overs)
def test_the_bytes_are_what_any_avro_writer_makes(taken: TakeOver) -> None:
    schema = control()["OwnerTookOver"]
    written = io.BytesIO()
    plain: Any = {name: getattr(taken, name) for name in taken.__struct_fields__}
    schemaless_writer(written, parse_schema(without_times(schema.avro)), plain)
    assert encode_takeover(taken) == b"\x00" + struct.pack(">I", schema.id) + written.getvalue()


def without_times(avro: dict[str, Any]) -> dict[str, Any]:
    kept = [{**field, "type": "long"} if isinstance(field["type"], dict) else field for field in avro["fields"]]
    return {**avro, "fields": kept}


def test_any_avro_reader_reads_it_with_the_published_schema() -> None:
    magic, number = struct.unpack(">BI", GOLDEN[:5])
    assert magic == 0
    read: Any = schemaless_reader(io.BytesIO(GOLDEN[5:]), parse_schema(by_id()[number].avro), None)
    assert round(read.pop("recorded_at").timestamp() * 1_000_000) == TAKEN.recorded_at
    assert read == {name: getattr(TAKEN, name) for name in ("epoch", "generation", "address", "sequence", "chain")}


def test_no_event_is_a_control_record() -> None:
    for kept in golden_events():
        assert not is_control(kept.stored)
        with pytest.raises(NotControl, match="not OwnerTookOver"):
            decode_takeover(kept.stored)


@pytest.mark.parametrize("length", range(len(GOLDEN)))
def test_a_cut_record_is_refused(length: int) -> None:
    with pytest.raises(NotControl):
        decode_takeover(GOLDEN[:length])


def test_a_longer_record_is_refused() -> None:
    with pytest.raises(NotControl, match="bytes follow"):
        decode_takeover(GOLDEN + b"\x00")


@given(body=st.binary(max_size=200), framed=st.booleans())
def test_anything_is_read_or_refused(body: bytes, framed: bool) -> None:
    value = GOLDEN[:5] + body if framed else body
    try:
        taken = decode_takeover(value)
    except NotControl:
        return
    assert isinstance(taken, TakeOver)
