"""What a broker of the tests is told: small, quick to start and to notice a dead peer, and safe as production is."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Addresses(NamedTuple):
    """A node's id and its loopback ports."""

    id: int
    client: int
    controller: int
    links: Sequence[tuple[int, int]] = ()
    """Of each link, the proxy's port, which the broker tells the clients that come this way, and the port behind it."""
    secured: tuple[int, int] | None = None
    """The ports for SASL over TLS, and for TLS with a client's certificate."""


def properties(own: Addresses, nodes: Sequence[Addresses], more: Mapping[str, str]) -> str:
    """The text of server.properties, without the folder of its data; `more` overrides."""
    replicas = min(len(nodes), 3)
    in_sync = 2 if replicas == 3 else 1
    settings = {
        "process.roles": "broker,controller",
        "node.id": own.id,
        "controller.quorum.voters": ",".join(f"{node.id}@127.0.0.1:{node.controller}" for node in nodes),
        **_listeners(own),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        # Safe
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        # Small
        "num.network.threads": 2,
        "num.io.threads": 2,
        "background.threads": 2,
        "num.recovery.threads.per.data.dir": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.num.partitions": 3,
        "share.coordinator.state.topic.num.partitions": 1,
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        # Quick
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "group.consumer.min.session.timeout.ms": 1000,
        "group.consumer.min.heartbeat.interval.ms": 200,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
        "transaction.max.timeout.ms": 900_000,
        "controller.quorum.election.timeout.ms": 500,
        "controller.quorum.election.backoff.max.ms": 250,
        "broker.heartbeat.interval.ms": 500,
        # After a kill, a broker's next life begins when its last one's session is over.
        "broker.session.timeout.ms": 4000 if len(nodes) > 1 else 2000,
        "replica.lag.time.max.ms": 5000,
        "log.cleaner.backoff.ms": 500,
        "log.initial.task.delay.ms": 500,
        **more,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _listeners(own: Addresses) -> dict[str, str]:
    binds = {"CLIENT": own.client, "CONTROLLER": own.controller}
    tells = {"CLIENT": own.client}
    protocols = {"SASL": "SASL_SSL", "SSL": "SSL"}
    for number, (told, bound) in enumerate(own.links):
        binds[f"LINK{number}"] = bound
        tells[f"LINK{number}"] = told
    if own.secured:
        secured = dict(zip(protocols, own.secured, strict=True))
        binds |= secured
        tells |= secured
    return {
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in binds.items()),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in tells.items()),
        "listener.security.protocol.map": ",".join(f"{name}:{protocols.get(name, 'PLAINTEXT')}" for name in binds),
    }
