"""What `doctor` looks at where the ledger is on Kafka: that it can be reached, and that its topics are safe."""

from collections.abc import Iterator

from adapters.kafka.client import Unavailable
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import TopicSettings, UnsafeTopic, must_be_safe
from api.cli.examining import Finding
from api.configuration import KafkaConfiguration


def examine_kafka(kafka: KafkaConfiguration) -> Iterator[Finding]:
    """Makes no topic: the first node does."""
    try:
        admin = connect(KafkaSettings(**kafka.connection)).admin()
    except (Unavailable, ValueError, RuntimeError) as problem:
        yield Finding("Kafka", "wrong", "it can't be reached", str(problem))
        return
    try:
        yield Finding("Kafka", "ok", f"reached at {kafka.connection['servers']}")
        settings = TopicSettings(kafka.prefix, kafka.partitions, kafka.replication, kafka.min_in_sync)
        for name in ("ledger", "keyring"):
            topic = f"{kafka.prefix}.{name}"
            found = admin.topic(topic)
            if found is None:
                yield Finding(topic, "ok", "none yet; the first node makes it")
                continue
            try:
                must_be_safe(topic, found, settings, compacted=name == "keyring")
            except UnsafeTopic as problem:
                yield Finding(topic, "wrong", "it could lose what it is given", str(problem))
            else:
                yield Finding(topic, "ok", f"{found.partitions} partitions, {found.replication} replicas, safe")
        members = admin.members(f"{kafka.prefix}.nodes")
        yield Finding("nodes", "ok", f"{len(members)} in the group")
    except Unavailable as problem:
        yield Finding("Kafka", "wrong", "it does not answer", str(problem))
    finally:
        admin.close()
