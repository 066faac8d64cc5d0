"""Control records: what a partition's owners say of themselves between the events, framed like events and yet none."""

import io
import struct
from functools import cache
from typing import Any, Final

import msgspec
from fastavro import parse_schema, schemaless_reader

from adapters.avro.encode import put_bytes, put_long, put_string
from schemas import registry

MAGIC: Final = b"\x00"
_TAKE_OVER: Final = registry.control()["OwnerTookOver"].id
_FRAME: Final = MAGIC + struct.pack(">I", _TAKE_OVER)
_FRAMES: Final = frozenset(MAGIC + struct.pack(">I", each.id) for each in registry.published() if each.control)


class NotControl(ValueError):
    """Bytes that are no control record of the kind asked for, or not a whole one."""


class TakeOver(msgspec.Struct, frozen=True):
    """An owner begins. Everything before it in the partition is of earlier owners, and there will be no more of it."""

    epoch: int
    """How many owners the partition has had, this one included."""
    generation: int
    """Of the group's assignment by which it took over."""
    address: str
    """Where nodes forward commands to."""
    sequence: int
    """Of the partition's last event before this; 0 if there is none."""
    chain: bytes
    """The hash over the partition's events up to that sequence."""
    recorded_at: int
    """Microseconds since 1970."""


def is_control(value: bytes) -> bool:
    """Whether a record's value, with our schema id in it, is no event."""
    return value[:5] in _FRAMES


def encode_takeover(taken: TakeOver) -> bytes:
    """`0x00 ‖ schema id ‖ Avro body`, as events are framed. Raises OverflowError for numbers beyond 64 bits."""
    out = [_FRAME]
    put_long(out, taken.epoch)
    put_long(out, taken.generation)
    put_string(out, taken.address)
    put_long(out, taken.sequence)
    put_bytes(out, taken.chain)
    put_long(out, taken.recorded_at)
    return b"".join(out)


def decode_takeover(value: bytes) -> TakeOver:
    """Of any revision that was ever released. Raises NotControl."""
    if len(value) < 5 or value[:1] != MAGIC:
        raise NotControl("a control record begins with a zero byte and a schema id")
    schema = registry.by_id().get(struct.unpack_from(">I", value, 1)[0])
    if schema is None or not schema.control or schema.event != "OwnerTookOver":
        raise NotControl("the record's schema is not OwnerTookOver")
    body = io.BytesIO(value)
    body.seek(5)
    try:
        fields: Any = schemaless_reader(body, _parsed(schema.id), None)
    except (EOFError, ValueError, IndexError, OverflowError, MemoryError) as problem:
        raise NotControl(f"the record is not a whole OwnerTookOver ({type(problem).__name__})") from None
    if body.read(1):
        raise NotControl("bytes follow the end of the OwnerTookOver")
    return TakeOver(**{name: fields[name] for name in TakeOver.__struct_fields__})


@cache
def _parsed(schema: int) -> Any:
    avro = registry.by_id()[schema].avro
    for field in avro["fields"]:
        if field["name"] == "recorded_at":
            field["type"] = "long"
    return parse_schema(avro)
