"""What is decoded by hand of an event's beginning is what fastavro decodes, also of bytes that nobody has encoded."""

import contextlib
import io
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.avro.codec import Prefix, decode_prefix
from adapters.avro.decode import begins_so, head_of
from domain.event import Code, Meta
from domain.ledger import OpaqueRecorded
from schemas import registry
from tests.adapters.test_codec import METAS, framed, without_logical_types
from tests.golden import GoldenEvent, golden_events

WANTED = ("position", "recorded_at", "nth", "event_id", "tags", "command_id", "idempotency_key")
OPAQUE = registry.current()["OpaqueRecorded"].avro
PREFIX = parse_schema(without_logical_types({**OPAQUE, "fields": OPAQUE["fields"][:20]}))
stored_bytes = st.builds(
    lambda meta, position, instant: framed(OpaqueRecorded(Code("noted"), b"abc"), meta, position, instant),
    METAS,
    st.integers(1, 2**62),
    st.integers(0, 2**55),
)


def by_fastavro(stored: bytes) -> tuple[Any, ...]:
    source = io.BytesIO(stored)
    source.seek(5)
    fields: Any = schemaless_reader(source, PREFIX, None)
    return *(fields[name] for name in WANTED), source.tell()


@pytest.mark.parametrize("schema", registry.released(), ids=lambda schema: f"{schema.event}-{schema.revision}")
def test_every_event_that_was_ever_released_begins_so(schema: registry.Schema) -> None:
    assert begins_so(schema.avro["fields"])


@pytest.mark.parametrize("kept", golden_events(), ids=lambda kept: kept.event)
def test_events_as_they_were_released_are_ordinary(kept: GoldenEvent) -> None:
    assert head_of(kept.stored) == by_fastavro(kept.stored)


def test_fields_that_differ_are_left_to_fastavro() -> None:
    fields = OPAQUE["fields"]
    assert not begins_so(fields[:19])
    assert not begins_so([fields[1], fields[0], *fields[2:]])
    assert not begins_so([{**fields[0], "type": "int"}, *fields[1:]])


@settings(max_examples=300, deadline=None)
@given(stored_bytes)
def test_it_is_what_fastavro_decodes(framed: tuple[bytes, int, list[int]]) -> None:
    stored, own, _ = framed
    found = head_of(stored)
    assert found in (None, by_fastavro(stored))
    assert decode_prefix(stored) == Prefix("OpaqueRecorded", *by_fastavro(stored))
    assert decode_prefix(stored).own == own


@settings(max_examples=300, deadline=None)
@given(METAS)
def test_short_names_are_ordinary(meta: Meta) -> None:
    stored, _, _ = framed(OpaqueRecorded(Code("noted"), b""), meta, 70, 1_800_000_000_000_000)
    is_ordinary = meta.authority_position < 2**62 and all(len(each.encode()) < 64 for each in meta_texts(meta))
    assert (head_of(stored) is not None) == is_ordinary


def meta_texts(meta: Meta) -> list[str]:
    """All that must be short: neither what is in lists nor what is sealed, but for the key's id."""
    texts = [meta.actor_kind, meta.actor_id, meta.authority_permission, meta.authority_decision, meta.command_id]
    texts += [meta.correlation_id, meta.credential_id or "", meta.causation_id or "", meta.request_address or ""]
    return [*texts, meta.request.key if meta.request else ""]


@settings(max_examples=1_000, deadline=None)
@given(stored_bytes, st.data())
def test_bytes_that_nobody_has_encoded_are_read_alike_or_not_at_all(
    framed: tuple[bytes, int, list[int]], data: st.DataObject
) -> None:
    changed = bytearray(framed[0][: data.draw(st.integers(5, len(framed[0])), "length")])
    for _ in range(data.draw(st.integers(0, 3), "changes")):
        if len(changed) > 5:
            changed[data.draw(st.integers(5, len(changed) - 1), "place")] = data.draw(st.integers(0, 255), "byte")
    found = head_of(bytes(changed))
    if found is not None:
        with contextlib.suppress(UnicodeDecodeError):  # in what is passed over here
            assert found == by_fastavro(bytes(changed))
