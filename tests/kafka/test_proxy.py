"""The faults that a link makes, seen by stock clients."""

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from kafka import KafkaProducer
from kafka.errors import KafkaError

from tests.kafka.broker import Cluster
from tests.kafka.proxy import END_TXN, PRODUCE, Link
from tests.kafka.stock import consume, leader_of, produce, topic_on
from tests.node import PATIENCE, until


def begin(servers: str, topic: str, value: bytes) -> Producer:
    """A producer whose transaction is open, with a record that is acknowledged."""
    producer = Producer({"bootstrap.servers": servers, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(topic, value)
    assert producer.flush(PATIENCE) == 0
    return producer


def last_stable_offset(servers: str, topic: str) -> int:
    settings = {"bootstrap.servers": servers, "group.id": topic, "isolation.level": "read_committed", "log_level": 0}
    consumer = Consumer(settings)
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=PATIENCE, cached=False)[1])
    finally:
        consumer.close()


def test_both_clients_work_through_a_link_and_only_through_it(own_kafka: Cluster, kafka_link: Link) -> None:
    topic = topic_on(kafka_link.servers)
    before = kafka_link.requests[PRODUCE]
    produce(kafka_link.servers, topic, b"one")
    begin(kafka_link.servers, topic, b"two").commit_transaction(PATIENCE)
    assert kafka_link.requests[PRODUCE] - before == 2
    assert consume(own_kafka.servers, topic, 2) == [b"one", b"two"]


def test_a_swallowed_write_never_arrives(own_kafka: Cluster, kafka_link: Link) -> None:
    topic = topic_on(own_kafka.servers)
    hole = kafka_link.black_hole({PRODUCE})
    producer = KafkaProducer(
        bootstrap_servers=kafka_link.servers, request_timeout_ms=500, delivery_timeout_ms=1000, linger_ms=0
    )
    future = producer.send(topic, b"lost")
    with pytest.raises(KafkaError):
        future.get(PATIENCE)
    producer.close(timeout=5)
    assert hole.caught >= 1
    kafka_link.pass_all()
    produce(kafka_link.servers, topic, b"kept")
    assert consume(own_kafka.servers, topic, 1) == [b"kept"]


def test_a_predicate_chooses_which_request_is_lost(own_kafka: Cluster, kafka_link: Link) -> None:
    topic = topic_on(own_kafka.servers)
    hole = kafka_link.black_hole({PRODUCE}, when=lambda number: number == 2)
    settings = {"bootstrap.servers": kafka_link.servers, "socket.timeout.ms": 1000, "log_level": 0}
    producer = Producer(settings | {"enable.idempotence": True})
    for value in (b"1", b"2", b"3"):
        producer.produce(topic, value)
        assert producer.flush(PATIENCE) == 0
    assert hole.caught == 1
    assert consume(own_kafka.servers, topic, 3) == [b"1", b"2", b"3"]


def test_a_commit_whose_answer_is_lost_has_happened(own_kafka: Cluster, kafka_link: Link) -> None:
    topic = topic_on(own_kafka.servers)
    producer = begin(kafka_link.servers, topic, b"there")
    hole = kafka_link.black_hole({END_TXN}, side="responses")
    with pytest.raises(KafkaException):
        producer.commit_transaction(1.0)
    assert hole.caught >= 1
    assert consume(own_kafka.servers, topic, 1) == [b"there"]


def test_a_commit_that_is_held_up_comes_after_its_producer_has_gone(own_kafka: Cluster, kafka_link: Link) -> None:
    topic = topic_on(own_kafka.servers)
    producer = begin(kafka_link.servers, topic, b"late")
    held = kafka_link.hold({END_TXN})
    with pytest.raises(KafkaException):
        producer.commit_transaction(1.0)
    del producer
    assert held.caught == 1
    assert last_stable_offset(own_kafka.servers, topic) == 0
    held.end()
    assert consume(own_kafka.servers, topic, 1) == [b"late"]


def test_a_cut_link_refuses_and_the_other_does_not(
    own_kafka: Cluster, kafka_link: Link, other_kafka_link: Link
) -> None:
    topic = topic_on(own_kafka.servers)
    cut = Producer({"bootstrap.servers": kafka_link.servers, "acks": "all", "log_level": 0})
    cut.produce(topic, b"1")
    assert cut.flush(PATIENCE) == 0
    kafka_link.cut()
    cut.produce(topic, b"3")
    assert cut.flush(1.0) == 1
    produce(other_kafka_link.servers, topic, b"2")
    kafka_link.pass_all()
    assert cut.flush(PATIENCE) == 0
    assert consume(own_kafka.servers, topic, 3) == [b"1", b"2", b"3"]


def test_a_silent_link_says_nothing_at_all(kafka_link: Link) -> None:
    topic = topic_on(kafka_link.servers)
    silence = kafka_link.black_hole(None)
    producer = Producer({"bootstrap.servers": kafka_link.servers, "socket.timeout.ms": 1000, "log_level": 0})
    producer.produce(topic, b"heard at last")
    until(lambda: silence.caught, "a request")
    assert producer.flush(0.5) == 1
    silence.end()
    assert producer.flush(PATIENCE) == 0


def test_one_broker_of_three_is_cut_off(kafka_cluster: Cluster) -> None:
    link = kafka_cluster.links[0]
    topic = topic_on(kafka_cluster.servers, replication=3)
    leader = leader_of(kafka_cluster.servers, topic)
    link.proxies[leader].cut()
    try:
        producer = Producer({"bootstrap.servers": link.servers, "acks": "all", "log_level": 0})
        producer.produce(topic, b"waits for the leader's link")
        assert producer.flush(1.0) == 1
        assert leader_of(link.servers, topic) == leader
    finally:
        link.pass_all()
    assert producer.flush(PATIENCE) == 0
