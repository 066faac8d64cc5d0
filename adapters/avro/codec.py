"""The codec: `0x00 ‖ schema id ‖ Avro body`, whose body begins with what the sequencer stamps.

The body is written in three parts that follow each other: the stamp and head, which differ for each event; who and why,
which all events of a command share and is encoded once; and the event's own fields. Stored bytes are never re-encoded.
"""

import io
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

from fastavro import parse_schema, schemaless_reader

from adapters.avro.decode import begins_so, head_of
from adapters.avro.encode import array, long, put_for, put_long, put_string
from adapters.avro.shape import HEAD, SEALED, SHARED, STAMP
from domain.capabilities import EVENTS
from domain.event import MOST_BYTES, Entry, Event, Instant, Meta, Sealed
from domain.ids import TenantId
from domain.ledger import TooLarge
from schemas import registry

MAGIC: Final = b"\x00"
_SHARED_FIELDS: Final = tuple((field["name"], put_for(field["type"])) for field in SHARED)
_put_longs = array(put_long)
_put_strings = array(put_string)
_MOST_STAMP: Final = 5 + 10 + 10 + 3 + 37
"""Framing, position, instant, the count of nths, event id."""
_PREFIX_FIELDS: Final = len(STAMP) + len(HEAD) + len(SHARED)


class _Writer(NamedTuple):
    frame: bytes
    fields: tuple[tuple[str, Any], ...]


class _Reader(NamedTuple):
    event: str
    is_ordinary: bool
    """Whether its prefix can be decoded by hand."""
    whole: Any
    prefix: Any
    own: Any
    build: Callable[[dict[str, Any]], Event]


class Body(NamedTuple):
    """An event's parts as far as they are known before it has its place: who and why, its own fields, its tags."""

    shared: bytes
    own: bytes
    tags: bytes


class Prefix(NamedTuple):
    """What an index needs to know of an event: all but its own fields, which begin at `own`."""

    event: str
    """The event's class."""
    position: int
    instant: Instant
    nth: list[int]
    event_id: str
    tags: list[str]
    command_id: str
    idempotency_key: bytes | None
    own: int


class Encoded(NamedTuple):
    """Stored bytes, and where the event's own fields begin in them."""

    stored: bytes
    own: int


def encode_shared(meta: Meta) -> bytes:
    """Who and why: once for all events of a command."""
    out: list[bytes] = []
    for name, put in _SHARED_FIELDS:
        put(out, getattr(meta, name))
    return b"".join(out)


def encode_own(event: Event) -> bytes:
    """The event's own fields."""
    out: list[bytes] = []
    for name, put in _writer(type(event)).fields:
        put(out, getattr(event, name))
    return b"".join(out)


def encode_tags(tags: list[str]) -> bytes:
    """The tags."""
    out: list[bytes] = []
    _put_strings(out, tags)
    return b"".join(out)


def frame(event: type[Event], position: int, instant: int, nth: list[int], event_id: str, body: Body) -> Encoded:
    """The stored bytes of an event that has its place."""
    out = [_writer(event).frame, long(position), long(instant)]
    _put_longs(out, nth)
    put_string(out, event_id)
    out.append(body.tags)
    out.append(body.shared)
    before = b"".join(out)
    return Encoded(before + body.own, len(before))


def must_fit(event: Event, body: Body, tags: int) -> None:
    """Raises TooLarge if the event with so many tags could take more than 65,535 bytes wherever it is placed."""
    most = _MOST_STAMP + 10 * tags + len(body.shared) + len(body.own) + len(body.tags)
    if most > MOST_BYTES:
        raise TooLarge(f"{event.type_name} would take {most} bytes; at most {MOST_BYTES} fit: send less at once")


def decode_own(stored: bytes, own: int) -> Event:
    """The event alone, without who and why."""
    reader = _reader(struct.unpack_from(">I", stored, 1)[0])
    source = io.BytesIO(stored)
    source.seek(own)
    fields: Any = schemaless_reader(source, reader.own)
    return reader.build(fields)


def decode_prefix(stored: bytes) -> Prefix:
    """Raises KeyError for a schema that this version doesn't know."""
    reader = _reader(struct.unpack_from(">I", stored, 1)[0])
    head = head_of(stored) if reader.is_ordinary else None
    if head is not None:
        position, instant, nth, event_id, tags, command_id, key, own = head
        return Prefix(reader.event, position, Instant(instant), nth, event_id, tags, command_id, key, own)
    source = io.BytesIO(stored)
    source.seek(5)
    fields: Any = schemaless_reader(source, reader.prefix)
    return Prefix(
        reader.event,
        fields["position"],
        fields["recorded_at"],
        fields["nth"],
        fields["event_id"],
        fields["tags"],
        fields["command_id"],
        fields["idempotency_key"],
        source.tell(),
    )


def decode_entry(tenant: TenantId, stored: bytes) -> Entry:
    """Everything that the stored bytes say."""
    schema = struct.unpack_from(">I", stored, 1)[0]
    reader = _reader(schema)
    fields: Any = schemaless_reader(io.BytesIO(memoryview(stored)[5:]), reader.whole)
    position, instant, nth = fields.pop("position"), fields.pop("recorded_at"), fields.pop("nth")
    meta = Meta(
        event_id=fields.pop("event_id"),
        actor_kind=fields.pop("actor_kind"),
        actor_id=fields.pop("actor_id"),
        on_behalf_of=tuple(fields.pop("on_behalf_of")),
        credential_id=fields.pop("credential_id"),
        authority_permission=fields.pop("authority_permission"),
        authority_decision=fields.pop("authority_decision"),
        authority_policies=tuple(fields.pop("authority_policies")),
        authority_position=fields.pop("authority_position"),
        command_id=fields.pop("command_id"),
        causation_id=fields.pop("causation_id"),
        correlation_id=fields.pop("correlation_id"),
        idempotency_key=fields.pop("idempotency_key"),
        idempotency_body=fields.pop("idempotency_body"),
        request=_sealed(fields.pop("request")),
        request_address=fields.pop("request_address"),
        tags=tuple(fields.pop("tags")),
    )
    return Entry(tenant, position, Instant(instant), reader.build(fields), meta, tuple(nth), schema)


@cache
def _writer(event: type[Event]) -> _Writer:
    current = registry.current()
    schema = next(current[each.__name__] for each in event.__mro__ if each.__name__ in current)
    fields = schema.avro["fields"][_PREFIX_FIELDS:]
    puts = tuple((field["name"], put_for(field["type"])) for field in fields)
    return _Writer(MAGIC + struct.pack(">I", schema.id), puts)


@cache
def _reader(schema: int) -> _Reader:
    released = registry.by_id()[schema]
    plain = _without_logical_types(released.avro)
    prefix = {**plain, "fields": plain["fields"][:_PREFIX_FIELDS]}
    own = {**plain, "fields": [_with_sealed(field) for field in plain["fields"][_PREFIX_FIELDS:]]}
    _spell_out_sealed_once(own["fields"])
    build = _builder(EVENTS[released.event], own["fields"])
    ordinary = begins_so(released.avro["fields"])
    return _Reader(released.event, ordinary, parse_schema(plain), parse_schema(prefix), parse_schema(own), build)


def _builder(event: type[Event], fields: list[dict[str, Any]]) -> Callable[[dict[str, Any]], Event]:
    """A function that makes the event of the fields fastavro read: sealed values and tuples made whole."""
    lifts: dict[str, Callable[[Any], Any]] = {}
    for field in fields:
        text = str(field["type"])
        if "Sealed" in text:
            lifts[field["name"]] = _sealed
        elif "array" in text:
            lifts[field["name"]] = tuple
    todo = tuple(lifts.items())

    def build(values: dict[str, Any]) -> Event:
        for name, lift in todo:
            values[name] = lift(values[name])
        return event(**values)

    return build


def _sealed(value: dict[str, Any] | None) -> Sealed | None:
    return None if value is None else Sealed(value["key"], value["nonce"], value["ciphertext"], value["eq"])


def _without_logical_types(schema: Any) -> Any:
    """Instants are read as the numbers they are: datetime objects cost more than the rest of the event."""
    if isinstance(schema, dict):
        return {key: _without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(each) for each in schema]
    return schema


def _with_sealed(field: dict[str, Any]) -> dict[str, Any]:
    kind = field["type"]
    if isinstance(kind, list) and isinstance(kind[1], dict) and kind[1].get("name") == "Sealed":
        return {**field, "type": ["null", "muniment.Sealed"]}
    return field


def _spell_out_sealed_once(fields: list[dict[str, Any]]) -> None:
    for place, field in enumerate(fields):
        if field["type"] == ["null", "muniment.Sealed"]:
            fields[place] = {**field, "type": ["null", SEALED]}
            return
        if field["type"] == "muniment.Sealed":
            fields[place] = {**field, "type": SEALED}
            return
