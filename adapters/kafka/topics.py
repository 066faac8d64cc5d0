"""The topics of a deployment: their names, where tenants are placed, and whether they are configured safely."""

import hashlib
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from adapters.kafka.client import Admin, Place, Topic, Unavailable

PATIENCE: Final = 30.0
DAY: Final = 86_400_000
LEDGER_CONFIGS: Final = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "unclean.leader.election.enable": "false",
    "message.timestamp.type": "LogAppendTime",
    "compression.type": "producer",
}
KEYRING_CONFIGS: Final = {
    "cleanup.policy": "compact",
    "unclean.leader.election.enable": "false",
    "segment.ms": "3600000",
    "max.compaction.lag.ms": "3600000",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": str(DAY),
    "message.timestamp.type": "LogAppendTime",
}
"""What was destroyed is compacted away within two hours."""
MOST_COMPACTION_LAG: Final = DAY


class UnsafeTopic(Exception):
    """A topic that is there already could lose or reorder what it is given; the message says what to change."""


class TopicSettings(msgspec.Struct, frozen=True):
    """How topics are made where they are not there yet."""

    prefix: str = "muniment"
    partitions: int = 8
    """Fixed for ever once the topic is there."""
    replication: int = 3
    min_in_sync: int = 2


class Topics(NamedTuple):
    """The two topics of a ledger, and the group of the nodes."""

    ledger: str
    keyring: str
    group: str
    partitions: int

    def of_ledger(self, partition: int) -> Place:
        return Place(self.ledger, partition)

    def of_keyring(self, partition: int) -> Place:
        return Place(self.keyring, partition)

    def transactional_id(self, partition: int) -> str:
        """The name that the broker fences by."""
        return f"{self.ledger}.{partition}"

    def partition_of(self, tenant: str) -> int:
        """Where a tenant is placed: never changes, so it is a hash of our own and not a client's."""
        return partition_of(tenant, self.partitions)


def partition_of(tenant: str, partitions: int) -> int:
    digest = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % partitions


def prepare_topics(admin: Admin, settings: TopicSettings) -> Topics:
    """Make the topics that are missing and look at those there are. Raises UnsafeTopic, Unavailable."""
    ledger, keyring = f"{settings.prefix}.ledger", f"{settings.prefix}.keyring"
    for name, configs in ((ledger, LEDGER_CONFIGS), (keyring, KEYRING_CONFIGS)):
        found = admin.topic(name)
        if found is None:
            partitions = settings.partitions
            if name == keyring and (other := admin.topic(ledger)) is not None:
                partitions = other.partitions
            admin.create_topic(
                name,
                partitions,
                settings.replication,
                {**configs, "min.insync.replicas": str(settings.min_in_sync)},
            )
            found = _shown(admin, name)
        must_be_safe(name, found, settings, compacted=name == keyring)
    there, rings = _shown(admin, ledger), _shown(admin, keyring)
    if there.partitions != rings.partitions:
        raise UnsafeTopic(f"{ledger} and {keyring} must have the same number of partitions: make {keyring} anew")
    return Topics(ledger, keyring, f"{settings.prefix}.nodes", there.partitions)


def prepare_topic(admin: Admin, name: str, partitions: int, settings: TopicSettings) -> None:
    """Make a topic that keeps everything for ever, or look at the one there is. Raises UnsafeTopic, Unavailable."""
    if admin.topic(name) is None:
        configs = {**LEDGER_CONFIGS, "min.insync.replicas": str(settings.min_in_sync)}
        admin.create_topic(name, partitions, settings.replication, configs)
    found = _shown(admin, name)
    must_be_safe(name, found, settings, compacted=False)
    if found.partitions != partitions:
        raise UnsafeTopic(f"the topic {name} has {found.partitions} partitions, not {partitions}: make it anew")


def _shown(admin: Admin, name: str) -> Topic:
    """A topic that was made just now: not every broker knows of it at once. Raises Unavailable."""
    deadline = time.monotonic() + PATIENCE
    while (found := admin.topic(name)) is None:
        if time.monotonic() > deadline:
            raise Unavailable(f"the topic {name} was made, but the brokers don't show it: look at their logs")
        time.sleep(0.1)
    return found


def must_be_safe(name: str, topic: Topic, settings: TopicSettings, *, compacted: bool) -> None:
    """Raises UnsafeTopic, which names every setting that has to change."""
    wrong = _objections(topic.configs, compacted=compacted)
    if topic.replication < settings.replication:
        wrong.append(
            f"its replication factor is {topic.replication}, MUNIMENT_KAFKA_REPLICATION asks for {settings.replication}"
        )
    in_sync = int(topic.configs.get("min.insync.replicas", "1"))
    if in_sync < settings.min_in_sync:
        wrong.append(f"min.insync.replicas is {in_sync}: set it to {settings.min_in_sync}")
    if wrong:
        raise UnsafeTopic(f"the topic {name} is not safe for a ledger: {'; '.join(wrong)}")


def _objections(configs: Mapping[str, str], *, compacted: bool) -> list[str]:
    wanted = {"unclean.leader.election.enable": "false", "cleanup.policy": "compact" if compacted else "delete"}
    if not compacted:
        wanted |= {"retention.ms": "-1", "retention.bytes": "-1"}
    wrong = [
        f"{key} is {configs.get(key, 'unknown')}: set it to {value}"
        for key, value in wanted.items()
        if configs.get(key) != value
    ]
    if compacted and int(configs.get("max.compaction.lag.ms", "0")) > MOST_COMPACTION_LAG:
        wrong.append(f"max.compaction.lag.ms is more than a day: set it to {KEYRING_CONFIGS['max.compaction.lag.ms']}")
    return wrong
