"""Topics that could lose what they are given are refused, with what to change; and tenants stay where they are."""

import asyncio
from collections.abc import Iterator

import pytest

from adapters.kafka.client import Admin
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import (
    KEYRING_CONFIGS,
    LEDGER_CONFIGS,
    TopicSettings,
    UnsafeTopic,
    partition_of,
    prepare_topics,
)
from tests.kafka.fixtures import Brokers, fresh_prefix


@pytest.fixture
def admin(kafka: Brokers) -> Iterator[Admin]:
    found = connect(KafkaSettings(kafka.servers)).admin()
    yield found
    found.close()


def settings(prefix: str, partitions: int = 3) -> TopicSettings:
    return TopicSettings(prefix, partitions, 1, 1)


def test_topics_are_made_once_and_safely(admin: Admin) -> None:
    prefix = fresh_prefix()
    topics = prepare_topics(admin, settings(prefix))
    assert topics.partitions == 3
    ledger, keyring = admin.topic(topics.ledger), admin.topic(topics.keyring)
    assert ledger is not None
    assert keyring is not None
    assert ledger.configs.items() >= LEDGER_CONFIGS.items()
    assert keyring.configs.items() >= KEYRING_CONFIGS.items()
    assert prepare_topics(admin, settings(prefix, partitions=7)) == topics


@pytest.mark.parametrize(
    ("configs", "says"),
    [
        ({"retention.ms": "604800000"}, "retention.ms is 604800000: set it to -1"),
        ({"cleanup.policy": "compact"}, "cleanup.policy is compact: set it to delete"),
        ({"cleanup.policy": "compact,delete"}, "set it to delete"),
        ({"unclean.leader.election.enable": "true"}, "unclean.leader.election.enable is true: set it to false"),
        ({"retention.bytes": "1000000"}, "retention.bytes is 1000000: set it to -1"),
    ],
)
def test_a_ledger_that_could_lose_events_is_refused(admin: Admin, configs: dict[str, str], says: str) -> None:
    prefix = fresh_prefix()
    admin.create_topic(f"{prefix}.ledger", 1, 1, {**LEDGER_CONFIGS, "min.insync.replicas": "1", **configs})
    with pytest.raises(UnsafeTopic) as problem:
        prepare_topics(admin, settings(prefix))
    assert says in str(problem.value)


def test_a_keyring_that_keeps_what_was_destroyed_is_refused(admin: Admin) -> None:
    prefix = fresh_prefix()
    admin.create_topic(f"{prefix}.keyring", 1, 1, {**KEYRING_CONFIGS, "max.compaction.lag.ms": "9223372036854775807"})
    with pytest.raises(UnsafeTopic, match=r"max\.compaction\.lag\.ms is more than a day"):
        prepare_topics(admin, settings(prefix, partitions=1))


def test_too_few_replicas_are_refused(admin: Admin) -> None:
    prefix = fresh_prefix()
    prepare_topics(admin, settings(prefix))
    with pytest.raises(UnsafeTopic, match="MUNIMENT_KAFKA_REPLICATION asks for 3") as problem:
        prepare_topics(admin, TopicSettings(prefix, 3, 3, 2))
    assert "min.insync.replicas is 1: set it to 2" in str(problem.value)


def test_placing_never_changes() -> None:
    places = [partition_of(f"ten_{number:032x}", 256) for number in range(6)]
    assert places == [55, 134, 234, 108, 178, 7]
    assert partition_of("_deployment", 8) == 3


def test_placing_is_even() -> None:
    counts = [0] * 64
    for number in range(64_000):
        counts[partition_of(f"ten_{number:032x}", 64)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


async def test_nodes_that_start_at_once_make_the_same_topics(kafka: Brokers) -> None:
    prefix = fresh_prefix()
    admins = [connect(KafkaSettings(kafka.servers)).admin() for _ in range(3)]
    made = await asyncio.gather(*(asyncio.to_thread(prepare_topics, each, settings(prefix)) for each in admins))
    assert made[0] == made[1] == made[2]
    for each in admins:
        each.close()
