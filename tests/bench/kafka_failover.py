"""Fail-over on Kafka: how long nobody owns a partition whose owner was killed, as a client of another node sees it."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

import httpx

from adapters.embedded_postgres import EmbeddedPostgres
from adapters.kafka.client import Place
from adapters.kafka.control import decode_takeover, is_control
from tests.bench.kafka import JVM, as_served
from tests.bench.kafka_bare import CLIENTS, read
from tests.bench.table import Row
from tests.kafka.broker import Cluster
from tests.kafka_nodes import SESSION, deployment, settings_of
from tests.node import PATIENCE, NodeProcess
from tests.postgres import database_of

ROUNDS: Final = 3
CALM: Final = 2.0
"""Seconds of commands before each kill and after it."""
_names = itertools.count(1)


def rows(folder: Path) -> Iterator[Row]:
    as_served()
    postgres = EmbeddedPostgres(folder / "postgres")
    server = postgres.start()
    try:
        with Cluster(folder / "broker", jvm=JVM) as cluster:
            for client in CLIENTS:
                for database in database_of(server):
                    yield _gaps(client, cluster.servers, folder / client, database)
    finally:
        postgres.stop()


def _gaps(client: str, servers: str, folder: Path, database: str) -> Row:
    folder.mkdir()
    settings = {**settings_of(servers, client, database, partitions=1), "MUNIMENT_KAFKA_CLIENT": client}
    gaps = []
    with deployment(folder, settings) as nodes:
        with nodes[0].client() as operator:
            tenant = operator.post("/v1/tenants", json={"name": "Planet Express"}).json()["id"]
        for _ in range(ROUNDS):
            owner = _owner(servers, f"{client}.ledger", nodes)
            with nodes[1 - owner].client() as caller:
                _longest(caller, tenant)
                gaps.append(_longest(caller, tenant, nodes[owner]))
            again = NodeProcess(nodes[owner].data, environment=settings)
            again.operator_key = nodes[owner].operator_key
            nodes[owner] = again
    return Row(
        f"no owner after kill -9, the longest of {ROUNDS} ({client})",
        max(gaps),
        f"s, median {median(gaps):.1f}",
        f"the group's session time-out: {SESSION} s",
        max(gaps) / SESSION,
        "≤ 1.5",
    )


def _owner(servers: str, topic: str, nodes: list[NodeProcess]) -> int:
    """Which node's is the last takeover record."""
    values = [each.value for each in read(servers, Place(topic, 0), 0)]
    last = next(decode_takeover(value) for value in reversed(values) if value is not None and is_control(value))
    return [node.url for node in nodes].index(last.address)


def _longest(caller: httpx.Client, tenant: str, owner: NodeProcess | None = None) -> float:
    """Seconds between two answers, at most, while commands follow each other; with an owner, it is killed first."""
    end = time.monotonic() + PATIENCE
    last, longest = _ask(caller, tenant, end), 0.0
    if owner is not None:
        owner.kill()
    calm = last + CALM
    while last < calm:
        now = _ask(caller, tenant, end)
        if owner is not None and longest < now - last:
            longest, calm = now - last, now + CALM
        last = now
    return longest


def _ask(caller: httpx.Client, tenant: str, end: float) -> float:
    """When a command was answered; it is sent again until it is."""
    name = f"fry{next(_names)}"
    while True:
        body, key = {"user_name": name}, {"Idempotency-Key": name}
        answer = caller.post(f"/v1/tenants/{tenant}/users", json=body, headers=key)
        if answer.status_code == 201:
            return time.monotonic()
        if answer.status_code != 503 or time.monotonic() > end:
            raise RuntimeError(answer.text)
        time.sleep(0.02)
