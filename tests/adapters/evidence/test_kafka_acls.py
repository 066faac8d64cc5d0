"""The deployment's log under the ACLs of docs/kafka.md: they are enough for a node to read and to write it."""

from pathlib import Path

import pytest

from adapters.evidence.auditing import check_log
from adapters.evidence.kafka_log import KafkaLog
from adapters.evidence.signing import verifies
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import LEDGER_CONFIGS, TopicSettings, prepare_topic
from domain.evidence.heads import Head
from tests.adapters.evidence.logs import Office
from tests.adapters.kafka.test_acls import NODE, commands, grant, parser, settings
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import fresh_prefix
from tests.node import until

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_a_node_writes_and_reads_it(secured_kafka: Cluster, tmp_path: Path, client: str) -> None:
    prefix, office = fresh_prefix(), Office(tmp_path)
    given = TopicSettings(prefix, 1, 1, 1)
    admin = connect(KafkaSettings(secured_kafka.servers)).admin()
    try:
        prepare_topic(admin, f"{prefix}.checkpoints", 1, given)
    finally:
        admin.close()
    grant(secured_kafka, "acls: node", prefix)
    found = connect(settings(secured_kafka, NODE, client))
    one, two = (KafkaLog(found, given, tmp_path / name) for name in ("one.db", "two.db"))
    try:
        one.prepare()
        one.append([Head("tenant", 1, bytes(32), bytes(32), bytes(32))], office.note, 1)
        until(lambda: two.book.last() == one.book.last(), "the other has read it")
        assert check_log(two.book, [office.key], verifies) == 1
    finally:
        one.close()
        two.close()
        office.close()


def test_the_documents_topic_is_the_one_that_nodes_make() -> None:
    known = parser("kafka-topics.sh")
    known.add_argument("--create", action="store_true", required=True)
    for name in ("--topic", "--partitions", "--replication-factor"):
        known.add_argument(name, required=True)
    known.add_argument("--config", action="append", default=[])
    usual = TopicSettings()
    ((_, *arguments),) = commands("topics: checkpoints", "other")
    asked = known.parse_args(arguments)
    assert (asked.topic, int(asked.partitions)) == ("other.checkpoints", 1)
    assert int(asked.replication_factor) == usual.replication
    configs = dict(each.split("=", 1) for each in asked.config)
    assert configs == LEDGER_CONFIGS | {"min.insync.replicas": str(usual.min_in_sync)}
