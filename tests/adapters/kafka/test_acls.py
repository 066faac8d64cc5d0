"""The ACLs and topics of docs/kafka.md, as they stand there: they are enough for a node, and for a consumer no more."""

import argparse
import re
import shlex
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._resource import ResourceType

from adapters.kafka.client import Unavailable
from adapters.kafka.clients import connect
from adapters.kafka.ledger import KafkaOptions
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import KEYRING_CONFIGS, LEDGER_CONFIGS, Topics, TopicSettings, prepare_topics
from domain.ledger import NewKeys
from tests.adapters.index.logs import HERE, SOMEBODY, note, work
from tests.adapters.kafka.logs import options, running
from tests.kafka.acls import allow
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import fresh_prefix
from tests.node import PATIENCE, until

DOCUMENT = (Path(__file__).parents[3] / "docs" / "kafka.md").read_text()
NODE, CONSUMER = "muniment", "stranger"
KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactional_id": ResourceType.TRANSACTIONAL_ID}
LIBRARIES = ("kafka-python", "librdkafka")
REFUSED = re.compile("authorization", re.IGNORECASE)


def commands(name: str, prefix: str) -> list[list[str]]:
    """The document's shell commands under a comment, for topics, groups and ids of another prefix."""
    found = re.search(rf"<!-- {re.escape(name)} -->\n```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found, name
    text = re.sub(r"\bmuniment\.", f"{prefix}.", found[1].replace("\\\n", " "))
    text = text.replace("User:billing", f"User:{CONSUMER}").replace("--group billing", f"--group {prefix}.billing")
    return [shlex.split(line) for line in text.splitlines()]


def parser(program: str) -> argparse.ArgumentParser:
    """Of what the document uses of a program, and nothing else."""
    known = argparse.ArgumentParser(program, allow_abbrev=False)
    known.add_argument("--bootstrap-server", choices=["$KAFKA"], required=True)
    known.add_argument("--command-config", required=True)
    return known


def grant(cluster: Cluster, name: str, prefix: str) -> None:
    """As kafka-acls.sh would: each operation on each resource."""
    known = parser("kafka-acls.sh")
    known.add_argument("--add", action="store_true", required=True)
    known.add_argument("--allow-principal", required=True)
    known.add_argument("--operation", action="append", required=True)
    known.add_argument("--resource-pattern-type", choices=["literal", "prefixed"], default="literal")
    for kind in KINDS:
        known.add_argument(f"--{kind.replace('_', '-')}", action="append", default=[])
    operations = {each.name.replace("_", ""): each for each in AclOperation}
    for program, *arguments in commands(name, prefix):
        assert program == known.prog
        asked = known.parse_args(arguments)
        kind, user, allowed = asked.allow_principal.partition(":")
        assert (kind, user) == ("User", ":")
        prefixed = asked.resource_pattern_type == "prefixed"
        wanted = [operations[each.upper()] for each in asked.operation]
        for option, resource in KINDS.items():
            for each in getattr(asked, option):
                allow(cluster.servers, allowed, resource, each, *wanted, prefixed=prefixed)


def made_topics(cluster: Cluster, prefix: str) -> Topics:
    """By somebody who may: with one replica, because the cluster has one broker."""
    admin = connect(KafkaSettings(cluster.servers)).admin()
    try:
        return prepare_topics(admin, TopicSettings(prefix, 1, 1, 1))
    finally:
        admin.close()


def settings(cluster: Cluster, user: str, client: str) -> KafkaSettings:
    return KafkaSettings(
        servers=cluster.security.sasl_servers,
        client=_library(client),
        security="SASL_SSL",
        mechanism="SCRAM-SHA-512",
        username=user,
        password=cluster.security.passwords[user],
        ca_file=str(cluster.security.ca_file),
    )


def _library(client: str) -> Literal["kafka-python", "librdkafka"]:
    return "librdkafka" if client == "librdkafka" else "kafka-python"


Node = Callable[[str, str], KafkaOptions]


@pytest.fixture
def node(secured_kafka: Cluster, tmp_path: Path) -> Node:
    def with_client(prefix: str, client: str) -> KafkaOptions:
        given = options(secured_kafka.servers, prefix, tmp_path / client)
        return msgspec.structs.replace(given, settings=settings(secured_kafka, NODE, client))

    return with_client


@pytest.fixture(scope="module")
def prefix(secured_kafka: Cluster) -> str:
    """Of topics with the ACLs of a node and of a consumer."""
    prefix = fresh_prefix()
    made_topics(secured_kafka, prefix)
    grant(secured_kafka, "acls: node", prefix)
    grant(secured_kafka, "acls: consumer", prefix)
    return prefix


@pytest.mark.parametrize("client", LIBRARIES)
async def test_a_node_can_do_its_work(node: Node, prefix: str, client: str) -> None:
    given = node(prefix, client)
    async with running(given) as log:
        before, _ = log.history.head(HERE)
        keys = NewKeys()
        log.keyring.new_subject(keys, HERE, f"{SOMEBODY}-{client}")
        await log.owner.execute(work(note(b"with a key"), keys=keys))
        await log.kafka.fence.reach(HERE)
        assert log.history.head(HERE)[0] == before + 1
        assert await log.kafka.other_members() == []
        places = log.kafka.topics.of_ledger(0), log.kafka.topics.of_keyring(0)
        admin = connect(given.settings).admin()
        try:
            ends = admin.ends(places, committed=True)
            assert all(admin.begins([place])[place] < ends[place] for place in places)
            assert admin.offsets_at(places[:1], 0) == {places[0]: 0}
        finally:
            admin.close()


@pytest.mark.parametrize("client", LIBRARIES)
async def test_a_node_reads_it_all_again(node: Node, prefix: str, client: str) -> None:
    async with running(node(prefix, client)) as first:
        await first.owner.execute(work(note(b"there")))
        head = first.history.head(HERE)[0]
        tree = first.kafka.evidences.tree(HERE)
    given = node(prefix, client)
    fresh = msgspec.structs.replace(given, folder=given.folder.with_name(f"{client}-again"))
    async with running(fresh, join=False) as again:
        assert again.history.head(HERE)[0] == head
        assert again.kafka.evidences.tree(HERE) == tree


@pytest.mark.parametrize("client", LIBRARIES)
def test_a_node_makes_the_topics_only_if_it_may(secured_kafka: Cluster, client: str) -> None:
    prefix = fresh_prefix()
    grant(secured_kafka, "acls: node", prefix)
    admin = connect(settings(secured_kafka, NODE, client)).admin()
    try:
        with pytest.raises(Unavailable, match=REFUSED):
            prepare_topics(admin, TopicSettings(prefix, 2, 1, 1))
        grant(secured_kafka, "acls: first start", prefix)
        assert prepare_topics(admin, TopicSettings(prefix, 2, 1, 1)).partitions == 2
    finally:
        admin.close()


@pytest.mark.parametrize("client", LIBRARIES)
def test_a_node_touches_nothing_of_others(secured_kafka: Cluster, prefix: str, client: str) -> None:
    others = fresh_prefix()
    topics = made_topics(secured_kafka, others)
    found = connect(settings(secured_kafka, NODE, client))
    with pytest.raises(Unavailable, match=REFUSED):
        found.writer(topics.transactional_id(0), 10.0).open(PATIENCE)
    admin = found.admin()
    try:
        with pytest.raises(Unavailable):
            admin.ends([topics.of_ledger(0)], committed=True)
        with pytest.raises(Unavailable, match=REFUSED):
            admin.members(topics.group)
    finally:
        admin.close()


def stock(cluster: Cluster, group: str) -> dict[str, str | int | bool]:
    return {
        "bootstrap.servers": cluster.security.sasl_servers,
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(cluster.security.ca_file),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": CONSUMER,
        "sasl.password": cluster.security.passwords[CONSUMER],
        "group.id": group,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "log_level": 0,
    }


def first_of(cluster: Cluster, topic: str, group: str) -> bytes | KafkaError:
    """The first record's value that a consumer gets, or why it gets none."""
    consumer = Consumer(stock(cluster, group))
    try:
        consumer.subscribe([topic])
        message = until(lambda: consumer.poll(0.2), "a record, or a refusal")
        if (error := message.error()) is not None:
            assert isinstance(error, KafkaError)
            return error
        value = message.value()
        assert isinstance(value, bytes)
        consumer.commit(message=message, asynchronous=False)
        return value
    finally:
        consumer.close()


async def test_a_consumer_reads_the_ledger_and_never_the_keyring(
    secured_kafka: Cluster, node: Node, prefix: str
) -> None:
    async with running(node(prefix, "kafka-python")) as log:
        await log.owner.execute(work(note(b"for all to read")))
    group = f"{prefix}.billing"
    value = first_of(secured_kafka, f"{prefix}.ledger", group)
    assert isinstance(value, bytes)
    assert value[:1] == b"\x00"
    refused = first_of(secured_kafka, f"{prefix}.keyring", group)
    assert isinstance(refused, KafkaError)
    assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_consumer_is_in_no_group_but_its_own(secured_kafka: Cluster, prefix: str) -> None:
    refused = first_of(secured_kafka, f"{prefix}.ledger", f"{prefix}.nodes")
    assert isinstance(refused, KafkaError)
    assert refused.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_a_consumer_writes_nothing_and_fences_nobody(secured_kafka: Cluster, prefix: str) -> None:
    config = {key: value for key, value in stock(secured_kafka, "").items() if not key.startswith(("group", "auto"))}
    del config["isolation.level"]
    reports: list[KafkaError | None] = []
    producer = Producer(config)
    producer.produce(f"{prefix}.ledger", b"no", on_delivery=lambda error, _: reports.append(error))
    producer.flush(PATIENCE)
    assert [each and each.code() for each in reports] == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    zombie = Producer({**config, "transactional.id": f"{prefix}.ledger.0"})
    with pytest.raises(KafkaException) as refused:
        zombie.init_transactions(PATIENCE)
    assert refused.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_the_documents_topics_are_those_that_nodes_make(secured_kafka: Cluster) -> None:
    known = parser("kafka-topics.sh")
    known.add_argument("--create", action="store_true", required=True)
    for name in ("--topic", "--partitions", "--replication-factor"):
        known.add_argument(name, required=True)
    known.add_argument("--config", action="append", default=[])
    prefix, usual = f"test-{uuid.uuid4().hex}", TopicSettings()
    made = {}
    for program, *arguments in commands("topics", prefix):
        assert program == known.prog
        asked = known.parse_args(arguments)
        configs = dict(each.split("=", 1) for each in asked.config)
        made[asked.topic] = configs
        assert (int(asked.partitions), int(asked.replication_factor)) == (usual.partitions, usual.replication)
    in_sync = {"min.insync.replicas": str(usual.min_in_sync)}
    assert made == {f"{prefix}.ledger": LEDGER_CONFIGS | in_sync, f"{prefix}.keyring": KEYRING_CONFIGS | in_sync}
