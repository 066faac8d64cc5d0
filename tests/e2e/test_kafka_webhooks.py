"""Webhooks of nodes on Kafka: one node delivers, whichever is asked, and another goes on once that one is gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adapters.webhooks.receiver import Receiver, receiving
from tests.api.organisation import organisation
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.kafka_nodes import deployment, settings_of
from tests.node import NodeProcess, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def client_of(node: NodeProcess, key: str, tenant: str) -> httpx.Client:
    client = node.client(key)
    client.base_url = f"{node.url}/v1/tenants/{tenant}"
    return client


def add(client: httpx.Client, name: str) -> int:
    """Somebody comes, as soon as some node takes it; the position."""
    headers = {"Idempotency-Key": f"add-{name}-once"}

    def made() -> Any:
        answer = client.post("/users", json={"user_name": name}, headers=headers)
        return answer.json() if answer.status_code == 201 else None

    return int(until(made, "an answer")["since"])


def delivers(node: NodeProcess) -> bool:
    """Whether it has attempted any delivery."""
    with node.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return any(line.startswith("muniment_webhook_attempts_total{") and not line.endswith(" 0.0") for line in lines)


def test_when_the_node_that_delivers_dies_another_goes_on_in_order(
    kafka: Brokers, shared_database: str, tmp_path: Path, receiver: Receiver
) -> None:
    settings = {**settings_of(kafka.servers, fresh_prefix(), shared_database), "MUNIMENT_WEBHOOKS_PRIVATE": "1"}
    with deployment(tmp_path, settings) as nodes:
        made = organisation(nodes[0], "Planet Express")
        clients = [client_of(node, made.key, made.ids["tenant"]) for node in nodes]
        body = {"url": receiver.url, "types": ["UserProvisioned"]}
        hook = clients[0].post("/webhooks", json=body).json()
        positions = [add(clients[number % 2], f"before{number}") for number in range(6)]
        until(lambda: len(receiver.sent) == 6, "six deliveries")
        assert receiver.positions == positions, "by one node, once and in order"
        told = [client.get(f"/webhooks/{hook['id']}/progress").json()["here"] for client in clients]
        assert told == [True, True], "whichever is asked, the node that delivers answers"
        here = [delivers(node) for node in nodes]
        assert sorted(here) == [False, True]
        owner, other = here.index(True), here.index(False)
        nodes[owner].kill()
        positions += [add(clients[other], f"after{number}") for number in range(3)]
        until(lambda: set(positions) <= set(receiver.positions), "the rest, from the other node")
        assert receiver.positions[6:] == sorted(receiver.positions[6:])
        assert clients[other].get(f"/webhooks/{hook['id']}/progress").json()["here"] is True
        for sent in receiver.sent:
            sent.verify(hook["secret"])
        for client in clients:
            client.close()
