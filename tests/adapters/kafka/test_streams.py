"""Streams for others: every type of event, as the ledger commits it, read by stock consumers and by Avro alone."""

import io
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fastavro import parse_schema, schemaless_reader
from prometheus_client import CollectorRegistry

from adapters.avro.codec import decode_entry
from adapters.kafka.control import TakeOver, decode_takeover, encode_takeover
from adapters.kafka.headers import CommitMark, Header, control_headers_of, headers_of, mark_of, schema_header, schema_of
from adapters.kafka.outside_registry import Swap, outside_registry, register_all
from adapters.kafka.topics import LEDGER_CONFIGS
from api.http.application import Application
from api.protocols import schema_registry
from domain.capabilities import EVENTS
from domain.ids import TenantId
from schemas.registry import by_id
from tests.adapters.kafka.registry_server import RegistryServer
from tests.golden import GoldenEvent, golden_events
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.node import PATIENCE, until
from tests.serving import served

TENANT = TenantId("ten_018bcfe5680000000000000000000001")
COMMIT, TORN = bytes(range(16)), bytes(16)
INSTANT = 1_700_000_000_000_000
TAKEN = TakeOver(1, 3, "http://node:8000", 0, bytes(32), INSTANT)

Written = tuple[bytes | None, bytes, list[Header]]


class Read(NamedTuple):
    key: bytes | None
    value: bytes
    headers: list[Header]


def as_written(commit: bytes, swap: Swap | None = None) -> list[Written]:
    """A takeover record, then an event of every type in one commit: key, value and headers as the ledger has them."""
    events = golden_events()
    value = encode_takeover(TAKEN)
    written: list[Written] = [(None, value, control_headers_of(value, INSTANT, CommitMark(commit, 0, 1, 1, 0)))]
    for place, kept in enumerate(events):
        mark = CommitMark(commit, place, len(events), 1, place + 1)
        headers = headers_of(kept.stored, kept.meta["event_id"], INSTANT + kept.id, TENANT, mark)
        written.append((TENANT.encode(), kept.stored, headers))
    if swap is None:
        return written
    return [(key, swap.swap_out(each), [*headers, schema_header(each)]) for key, each, headers in written]


def write(kafka: Brokers, topic: str, committed: list[Written], aborted: list[Written]) -> None:
    """One transaction that is aborted, and one that is committed."""
    producer = Producer(
        {"bootstrap.servers": kafka.servers, "transactional.id": f"{topic}.0", "acks": "all", "log_level": 0}
    )
    producer.init_transactions(PATIENCE)
    for records, end in ((aborted, producer.abort_transaction), (committed, producer.commit_transaction)):
        producer.begin_transaction()
        for key, value, headers in records:
            producer.produce(topic, value, key, 0, headers=[*headers])
        assert producer.flush(PATIENCE) == 0
        end(PATIENCE)


def topic_of(kafka: Brokers) -> str:
    name = f"{fresh_prefix()}.ledger"
    admin = AdminClient({"bootstrap.servers": kafka.servers, "log_level": 0})
    made = admin.create_topics([NewTopic(name, 1, 1, config=LEDGER_CONFIGS)])
    made[name].result(PATIENCE)
    return name


def read(kafka: Brokers, topic: str, isolation: str = "read_committed") -> list[Read]:
    """All there is, as a consumer of anybody reads it."""
    settings = {
        "bootstrap.servers": kafka.servers,
        "group.id": topic,
        "enable.auto.commit": False,
        "isolation.level": isolation,
        "enable.partition.eof": False,
        "log_level": 0,
    }
    consumer = Consumer(settings)
    found: list[Read] = []
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE)

        def is_read() -> bool:
            found.extend(map(as_read, consumer.consume(1000, 0.2)))
            (at,) = consumer.position([TopicPartition(topic, 0)])
            return bool(at.offset >= end)

        until(is_read, "the end of the topic")
    finally:
        consumer.close()
    return found


def as_read(message: Message) -> Read:
    assert message.error() is None, message.error()
    value = message.value()
    assert isinstance(value, bytes)
    key: Any = message.key()
    headers: Any = message.headers()
    return Read(key, value, headers)


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    app = Application(registry=CollectorRegistry(), faces={schema_registry.PREFIX: schema_registry.render})
    app.include_router(schema_registry.routes)
    with served(app) as url:
        yield f"{url}/schema-registry"


@pytest.fixture(scope="module")
def topic(kafka: Brokers) -> str:
    name = topic_of(kafka)
    write(kafka, name, as_written(COMMIT), as_written(TORN))
    return name


@pytest.fixture(scope="module")
def records(kafka: Brokers, topic: str) -> list[Read]:
    return read(kafka, topic)


def test_every_type_of_event_is_in_the_stream(records: list[Read]) -> None:
    control, *events = records
    assert control.key is None
    assert {each.key for each in events} == {TENANT.encode()}
    assert {type_of(each) for each in events} == EVENTS.keys()


def type_of(record: Read) -> str:
    return dict(record.headers)["ce_type"].decode().rpartition(".")[2]


def test_the_values_are_the_stored_bytes(records: list[Read]) -> None:
    assert [each.value for each in records[1:]] == [kept.stored for kept in golden_events()]
    assert decode_takeover(records[0].value) == TAKEN


def test_headers_come_through_the_broker_as_they_were(records: list[Read]) -> None:
    assert [(each.key, each.value, each.headers) for each in records] == as_written(COMMIT)
    marks = [mark_of(each.headers) for each in records[1:]]
    assert [(mark.place, mark.count) for mark in marks if mark] == [(n, len(marks)) for n in range(len(marks))]


def test_what_was_aborted_is_not_there_for_readers_of_what_is_committed(
    kafka: Brokers, topic: str, records: list[Read]
) -> None:
    everything = read(kafka, topic, "read_uncommitted")
    assert len(everything) == 2 * len(records)
    assert {mark.id for each in records if (mark := mark_of(each.headers))} == {COMMIT}


def test_a_stock_deserializer_reads_every_type_of_event(registry: str, topic: str, records: list[Read]) -> None:
    with SchemaRegistryClient({"url": registry}) as client:
        deserialize = AvroDeserializer(client)
        context = SerializationContext(topic, MessageField.VALUE)
        for record, kept in zip(records[1:], golden_events(), strict=True):
            assert_says(deserialize(record.value, context), kept)
        taken: Any = deserialize(records[0].value, context)
        assert (taken["epoch"], taken["address"]) == (TAKEN.epoch, TAKEN.address)


def test_avro_alone_reads_every_type_of_event(registry: str, records: list[Read]) -> None:
    """Five bytes, a schema over HTTP, and an Avro library: no more is needed."""
    for record, kept in zip(records[1:], golden_events(), strict=True):
        magic, number = struct.unpack(">BI", record.value[:5])
        assert magic == 0
        schema = httpx.get(f"{registry}/schemas/ids/{number}/schema").json()
        body = io.BytesIO(record.value[5:])
        assert_says(schemaless_reader(body, parse_schema(schema), None), kept)
        assert body.read() == b""


def test_our_own_reader_reads_the_same(records: list[Read]) -> None:
    for record, kept in zip(records[1:], golden_events(), strict=True):
        entry = decode_entry(TENANT, record.value)
        headers = dict(record.headers)
        assert headers["ce_id"].decode() == entry.meta.event_id == kept.meta["event_id"]
        assert headers["ce_type"].decode() == by_id()[entry.schema].full_name


def assert_says(value: Any, kept: GoldenEvent) -> None:
    """Each field, who and why, and the stamp are what was recorded."""
    for name, said in {**kept.says, **kept.meta}.items():
        assert plain(value[name]) == said, (kept.event, name)
    assert value["position"] == kept.id
    assert plain(value["recorded_at"]) == INSTANT + kept.id
    assert value["nth"] == list(range(1, len(value["tags"]) + 1))


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return round(value.timestamp() * 1_000_000) if hasattr(value, "timestamp") else value


def test_with_an_outside_registry_its_ids_are_read_by_others_and_ours_by_us(kafka: Brokers) -> None:
    server = RegistryServer()
    with served(server.app) as url:
        swap = register_all(outside_registry(url))
        topic = topic_of(kafka)
        write(kafka, topic, as_written(COMMIT, swap), [])
        records = read(kafka, topic)
        with SchemaRegistryClient({"url": url}) as client:
            deserialize = AvroDeserializer(client)
            context = SerializationContext(topic, MessageField.VALUE)
            for record, kept in zip(records[1:], golden_events(), strict=True):
                assert_says(deserialize(record.value, context), kept)
    restored = [Swap.swap_in(each.value, schema_of(each.headers)) for each in records]
    assert restored[1:] == [kept.stored for kept in golden_events()]
    assert decode_takeover(restored[0]) == TAKEN
    assert all(each.value[1:5] != was[1:5] for each, was in zip(records, restored, strict=True))
