"""A client of either library for tests, on two partitions of a fresh topic, and what was read through it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import pytest
from confluent_kafka import Producer

from adapters.kafka.client import Admin, Client, Place, Reader, Received, Record, Unavailable
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.node import PATIENCE, until

TRANSACTION = 60.0
Library = Literal["kafka-python", "librdkafka"]
Connect = Callable[[str], Client]
NOBODY = "127.0.0.1:1"


def said(place: Place, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> Record:
    return Record(place, b"key", value, headers)


def read_to(reader: Reader, ends: Mapping[Place, int]) -> list[Received]:
    """Everything up to these offsets."""
    found: list[Received] = []

    def there() -> bool:
        found.extend(reader.poll(0.2))
        return all(reader.position(place) >= end for place, end in ends.items())

    until(there, f"the records up to {ends}")
    return found


def values(found: Sequence[Received]) -> list[bytes | None]:
    return [each.value for each in found]


def abandon(servers: str, place: Place, value: bytes) -> Producer:
    """A transaction that is open and has a record, by a stock client; it belongs to whom this returns to."""
    settings = {"bootstrap.servers": servers, "transactional.id": fresh_prefix(), "log_level": 0}
    producer = Producer(settings)
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(place.topic, value, partition=place.partition)
    assert producer.flush(PATIENCE) == 0
    return producer


def unavailable(doing: Callable[[], object]) -> Unavailable:
    """The Unavailable that comes of doing something, perhaps again."""
    for _ in range(20):
        try:
            doing()
        except Unavailable as problem:
            return problem
    raise AssertionError("it was available")


def by(library: Library) -> Connect:
    return lambda servers: connect(KafkaSettings(servers, client=library))


class ClientFixtures:
    """Inherit, and give the fixture `using`: a client of those servers."""

    @pytest.fixture
    def client(self, using: Connect, kafka: Brokers) -> Client:
        return using(kafka.servers)

    @pytest.fixture
    def admin(self, client: Client) -> Iterator[Admin]:
        admin = client.admin()
        yield admin
        admin.close()

    @pytest.fixture
    def places(self, admin: Admin) -> list[Place]:
        """Two partitions of a fresh topic."""
        topic = fresh_prefix()
        admin.create_topic(topic, 2, 1, {})
        return [Place(topic, 0), Place(topic, 1)]

    @pytest.fixture
    def reader(self, client: Client, places: list[Place]) -> Iterator[Reader]:
        reader = client.reader()
        reader.assign(dict.fromkeys(places, 0))
        yield reader
        reader.close()
