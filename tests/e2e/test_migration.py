"""A node's ledger is moved to Kafka, and the node on Kafka goes on as if nothing had happened."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.commands import attempt, muniment, refused
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.kafka_nodes import SESSION, settings_of
from tests.node import NodeProcess, running_node, until

pytestmark = pytest.mark.timeout(400)

VIEWS = ("", "/users", "/groups", "/roles", "/keys", "/flags", "/directories", "/settings", "/trail")


class Before(NamedTuple):
    """A stopped node's folder, and what it answered."""

    data: Path
    operator_key: str
    tenant: str
    answers: dict[str, Any]
    retried: dict[str, Any]
    erased: str


def answers(client: httpx.Client, tenant: str) -> dict[str, Any]:
    """What anybody could have noticed: every list, as it is and as it was, the trail, and the trees."""
    found = {path: get(client, f"/v1/tenants/{tenant}{path}") for path in VIEWS}
    head = found["/trail"]["position"]
    for path in ("/users", "/groups", "/roles", "/flags"):
        for then in range(1, head, max(1, head // 5)):
            found[f"{path} as of {then}"] = get(client, f"/v1/tenants/{tenant}{path}", as_of=then)
    verified = client.post(f"/v1/tenants/{tenant}/verify").json()
    assert verified["holds"], verified
    return {**found, "root": verified["history"]["root"]}


def get(client: httpx.Client, path: str, **query: Any) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def create(client: httpx.Client, tenant: str, name: str, key: str) -> httpx.Response:
    return client.post(
        f"/v1/tenants/{tenant}/users",
        json={"user_name": name, "display_name": name.title()},
        headers={"Idempotency-Key": key},
    )


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    data = tmp_path_factory.mktemp("moved") / "data"
    with running_node(data) as node:
        told = muniment("demo", "--small", "--data", str(data))
        tenant = told["planet_express"]["tenant"]
        with node.client() as client:
            retried = create(client, tenant, "nibbler", "first-nibbler")
            assert retried.status_code == 201
            erased = create(client, tenant, "seymour", "first-seymour").json()["id"]
            assert client.post(f"/v1/tenants/{tenant}/users/{erased}/erase").json()["done"]
            return Before(data, node.operator_key, tenant, answers(client, tenant), retried.json(), erased)


@pytest.fixture(scope="module")
def settings(before: Before, kafka: Brokers) -> dict[str, str]:
    chosen = settings_of(kafka.servers, fresh_prefix(), "")
    del chosen["MUNIMENT_ROOT_KEY"]
    return chosen


@pytest.fixture(scope="module")
def moved(before: Before, settings: dict[str, str]) -> dict[str, Any]:
    """What the command said."""
    told: dict[str, Any] = muniment("migrate", "--to", "kafka", "--data", str(before.data), extra=settings)
    return told


@pytest.fixture(scope="module")
def node(before: Before, settings: dict[str, str], moved: dict[str, Any]) -> Iterator[NodeProcess]:
    """On the same folder, on Kafka."""
    with_key = {**settings, "MUNIMENT_ROOT_KEY_FILE": str(before.data / "root.key")}
    with running_node(before.data, environment=with_key) as node:
        yield node


def test_what_was_moved_is_told(before: Before, moved: dict[str, Any]) -> None:
    assert moved["tenants"] == 2
    assert moved["events"] == moved["copied_now"] > len(before.answers["/trail"]["items"])
    assert moved["seconds"] > 0


def test_the_node_on_kafka_answers_as_the_one_before(before: Before, node: NodeProcess) -> None:
    assert node.operator_key == before.operator_key
    with node.client() as client:
        now = answers(client, before.tenant)
    for what, was in before.answers.items():
        assert now[what] == was, what
