"""The keyring as records of a compacted topic: what comes into being, and tombstones for what is destroyed.

Keys of records are those of the ring: `kek|tenant|id`, `dek|id`, `hdl|handle`. Each change of a partition has a number,
dense, in a header; an event that needs keys names the number of the last one, so that nobody reads it without them.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from adapters.index.ring import RingChange
from adapters.kafka.client import Place, Received, Record
from domain.ids import Handle, TenantId

NUMBER: Final = "muniment-ring"
"""On a change its number, on the last event of a commit that brings changes the last one's; decimal digits."""
_DIGITS: Final = 19


class _DataKey(msgspec.Struct, array_like=True):
    tenant: str
    subject: str
    wrapped: bytes


class _HandleOf(msgspec.Struct, array_like=True):
    tenant: str
    lookup: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_key: Final = msgspec.msgpack.Decoder(_DataKey).decode
_decode_handle: Final = msgspec.msgpack.Decoder(_HandleOf).decode


class NotOfTheRing(ValueError):
    """A record that no keyring has written."""


def records_of(change: RingChange, destroyed: Iterable[str], place: Place, after: int) -> list[Record]:
    """`destroyed`: the ids of all data keys that go with the subjects that are destroyed; `after`: the last number."""
    parts: list[tuple[str, bytes | None]] = []
    for tenant, id, wrapped in change.tenant_keys.values():
        parts.append((f"kek|{tenant}|{id}", wrapped))
    for tenant, id, subject, wrapped in change.data_keys.values():
        parts.append((f"dek|{id}", _encode(_DataKey(tenant, subject, wrapped))))
    for tenant, handle, lookup, _ in change.handles.values():
        parts.append((f"hdl|{handle}", _encode(_HandleOf(tenant, lookup))))
    parts += [(f"dek|{id}", None) for id in (*destroyed, *change.spent)]
    parts += [(f"hdl|{handle}", None) for _, _, handles in change.destroyed for handle in handles]
    return [
        Record(place, key.encode(), value, [through(number)]) for number, (key, value) in enumerate(parts, after + 1)
    ]


def through(number: int) -> tuple[str, bytes]:
    """The header of an event that needs the changes up to a number."""
    return NUMBER, b"%d" % number


def number_of(headers: Iterable[tuple[str, bytes | None]]) -> int | None:
    for name, value in headers:
        if name == NUMBER and value is not None and value.isdigit() and len(value) <= _DIGITS:
            return int(value)
    return None


def change_of(records: Sequence[Received]) -> tuple[RingChange, list[Handle], int]:
    """What records of the ring change: keys that come and go, handles that go, the last number. Raises NotOfTheRing."""
    change, last = RingChange(), 0
    gone: list[Handle] = []
    for record in records:
        number = number_of(record.headers)
        if number is None or record.key is None:
            raise NotOfTheRing("a record of the keyring's topic was not written by a node: who else may write there?")
        last = max(last, number)
        kind, _, name = record.key.decode("utf-8", "replace").partition("|")
        try:
            _apply(change, gone, kind, name, record.value)
        except (msgspec.MsgspecError, ValueError) as problem:
            raise NotOfTheRing("a record of the keyring's topic can't be read") from problem
    return change, gone, last


def _apply(change: RingChange, gone: list[Handle], kind: str, name: str, value: bytes | None) -> None:
    match kind, value:
        case "kek", bytes(wrapped):
            tenant, _, id = name.partition("|")
            change.add_tenant_key(TenantId(tenant), id, wrapped)
        case "dek", bytes(data):
            key = _decode_key(data)
            change.add_data_key(TenantId(key.tenant), name, key.subject, key.wrapped)
        case "dek", None:
            change.data_keys.pop(name, None)
            change.spent.append(name)
        case "hdl", bytes(data):
            handle = _decode_handle(data)
            change.add_handle(TenantId(handle.tenant), Handle(name), handle.lookup)
        case "hdl", None:
            change.handles.pop(Handle(name), None)
            gone.append(Handle(name))
        case _:
            raise ValueError(kind)
