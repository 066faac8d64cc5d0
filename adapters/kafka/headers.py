"""Headers of a ledger record: a CloudEvent in binary mode for others, one packed mark of the commit for our readers.

CloudEvents 1.0, Kafka protocol binding, §3.2: the value is the event as it is stored, and what a broker, a router or a
log line wants to know of it without a schema is in `ce_` headers. There is no `ce_subject`: an event is about several
things, which its tags name, and what is in the value is not said again. The position is the value's first field.

Every header is text, also those that only we read: libraries of CloudEvents decode them all as UTF-8.
"""

import struct
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Final, NamedTuple

from domain.ids import TenantId
from schemas import registry

COMMIT: Final = "muniment-commit"
"""In base64: the commit's id, 16 bytes; then big-endian: place u32, count u32, epoch u64, sequence u64."""
SCHEMA: Final = "muniment-schema"
"""Our schema id in decimal digits: only where the value's was swapped for an outside registry's."""
CONTENT_TYPE: Final = b"application/avro"
CONTROL_SOURCE: Final = b"/ledger"

_MARK: Final = struct.Struct(">16sIIQQ")
_MARK_LENGTH: Final = len(b2a_base64(bytes(_MARK.size), newline=False))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Header = tuple[str, bytes]


class CommitMark(NamedTuple):
    """Where a record stands: readers verify that no commit is torn, and none is another owner's or missing."""

    id: bytes
    """16 bytes."""
    place: int
    """In its commit, from 0."""
    count: int  # type: ignore[assignment] # hides a method of tuples that nothing here calls
    """Of the commit's records."""
    epoch: int
    """The owner's, as its takeover record says it."""
    sequence: int
    """Of the partition, dense, from 1."""


def headers_of(stored: bytes, event_id: str, instant: int, tenant: TenantId, commit: CommitMark) -> list[Header]:
    """The headers of an event: `stored` has our schema id in it; `instant` is in microseconds."""
    version, kind, schema, content = _fixed(stored[:5])
    seconds, micros = divmod(instant, 1_000_000)
    return [
        (COMMIT, b2a_base64(_MARK.pack(*commit), newline=False)),
        version,
        ("ce_id", event_id.encode()),
        _source(tenant),
        kind,
        ("ce_time", b"%b%06dZ" % (_until_micros(seconds), micros)),
        schema,
        content,
    ]


def control_headers_of(value: bytes, instant: int, commit: CommitMark) -> list[Header]:
    """The headers of a control record: a CloudEvent of the ledger itself, whose id is the commit's."""
    version, kind, schema, content = _fixed(value[:5])
    seconds, micros = divmod(instant, 1_000_000)
    return [
        (COMMIT, b2a_base64(_MARK.pack(*commit), newline=False)),
        version,
        ("ce_id", f"{commit.id.hex()}-{commit.place}".encode()),
        ("ce_source", CONTROL_SOURCE),
        kind,
        ("ce_time", b"%b%06dZ" % (_until_micros(seconds), micros)),
        schema,
        content,
    ]


def mark_of(headers: Iterable[tuple[str, bytes | None]] | None) -> CommitMark | None:
    """None if there is no mark, or what is none: the record is not one that an owner has committed."""
    for name, value in headers or ():
        if name == COMMIT:
            if value is None or len(value) != _MARK_LENGTH:
                return None
            try:
                return CommitMark(*_MARK.unpack(a2b_base64(value, strict_mode=True)))
            except (Error, struct.error):
                return None
    return None


def schema_header(stored: bytes) -> Header:
    """What goes with a value whose id was swapped: `stored` has our schema id in it."""
    return SCHEMA, b"%d" % int.from_bytes(stored[1:5], "big")


def schema_of(headers: Iterable[tuple[str, bytes | None]] | None) -> bytes | None:
    """What the header `muniment-schema` says, if it is there."""
    for name, value in headers or ():
        if name == SCHEMA:
            return value
    return None


@cache
def _fixed(frame: bytes) -> tuple[Header, Header, Header, Header]:
    """What all records of a schema share. Raises KeyError for bytes with no schema of ours."""
    schema = registry.by_id()[struct.unpack_from(">I", frame, 1)[0]]
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", schema.full_name.encode()),
        ("ce_dataschema", f"/schema-registry/schemas/ids/{schema.id}".encode()),
        ("content-type", CONTENT_TYPE),
    )


@lru_cache(4096)
def _source(tenant: TenantId) -> Header:
    return "ce_source", f"/tenants/{tenant}".encode()


@lru_cache(64)
def _until_micros(seconds: int) -> bytes:
    """RFC 3339 up to the point before the microseconds."""
    return f"{(_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()}.".encode()
