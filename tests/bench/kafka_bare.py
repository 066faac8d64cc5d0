"""What the ledger on Kafka is measured against: the same libraries, set as the node sets them, and nothing more."""

import io
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, Protocol

import confluent_kafka
import kafka
from fastavro import parse_schema, schemaless_reader

from adapters.kafka.client import Place, Received, Record
from adapters.kafka.clients import connect
from adapters.kafka.headers import mark_of
from adapters.kafka.settings import KafkaSettings
from schemas import registry

CLIENTS: Final = ("kafka-python", "librdkafka")
_MIB: Final = 1024 * 1024
_TIMEOUT: Final = 30.0


class BareProducer(Protocol):
    """A transactional producer, used as its library's documentation says."""

    def send(self, records: Sequence[Record]) -> None:
        """Begin, send, commit."""
        ...

    def close(self) -> None: ...


class _Python:
    def __init__(self, servers: str, name: str) -> None:
        self._producer = kafka.KafkaProducer(
            bootstrap_servers=servers,
            transactional_id=name,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            batch_size=_MIB,
            max_request_size=8 * _MIB,
            retry_backoff_ms=5,
            metrics_enabled=False,
        )
        self._producer.init_transactions()

    def send(self, records: Sequence[Record]) -> None:
        producer = self._producer
        producer.begin_transaction()
        for (topic, partition), key, value, headers in records:
            producer.send(topic, value, key, headers, partition)
        producer.commit_transaction()

    def close(self) -> None:
        self._producer.close()


class _Librdkafka:
    def __init__(self, servers: str, name: str) -> None:
        self._producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": servers,
                "transactional.id": name,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "batch.num.messages": 100_000,
                "queue.buffering.max.messages": 200_000,
                "retry.backoff.ms": 10,
                "socket.nagle.disable": True,
                "log_level": 4,
            }
        )
        self._producer.init_transactions(_TIMEOUT)

    def send(self, records: Sequence[Record]) -> None:
        producer = self._producer
        producer.begin_transaction()
        for (topic, partition), key, value, headers in records:
            producer.produce(topic, value, key, partition, headers=headers)  # type: ignore[arg-type]
        producer.commit_transaction(_TIMEOUT)

    def close(self) -> None:
        self._producer.flush(_TIMEOUT)


def bare_producer(client: str, servers: str, name: str) -> BareProducer:
    return _Librdkafka(servers, name) if client == "librdkafka" else _Python(servers, name)


def transactions(servers: str, place: Place, after: int, into: Place) -> list[list[Record]]:
    """What was committed beyond an offset, commit by commit, as it is to be sent elsewhere."""
    commits: dict[bytes, list[Record]] = {}
    for each in read(servers, place, after + 1):
        mark = mark_of(each.headers)
        if mark is not None:
            commits.setdefault(mark.id, []).append(Record(into, each.key, each.value, each.headers))
    return list(commits.values())


def make_topic(servers: str, name: str) -> None:
    admin = connect(KafkaSettings(servers, client="librdkafka")).admin()
    admin.create_topic(name, 1, 1, {})
    admin.close()


def read(servers: str, place: Place, offset: int) -> list[Received]:
    """Everything committed from an offset to the end."""
    client = connect(KafkaSettings(servers, client="librdkafka"))
    admin, reader = client.admin(), client.reader()
    end = admin.ends([place], committed=False)[place]
    found: list[Received] = []
    try:
        reader.assign({place: offset})
        while reader.position(place) < end:
            found += reader.poll(1.0)
    finally:
        reader.close()
        admin.close()
    return found


def consume_python(servers: str, place: Place, end: int) -> int:
    """Read a partition from its beginning to `end` and decode each record; how many there were."""
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=servers,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_bytes=50 * _MIB,
        max_partition_fetch_bytes=8 * _MIB,
        metrics_enabled=False,
    )
    partition, count = kafka.TopicPartition(*place), 0
    consumer.assign([partition])
    consumer.seek(partition, 0)
    try:
        while consumer.position(partition) < end:
            for records in consumer.poll(100, 10_000).values():
                count += len(records)
                for each in records:
                    _decode(each.value)
    finally:
        consumer.close(autocommit=False)
    return count


def consume_librdkafka(servers: str, place: Place, end: int) -> int:
    """As `consume_python`."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bench",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "max.partition.fetch.bytes": 8 * _MIB,
        }
    )
    partition, count = confluent_kafka.TopicPartition(*place, 0), 0
    consumer.assign([partition])
    try:
        while consumer.position([partition])[0].offset < end:
            messages = consumer.consume(10_000, 0.05)
            count += len(messages)
            for each in messages:
                value = each.value()
                assert value is not None, each.error()
                _decode(value)
    finally:
        consumer.close()
    return count


CONSUMERS: Final[dict[str, Callable[[str, Place, int], int]]] = {
    "kafka-python": consume_python,
    "librdkafka": consume_librdkafka,
}


@cache
def _schemas() -> dict[int, Any]:
    return {each.id: parse_schema(each.avro) for each in registry.published()}


def _decode(value: bytes) -> Any:
    """The whole record, by the schema it was written with, to what fastavro makes of it."""
    return schemaless_reader(io.BytesIO(memoryview(value)[5:]), _schemas()[int.from_bytes(value[1:5], "big")], None)
