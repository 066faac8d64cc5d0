"""Records of a ledger's topic, written as owners write them, and written again with something changed."""

import base64
import hashlib
import io
import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from adapters.kafka.control import TakeOver, encode_takeover
from adapters.kafka.headers import CommitMark, control_headers_of, headers_of, mark_of
from domain.ids import TenantId
from schemas import registry
from tests.torture.topic import MARK, Raw


class Ledger:
    """One partition that grows; the others stay empty."""

    def __init__(self, partition: int, partitions: int, tenant: TenantId) -> None:
        self.records: list[Raw] = []
        self.epoch = 0
        self.sequence = 0
        self._chain = bytes(32)
        self._partition = partition
        self._partitions = partitions
        self._tenant = tenant
        self._offset = 0

    @property
    def whole_chain(self) -> str:
        """Over all partitions, as nodes say it."""
        chains = [self._chain if each == self._partition else bytes(32) for each in range(self._partitions)]
        return hashlib.sha256(b"".join(chains)).hexdigest()

    def take_over(self) -> None:
        self.epoch += 1
        taken = TakeOver(self.epoch, self.epoch, f"http://node-{self.epoch}", self.sequence, self._chain, 1)
        mark = CommitMark(self.epoch.to_bytes(16, "little"), 0, 1, self.epoch, self.sequence)
        value = encode_takeover(taken)
        self._add(None, value, control_headers_of(value, 1, mark))

    def commit(self, stored: Sequence[bytes]) -> None:
        id = hashlib.md5(stored[0], usedforsecurity=False).digest()
        for place, value in enumerate(stored):
            mark = CommitMark(id, place, len(stored), self.epoch, self.sequence + place + 1)
            self._add(self._tenant.encode(), value, headers_of(value, "an id", 1, self._tenant, mark))
        leaves = [hashlib.sha256(b"\0" + each).digest() for each in stored]
        self._chain = hashlib.sha256(b"".join((self._chain, *leaves))).digest()
        self.sequence += len(stored)
        self._offset += 1  # where the commit's marker is

    def _add(self, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        self.records.append(Raw(self._partition, self._offset, key, value, headers))
        self._offset += 1


def sealing_keys(value: bytes) -> Iterator[str]:
    """The ids of the keys of all sealed values in an event."""
    for field in _fields_in(value).values():
        if isinstance(field, dict):
            yield field["key"]


def rewritten(record: Raw, **changes: Any) -> Raw:
    """With other fields in its value."""
    assert record.value is not None
    out = io.BytesIO()
    schemaless_writer(out, _schema(record.value), {**fields_of(record), **changes})
    return msgspec.structs.replace(record, value=record.value[:5] + out.getvalue())


def fields_of(record: Raw) -> dict[str, Any]:
    """Of its value."""
    return _fields_in(record.value or b"")


def remarked(record: Raw, **changes: Any) -> Raw:
    """With another mark of its commit."""
    mark = mark_of(record.headers)
    assert mark is not None
    packed = struct.pack(">16sIIQQ", *mark._replace(**changes))
    headers = [(name, _base64(packed) if name == MARK else value) for name, value in record.headers]
    return msgspec.structs.replace(record, headers=headers)


def moved(record: Raw, offset: int) -> Raw:
    return msgspec.structs.replace(record, offset=offset)


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data)


def _schema(value: bytes) -> Any:
    avro = json.loads(registry.by_id()[int.from_bytes(value[1:5], "big")].text)
    for field in avro["fields"]:
        if isinstance(field["type"], dict):
            field["type"].pop("logicalType", None)
    return parse_schema(avro)


def _fields_in(value: bytes) -> dict[str, Any]:
    fields: Any = schemaless_reader(io.BytesIO(value[5:]), _schema(value), None)
    return dict(fields)
