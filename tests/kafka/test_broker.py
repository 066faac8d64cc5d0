"""The Kafka that other tests stand on: it starts, keeps what it acknowledged, fails over, and ends with its test."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.kafka.broker import Cluster
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.kafka.stock import consume, leader_of, partition_of, produce, topic_on
from tests.node import PATIENCE, until


def test_kafka_python_writes_and_confluent_kafka_reads(kafka: Brokers) -> None:
    topic = topic_on(kafka.servers)
    produce(kafka.servers, topic, b"one")
    consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    message = until(lambda: consumer.poll(0.2), "the record")
    consumer.close()
    assert message.value() == b"one"


def test_confluent_kafka_writes_and_kafka_python_reads(kafka: Brokers) -> None:
    topic = topic_on(kafka.servers)
    producer = Producer({"bootstrap.servers": kafka.servers, "transactional.id": topic})
    producer.init_transactions(PATIENCE)
    for value, end in ((b"aborted", producer.abort_transaction), (b"committed", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(PATIENCE)
        end(PATIENCE)
    assert consume(kafka.servers, topic, 1) == [b"committed"]


def test_a_second_producer_of_the_same_id_fences_the_first(kafka: Brokers) -> None:
    topic = topic_on(kafka.servers)
    first, second = (Producer({"bootstrap.servers": kafka.servers, "transactional.id": topic}) for _ in range(2))
    first.init_transactions(PATIENCE)
    first.begin_transaction()
    second.init_transactions(PATIENCE)
    first.produce(topic, b"too late")
    with pytest.raises(KafkaException) as refused:
        first.commit_transaction(PATIENCE)
    assert refused.value.args[0].fatal()


def test_a_topic_is_not_made_by_mention(own_kafka: Cluster) -> None:
    admin = AdminClient({"bootstrap.servers": own_kafka.servers, "log_level": 0})
    name = fresh_prefix()
    admin.list_topics(name, timeout=PATIENCE)
    assert name not in admin.list_topics(timeout=PATIENCE).topics


def test_a_killed_broker_comes_back_with_what_it_acknowledged(lone_kafka: Cluster) -> None:
    topic = topic_on(lone_kafka.servers)
    produce(lone_kafka.servers, topic, b"kept")
    broker = lone_kafka.brokers[0]
    address, before = broker.address, broker.pid
    broker.kill()
    assert broker.pid is None
    broker.start()
    assert broker.address == address
    assert broker.pid != before
    assert consume(lone_kafka.servers, topic, 1) == [b"kept"]
    broker.restart()
    assert consume(lone_kafka.servers, topic, 1) == [b"kept"]


def test_a_paused_broker_is_silent_until_it_is_resumed(lone_kafka: Cluster) -> None:
    topic = topic_on(lone_kafka.servers)
    broker = lone_kafka.brokers[0]
    producer = Producer({"bootstrap.servers": lone_kafka.servers, "acks": "all"})
    produce(lone_kafka.servers, topic, b"before")
    broker.pause()
    producer.produce(topic, b"meanwhile")
    assert producer.flush(1.0) == 1
    broker.resume()
    assert producer.flush(PATIENCE) == 0
    assert consume(lone_kafka.servers, topic, 2) == [b"before", b"meanwhile"]


def test_three_brokers_fail_over_and_take_the_lost_one_back(kafka_cluster: Cluster) -> None:
    topic = topic_on(kafka_cluster.servers, replication=3)
    produce(kafka_cluster.servers, topic, b"before")
    leader = leader_of(kafka_cluster.servers, topic)
    kafka_cluster.broker(leader).kill()
    until(lambda: leader_of(kafka_cluster.servers, topic) not in (leader, -1), "another leader")
    produce(kafka_cluster.servers, topic, b"after")
    kafka_cluster.broker(leader).start()
    until(lambda: len(partition_of(kafka_cluster.servers, topic).isrs) == 3, "three replicas in sync")
    assert consume(kafka_cluster.servers, topic, 2) == [b"before", b"after"]


def test_a_write_that_needs_two_replicas_is_refused_by_one(kafka_cluster: Cluster) -> None:
    topic = topic_on(kafka_cluster.servers, replication=3)
    produce(kafka_cluster.servers, topic, b"safe")
    leader = leader_of(kafka_cluster.servers, topic)
    others = [broker for broker in kafka_cluster.brokers if broker.id != leader]
    for broker in others:
        broker.pause()
    try:
        producer = Producer({"bootstrap.servers": kafka_cluster.servers, "acks": "all", "delivery.timeout.ms": 3000})
        outcome: list[object] = []
        producer.produce(topic, b"unsafe", on_delivery=lambda error, _message: outcome.append(error))
        producer.flush(PATIENCE)
        assert outcome != [None]
    finally:
        for broker in others:
            broker.resume()


def test_a_broker_does_not_outlive_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys, signal; from tests.kafka.broker import Cluster\n"
        "cluster = Cluster(pathlib.Path(sys.argv[1])).start()\n"
        "print(cluster.brokers[0].pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parent.parent.parent
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    until(lambda: not psutil.pid_exists(int(run.stdout)), "the broker's end")


def test_a_start_is_quick_and_small(lone_kafka: Cluster) -> None:
    pid = lone_kafka.brokers[0].pid
    assert pid is not None
    assert psutil.Process(pid).memory_info().rss < 512 * 1024 * 1024
    started = time.monotonic()
    lone_kafka.brokers[0].restart()
    assert time.monotonic() - started < PATIENCE / 2
    assert os.getpgid(lone_kafka.brokers[0].pid or 0) != os.getpgid(0)
