"""Nodes of one deployment on a real Kafka and a real PostgreSQL, each in a process of its own."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from tests.node import NodeProcess

SESSION = 6


def settings_of(servers: str, prefix: str, postgres: str, *, partitions: int = 3) -> dict[str, str]:
    """The environment that all nodes of a deployment share."""
    return {
        "MUNIMENT_KAFKA": servers,
        "MUNIMENT_KAFKA_PREFIX": prefix,
        "MUNIMENT_KAFKA_PARTITIONS": str(partitions),
        "MUNIMENT_KAFKA_REPLICATION": "1",
        "MUNIMENT_KAFKA_SESSION": str(SESSION),
        "MUNIMENT_POSTGRES": postgres,
        "MUNIMENT_ROOT_KEY": secrets.token_hex(32),
    }


@contextlib.contextmanager
def deployment(folder: Path, settings: dict[str, str], count: int = 2) -> Iterator[list[NodeProcess]]:
    """So many nodes, all with the operator's key of the first; what a test killed may be started again in its place."""
    nodes: list[NodeProcess] = []
    try:
        for number in range(count):
            nodes.append(NodeProcess(folder / f"node{number}", environment=settings))
            nodes[-1].operator_key = nodes[0].operator_key
        yield nodes
    finally:
        for node in nodes:
            node.stop()
