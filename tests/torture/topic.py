"""The topic as anybody can read it: by a stock client, read_committed, decoded by fastavro with the public schemas.

Nothing here is the product's reader: what it verifies is verified once more, by other code.
"""

import base64
import binascii
import io
import json
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from fastavro import parse_schema, schemaless_reader

from domain.capabilities import EVENTS
from domain.event import Event, Instant, Sealed
from schemas import registry
from tests.node import PATIENCE, until

MARK: Final = "muniment-commit"
RING: Final = "muniment-ring"
_MARK: Final = struct.Struct(">16sIIQQ")
_MANY: Final = 5_000
_FEW: Final = 200
"""Records in a tenth of a second: more than load brings means that there is still more to catch up with."""
_SEALED: Final = {"key", "nonce", "ciphertext", "eq"}


class Raw(msgspec.Struct, frozen=True):
    """A committed record, in the order of its partition."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Mark(NamedTuple):
    """What a record says of the commit that it is of."""

    id: bytes
    place: int
    of: int
    epoch: int
    sequence: int


class Taken(NamedTuple):
    """A takeover record."""

    partition: int
    offset: int
    mark: Mark | None
    epoch: int
    generation: int
    address: str
    sequence: int
    chain: bytes


class Line(NamedTuple):
    """An event as the topic has it."""

    partition: int
    offset: int
    mark: Mark | None
    tenant: str
    stored: bytes
    event: Event
    position: int
    instant: Instant
    nth: list[int]
    event_id: str
    tags: list[str]
    command: str
    correlation: str
    idempotency: bytes | None
    keys: frozenset[str]
    """The ids of all data keys that its sealed values need."""
    ring: int
    """The number of the change of the keyring that its commit brought; 0 for none."""


class Undecodable(NamedTuple):
    """A record that no schema of ours fits."""

    partition: int
    offset: int
    why: str


Found = Line | Taken | Undecodable


def read_topic(servers: str, topic: str) -> list[Raw]:
    """Everything committed, each partition in its order; returns once nothing is open any more."""
    ends = _ends(servers, topic)
    consumer = _consumer(servers, "read_committed")
    found: list[Raw] = []
    reached = dict.fromkeys(ends, 0)

    def read_to_the_end() -> bool:
        for message in consumer.consume(5_000, 0.5):
            partition, offset, error = message.partition(), message.offset(), message.error()
            if error is None:
                headers = [(name, value or b"") for name, value in message.headers() or ()]
                found.append(Raw(partition, offset, message.key(), message.value(), headers))
            elif error.code() == KafkaError._PARTITION_EOF:
                reached[partition] = offset
            else:
                raise RuntimeError(f"the topic can't be read: {error.str()}")
        return all(reached[partition] >= end for partition, end in ends.items())

    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        until(read_to_the_end, f"the end of {topic}: is a transaction still open?")
    finally:
        consumer.close()
    return sorted(found, key=lambda each: (each.partition, each.offset))


def _ends(servers: str, topic: str) -> dict[int, int]:
    """By partition, the end of everything replicated: also of what is not committed yet."""
    consumer = _consumer(servers, "read_uncommitted")
    try:
        partitions = sorted(consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions)
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=PATIENCE)[1]
            for number in partitions
        }
    finally:
        consumer.close()


def _consumer(servers: str, isolation: str) -> Any:
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "unused",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )


class Owners:
    """Who owns each partition, as the takeover records say; for one thread at a time."""

    def __init__(self, servers: str, topic: str) -> None:
        self._consumer = _consumer(servers, "read_committed")
        partitions = self._consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        self.latest: dict[int, Taken] = {}
        self.takeovers = 0

    def look(self) -> None:
        """Read what has come; whatever is in the way may be gone next time."""
        more = True
        while more:
            messages = self._consumer.consume(_MANY, 0.1)
            more = len(messages) > _FEW
            for message in messages:
                if message.error() is None:
                    raw = Raw(message.partition(), message.offset(), None, message.value(), [])
                    if isinstance(taken := _decode(raw), Taken):
                        self.latest[taken.partition] = taken
                        self.takeovers += 1

    def of(self, address: str) -> list[int]:
        """The partitions that a node owns, or believes to."""
        return [partition for partition, taken in self.latest.items() if taken.address == address]

    def close(self) -> None:
        self._consumer.close()


def decode(records: Sequence[Raw]) -> list[Found]:
    return [_decode(each) for each in records]


def _decode(record: Raw) -> Found:
    value, headers = record.value or b"", dict(record.headers)
    at = record.partition, record.offset
    schema = registry.by_id().get(int.from_bytes(value[1:5], "big")) if value[:1] == b"\0" else None
    if schema is None:
        return Undecodable(*at, "its value does not begin as one of the ledger's")
    try:
        body = io.BytesIO(value[5:])
        fields: dict[str, Any] = dict(schemaless_reader(body, _parsed(schema.id), None))  # type: ignore[arg-type]
        if body.read(1):
            return Undecodable(*at, "bytes follow its end")
    except (EOFError, ValueError, IndexError, UnicodeDecodeError) as problem:
        return Undecodable(*at, f"fastavro can't read it ({type(problem).__name__})")
    mark = _mark_of(headers)
    if schema.control:
        names = ("epoch", "generation", "address", "sequence", "chain")
        return Taken(*at, mark, *(fields[name] for name in names))
    tenant = (record.key or b"").decode("utf-8", "replace")
    ring = int.from_bytes(headers.get(RING, b""), "big")
    return _line(at, mark, tenant, value, schema.event, fields, ring)


def _line(
    at: tuple[int, int], mark: Mark | None, tenant: str, value: bytes, name: str, fields: dict[str, Any], ring: int
) -> Line:
    keys = frozenset(each["key"] for each in _sealed_in(fields.values()))
    own = {each: _lifted(fields[each]) for each in EVENTS[name].__struct_fields__}
    return Line(
        *at,
        mark,
        tenant,
        value,
        EVENTS[name](**own),
        fields["position"],
        Instant(fields["recorded_at"]),
        fields["nth"],
        fields["event_id"],
        fields["tags"],
        fields["command_id"],
        fields["correlation_id"],
        fields["idempotency_key"],
        keys,
        ring,
    )


def _mark_of(headers: dict[str, bytes]) -> Mark | None:
    try:
        return Mark(*_MARK.unpack(base64.b64decode(headers[MARK], validate=True)))
    except (KeyError, struct.error, binascii.Error):
        return None


def _sealed_in(values: Any) -> Iterator[dict[str, Any]]:
    return (each for each in values if isinstance(each, dict) and each.keys() == _SEALED)


def _lifted(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == _SEALED:
        return Sealed(value["key"], value["nonce"], value["ciphertext"], value["eq"])
    return tuple(value) if isinstance(value, list) else value


@cache
def _parsed(schema: int) -> Any:
    return parse_schema(_plain(json.loads(registry.by_id()[schema].text)))


def _plain(schema: Any) -> Any:
    """Instants as the numbers they are."""
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key != "logicalType"}
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema
