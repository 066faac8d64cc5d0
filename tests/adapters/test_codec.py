"""The codec writes what fastavro writes, byte for byte, and reads back what was written."""

import io
import types
import typing
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.avro.codec import (
    Body,
    decode_entry,
    decode_own,
    encode_own,
    encode_shared,
    encode_tags,
    frame,
    must_fit,
)
from domain.access.owners import RoleAssigned
from domain.capabilities import EVENTS
from domain.event import Code, Event, Instant, Meta, Sealed, annotations_of
from domain.ids import RoleId, TenantId, UserId
from domain.ledger import OpaqueRecorded, TooLarge
from schemas import registry

TENANT = TenantId("ten_1")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
LONGS = st.integers(-(2**63), 2**63 - 1)
SEALED = st.builds(Sealed, TEXT, st.binary(max_size=12), st.binary(max_size=300), st.binary(max_size=16))
METAS = st.builds(
    Meta,
    event_id=st.uuids().map(str),
    actor_kind=TEXT,
    actor_id=TEXT,
    on_behalf_of=st.lists(TEXT, max_size=3).map(tuple),
    credential_id=st.none() | TEXT,
    authority_permission=TEXT,
    authority_decision=TEXT,
    authority_policies=st.lists(TEXT, max_size=3).map(tuple),
    authority_position=st.integers(0, 2**62),
    command_id=TEXT,
    causation_id=st.none() | TEXT,
    correlation_id=TEXT,
    idempotency_key=st.none() | st.binary(max_size=32),
    idempotency_body=st.none() | st.binary(max_size=32),
    request=st.none() | SEALED,
    request_address=st.none() | TEXT,
    tags=st.lists(TEXT, max_size=16, unique=True).map(tuple),
)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    while hasattr(annotation, "__supertype__"):
        annotation = annotation.__supertype__
    if typing.get_origin(annotation) is tuple:
        return st.lists(values_of(typing.get_args(annotation)[0]), max_size=5).map(tuple)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return st.one_of([values_of(each) for each in typing.get_args(annotation)])
    known = {str: TEXT, int: LONGS, bool: st.booleans(), bytes: st.binary(max_size=200), Sealed: SEALED}
    return st.none() if annotation is type(None) else known[annotation]


def events_of(event: type[Event]) -> st.SearchStrategy[Event]:
    return st.builds(event, **{name: values_of(annotation) for name, annotation in _fields(event).items()})


def _fields(event: type[Event]) -> dict[str, Any]:
    hints = annotations_of(event)
    return {name: hints[name] for name in event.__struct_fields__}


def plain(value: Any) -> Any:
    """As fastavro takes it."""
    if isinstance(value, Sealed):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    return list(value) if isinstance(value, tuple) else value


def without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    return [without_logical_types(each) for each in schema] if isinstance(schema, list) else schema


every_event = pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.__name__)


def framed(event: Event, meta: Meta, position: int, instant: int) -> tuple[bytes, int, list[int]]:
    body = Body(encode_shared(meta), encode_own(event), encode_tags(list(meta.tags)))
    nth = [position - number for number in range(len(meta.tags))]
    stored, own = frame(type(event), position, instant, nth, meta.event_id, body)
    return stored, own, nth


@every_event
@settings(max_examples=25, deadline=None)
@given(st.data(), METAS, st.integers(1, 2**62), st.integers(0, 2**55))
def test_stored_bytes_are_what_fastavro_writes(
    event: type[Event], data: st.DataObject, meta: Meta, position: int, instant: int
) -> None:
    happened = data.draw(events_of(event))
    stored, own, nth = framed(happened, meta, position, instant)
    schema = registry.current()[event.__name__]
    record = {name: plain(getattr(meta, name)) for name in Meta.__struct_fields__}
    record |= {name: plain(getattr(happened, name)) for name in event.__struct_fields__}
    record |= {"position": position, "recorded_at": instant, "nth": nth}
    written = io.BytesIO()
    parsed = parse_schema(without_logical_types(schema.avro))
    schemaless_writer(written, parsed, record, strict=True)
    assert stored == b"\x00" + schema.id.to_bytes(4, "big") + written.getvalue()
    assert schemaless_reader(io.BytesIO(stored[5:]), parsed) == record
    entry = decode_entry(TENANT, stored)
    assert (entry.event, entry.meta, entry.position, entry.instant) == (happened, meta, position, instant)
    assert (entry.nth, entry.schema, entry.tenant) == (tuple(nth), schema.id, TENANT)
    assert decode_own(stored, own) == happened
    body = Body(encode_shared(meta), encode_own(happened), encode_tags(list(meta.tags)))
    must_fit(happened, body, len(meta.tags))


@given(st.integers(64_000, 65_600), st.lists(TEXT, max_size=16, unique=True), METAS)
@settings(max_examples=200, deadline=None)
def test_what_fits_takes_at_most_65535_bytes_wherever_it_is_placed(size: int, tags: list[str], meta: Meta) -> None:
    event = OpaqueRecorded(Code("noted"), bytes(size))
    body = Body(encode_shared(meta), encode_own(event), encode_tags(tags))
    last = 2**63 - 1
    stored, _ = frame(OpaqueRecorded, last, last, [last] * len(tags), "0" * 36, body)
    try:
        must_fit(event, body, len(tags))
    except TooLarge:
        return
    assert len(stored) <= 65_535


def test_what_does_not_fit_is_refused_with_what_to_do() -> None:
    body = Body(b"", bytes(65_535), b"")
    with pytest.raises(TooLarge, match=r"opaque:noted would take [0-9]+ bytes; .* send less at once"):
        must_fit(OpaqueRecorded(Code("noted"), b""), body, 0)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**70])
def test_a_number_that_avro_has_no_room_for_is_not_cut(number: int) -> None:
    with pytest.raises(OverflowError):
        encode_own(RoleAssigned(RoleId("rol_1"), UserId("usr_1"), Instant(number)))
