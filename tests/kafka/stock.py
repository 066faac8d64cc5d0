"""Stock clients at work on a cluster, so that a test can say what it saw through them."""

from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.kafka.fixtures import fresh_prefix
from tests.node import PATIENCE, until


def topic_on(servers: str, replication: int = 1) -> str:
    name = fresh_prefix()
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    admin.create_topics([NewTopic(name, 1, replication)])[name].result(PATIENCE)
    return name


def partition_of(servers: str, topic: str) -> Any:
    metadata = AdminClient({"bootstrap.servers": servers, "log_level": 0}).list_topics(topic, timeout=PATIENCE)
    return metadata.topics[topic].partitions[0]


def leader_of(servers: str, topic: str) -> int:
    return int(partition_of(servers, topic).leader)


def produce(servers: str, topic: str, value: bytes) -> None:
    """Acknowledged by all replicas when it returns."""
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", delivery_timeout_ms=int(PATIENCE * 1000))
    try:
        producer.send(topic, value).get(PATIENCE)
    finally:
        producer.close(timeout=5)


def consume(servers: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed", group_id=None)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek_to_beginning()
        values: list[bytes] = []

        def all_there() -> bool:
            for records in consumer.poll(timeout_ms=200).values():
                values.extend(record.value for record in records)
            return len(values) >= count

        until(all_there, f"{count} records")
        return values
    finally:
        consumer.close()
