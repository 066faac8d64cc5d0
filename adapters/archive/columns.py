"""Stored bytes as columns: what searches ask of each event, read by hand, and the bytes themselves beside them.

What is sealed stays sealed: an event's own fields and from where it was asked are only in the stored bytes.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

import pyarrow as pa

from adapters.avro.codec import decode_entry
from adapters.avro.decode import begins_so
from domain.capabilities import EVENTS
from domain.event import Entry, Event
from domain.ids import TenantId
from schemas import registry

STORED: Final = "stored"
_TEXTS: Final = pa.list_(pa.field("element", pa.string(), nullable=False))
_NUMBERS: Final = pa.list_(pa.field("element", pa.int64(), nullable=False))

SEARCHED: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("actor_kind", pa.string(), nullable=False),
        pa.field("actor_id", pa.string(), nullable=False),
        pa.field("on_behalf_of", _TEXTS, nullable=False),
        pa.field("credential", pa.string()),
        pa.field("permission", pa.string(), nullable=False),
        pa.field("decision", pa.string(), nullable=False),
        pa.field("policies", _TEXTS, nullable=False),
        pa.field("authority_position", pa.int64(), nullable=False),
        pa.field("command", pa.string(), nullable=False),
        pa.field("causation", pa.string()),
        pa.field("correlation", pa.string(), nullable=False),
        pa.field("tags", _TEXTS, nullable=False),
        pa.field("nth", _NUMBERS, nullable=False),
        pa.field("schema_id", pa.int32(), nullable=False),
    ]
)
"""The columns of the view `events`, in this order."""
ARCHIVED: Final = SEARCHED.append(pa.field(STORED, pa.binary(), nullable=False))
"""Those of the files: what is searched, and the exact bytes that are hashed."""

_LISTS: Final = frozenset({"on_behalf_of", "policies", "tags", "nth"})


def batch_of(tenant: TenantId, rows: Sequence[tuple[int, bytes]]) -> pa.RecordBatch:
    """The columns of events, given as (position, stored bytes) in order."""
    columns = _Columns()
    for _, stored in rows:
        if not columns.read(stored):
            columns.note(decode_entry(tenant, stored), stored)
    return columns.batch()


def without_bytes(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The searched columns alone."""
    return batch.select(SEARCHED.names)


@cache
def _event_of(schema: int) -> bytes | None:
    """What ordinary events of a schema are called; None for those that must be read whole."""
    released = registry.by_id()[schema]
    ordinary = begins_so(released.avro["fields"]) and EVENTS[released.event].type_name is Event.type_name
    return released.event.encode() if ordinary else None


def _long(stored: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, and where it ends."""
    rest = stored[at]
    shift, number = 7, rest & 127
    while rest > 127:
        at += 1
        rest = stored[at]
        number |= (rest & 127) << shift
        shift += 7
    if shift > 63:
        raise ValueError("more than 63 bits")
    return (number >> 1) ^ -(number & 1), at + 1


def _text(stored: bytes, at: int) -> tuple[bytes, int]:
    size = stored[at]
    if size < 128:
        size >>= 1
        at += 1
    else:
        size, at = _long(stored, at)
    end = at + size
    return stored[at:end], end


def _some_text(stored: bytes, at: int) -> tuple[bytes | None, int]:
    """A union of null and text."""
    branch = stored[at]
    if branch == 0:
        return None, at + 1
    if branch != 2:
        raise ValueError("no such branch")
    return _text(stored, at + 1)


def _texts(stored: bytes, at: int) -> tuple[list[bytes], int]:
    """An array in one block."""
    count = stored[at]
    if count == 0:
        return [], at + 1
    if count & 129:
        raise ValueError("another form of array")
    at += 1
    texts = []
    for _ in range(count >> 1):
        size = stored[at]
        if size < 128:
            at += 1
            end = at + (size >> 1)
        else:
            size, at = _long(stored, at)
            end = at + size
        texts.append(stored[at:end])
        at = end
    if stored[at]:
        raise ValueError("another block")
    return texts, at + 1


def _numbers(stored: bytes, at: int) -> tuple[list[int], int]:
    count = stored[at]
    if count == 0:
        return [], at + 1
    if count & 129:
        raise ValueError("another form of array")
    at += 1
    numbers = []
    for _ in range(count >> 1):
        number = stored[at]
        if number < 128:
            number = (number >> 1) ^ -(number & 1)
            at += 1
        else:
            number, at = _long(stored, at)
        numbers.append(number)
    if stored[at]:
        raise ValueError("another block")
    return numbers, at + 1


class _Columns:
    """Grows by an event at a time; texts as their UTF-8."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def read(self, stored: bytes) -> bool:
        """Whether it was ordinary, and is now among the rows."""
        schema = int.from_bytes(stored[1:5], "big")
        event = _event_of(schema)
        if event is None:
            return False
        try:
            position, at = _long(stored, 5)
            instant, at = _long(stored, at)
            nth, at = _numbers(stored, at)
            event_id, at = _text(stored, at)
            tags, at = _texts(stored, at)
            actor_kind, at = _text(stored, at)
            actor_id, at = _text(stored, at)
            on_behalf_of, at = _texts(stored, at)
            credential, at = _some_text(stored, at)
            permission, at = _text(stored, at)
            decision, at = _text(stored, at)
            policies, at = _texts(stored, at)
            authority_position, at = _long(stored, at)
            command, at = _text(stored, at)
            causation, at = _some_text(stored, at)
            correlation, at = _text(stored, at)
        except (IndexError, ValueError):
            return False
        if at >= len(stored):
            return False
        self._rows.append(
            (
                position,
                instant,
                event_id,
                event,
                actor_kind,
                actor_id,
                on_behalf_of,
                credential,
                permission,
                decision,
                policies,
                authority_position,
                command,
                causation,
                correlation,
                tags,
                nth,
                schema,
                stored,
            )
        )
        return True

    def note(self, entry: Entry, stored: bytes) -> None:
        """An event that was read whole."""
        meta = entry.meta
        self._rows.append(
            (
                entry.position,
                entry.instant,
                meta.event_id.encode(),
                entry.event.type_name.encode(),
                meta.actor_kind.encode(),
                meta.actor_id.encode(),
                _utf8(meta.on_behalf_of),
                _utf8_if(meta.credential_id),
                meta.authority_permission.encode(),
                meta.authority_decision.encode(),
                _utf8(meta.authority_policies),
                meta.authority_position,
                meta.command_id.encode(),
                _utf8_if(meta.causation_id),
                meta.correlation_id.encode(),
                _utf8(meta.tags),
                list(entry.nth),
                entry.schema,
                stored,
            )
        )

    def batch(self) -> pa.RecordBatch:
        """Raises ValueError if a text is no UTF-8."""
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * len(ARCHIVED)
        arrays = [_array(field, values) for field, values in zip(ARCHIVED, columns, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=ARCHIVED)


def _utf8(texts: Iterable[str]) -> list[bytes]:
    return [each.encode() for each in texts]


def _utf8_if(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _array(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    kind = field.type
    if field.name in _LISTS:
        offsets, flat = [0], []
        for each in values:
            flat += each
            offsets.append(len(flat))
        inner = pa.array(flat, kind.value_type) if field.name == "nth" else _strings(flat)
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner, type=kind)
    if kind == pa.string():
        return _strings(values)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array(values, kind)


def _strings(values: Sequence[bytes | None]) -> pa.Array:
    """Text that is UTF-8 already: checked, not copied."""
    return pa.array(values, pa.binary()).cast(pa.string())
