"""The Kafka of a test run: one broker for all of it, three where a file asks, and topic names nobody else has."""

import itertools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.kafka.broker import Cluster
from tests.kafka.proxy import Link

OUTSIDE = "MUNIMENT_TEST_KAFKA"
_numbers = itertools.count(1)


class Brokers(Protocol):
    """What any Kafka has, ours or one from outside."""

    servers: str


class OutsideBrokers:
    """Named by the environment; it is not ours to stop."""

    def __init__(self, servers: str) -> None:
        self.servers = servers


@pytest.fixture(scope="session")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One broker for the whole run, with two links; it is for all tests, so that none may stop it."""
    with Cluster(tmp_path_factory.mktemp("kafka"), links=2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Brokers:
    """`own_kafka`, or the brokers that MUNIMENT_TEST_KAFKA names."""
    if outside := os.environ.get(OUTSIDE):
        return OutsideBrokers(outside)
    cluster: Cluster = request.getfixturevalue("own_kafka")
    return cluster


@pytest.fixture
def kafka_link(own_kafka: Cluster) -> Iterator[Link]:
    """A way to `own_kafka` that the test may break; it is whole again afterwards."""
    yield from _whole_again(own_kafka.links[0])


@pytest.fixture
def other_kafka_link(own_kafka: Cluster) -> Iterator[Link]:
    """A second way to the same broker, for a test that breaks one of two."""
    yield from _whole_again(own_kafka.links[1])


def _whole_again(link: Link) -> Iterator[Link]:
    yield link
    link.pass_all()


@pytest.fixture(scope="module")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three brokers for the tests of a file, with two links; a test starts again what it stopped."""
    with Cluster(tmp_path_factory.mktemp("kafka-cluster"), 3, links=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One broker with TLS, SASL and ACLs, for the tests of a file."""
    with Cluster(tmp_path_factory.mktemp("secured-kafka"), secured=True) as cluster:
        yield cluster


@pytest.fixture
def lone_kafka(tmp_path: Path) -> Iterator[Cluster]:
    """One broker with a link, for one test, which may do to it whatever it likes."""
    with Cluster(tmp_path / "kafka", links=1) as cluster:
        yield cluster


def fresh_prefix() -> str:
    """A start of topic names, group names and transactional ids that was never used, on any broker."""
    return f"test-{uuid.uuid4().hex[:8]}-{next(_numbers)}"
