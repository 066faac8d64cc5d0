"""Two nodes on Kafka are one Muniment: whichever is asked, what was acknowledged is there, once, and nothing else."""

import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest

from adapters.kafka.peers import PROOF, Proofs
from tests.api.organisation import Organisation, organisation
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.kafka_nodes import SESSION, deployment, settings_of
from tests.node import NodeProcess, until

pytestmark = pytest.mark.timeout(300)
_names = itertools.count(1)


@pytest.fixture(scope="module")
def settings(kafka: Brokers, shared_database: str) -> dict[str, str]:
    shared = settings_of(kafka.servers, fresh_prefix(), shared_database)
    return {**shared, "MUNIMENT_PUBLIC_URL": "https://muniment.example"}


@pytest.fixture(scope="module")
def nodes(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NodeProcess]]:
    with deployment(tmp_path_factory.mktemp("nodes"), settings) as running:
        yield running


@pytest.fixture
def made(nodes: list[NodeProcess]) -> Organisation:
    return organisation(nodes[1], f"Planet Express {next(_names)}")


_open: list[httpx.Client] = []


@pytest.fixture(autouse=True)
def no_client_stays_open() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def clients(nodes: list[NodeProcess], made: Organisation) -> list[httpx.Client]:
    """The tenant's key at each node."""
    found = [node.client(made.key) for node in nodes]
    _open.extend(found)
    return found


def create(client: httpx.Client, tenant: str, name: str, **headers: str) -> httpx.Response:
    body = {"user_name": name, "display_name": name.title()}
    return client.post(f"/v1/tenants/{tenant}/users", json=body, headers=headers)


def test_what_is_made_at_one_node_reads_the_same_at_all(nodes: list[NodeProcess], made: Organisation) -> None:
    base = f"/v1/tenants/{made.ids['tenant']}"
    for path in ("", "/users", "/groups", "/roles", "/keys", "/flags", "/directories", "/settings"):
        answers = [client.get(base + path).json() for client in clients(nodes, made)]
        assert answers[0] == answers[1]
    trails = [client.get("/v1/trail", params={"to": 9}).json()["items"] for client in clients(nodes, made)]
    assert trails[0] == trails[1]
    assert len(trails[0]) > 8


def test_each_write_is_read_at_the_other_node_at_once(nodes: list[NodeProcess], made: Organisation) -> None:
    tenant, (one, other) = made.ids["tenant"], clients(nodes, made)
    for number in range(20):
        writer, reader = (one, other) if number % 2 else (other, one)
        answer = create(writer, tenant, f"fry{number}")
        assert answer.status_code == 201, answer.text
        found = reader.get(f"/v1/tenants/{tenant}/users/{answer.json()['id']}")
        assert found.status_code == 200, found.text
        listed = reader.get(f"/v1/tenants/{tenant}/users", params={"limit": 100}).json()["items"]
        assert answer.json()["id"] in {each["id"] for each in listed}


def test_a_name_is_taken_once_whichever_nodes_are_asked(nodes: list[NodeProcess], made: Organisation) -> None:
    tenant, crowd = made.ids["tenant"], [*clients(nodes, made), *clients(nodes, made)]
    for name in ("leela", "amy", "hermes"):
        with ThreadPoolExecutor(len(crowd)) as pool:
            answers = list(pool.map(lambda client: create(client, tenant, name).status_code, crowd))  # noqa: B023
        assert sorted(answers) == [201, 409, 409, 409]


def test_a_retry_at_another_node_gets_the_first_answer(nodes: list[NodeProcess], made: Organisation) -> None:
    tenant, (one, other) = made.ids["tenant"], clients(nodes, made)
    key = {"Idempotency-Key": f"k-{next(_names)}"}
    first, again = create(one, tenant, "zoidberg", **key), create(other, tenant, "zoidberg", **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert create(other, tenant, "else", **key).status_code == 422


def test_a_version_that_another_node_changed_is_noticed(nodes: list[NodeProcess], made: Organisation) -> None:
    tenant, (one, other) = made.ids["tenant"], clients(nodes, made)
    user = create(one, tenant, "kif").json()["id"]
    path = f"/v1/tenants/{tenant}/users/{user}"
    etag = other.get(path).headers["etag"]
    assert one.get(path).headers["etag"] == etag
    assert one.patch(path, json={"display_name": "Kif Kroker"}, headers={"If-Match": etag}).status_code == 200
    assert other.patch(path, json={"display_name": "Kif"}, headers={"If-Match": etag}).status_code == 412
    assert other.get(path).json()["display_name"] == "Kif Kroker"


def test_keys_open_and_stop_opening_at_every_node(nodes: list[NodeProcess], made: Organisation) -> None:
    tenant, (one, other) = made.ids["tenant"], clients(nodes, made)
    for writer, node in ((one, nodes[1]), (other, nodes[0])):
        issued = writer.post(f"/v1/tenants/{tenant}/keys", json={"permissions": ["users:read"]}).json()
        with node.client(issued["key"]) as holder:
            assert holder.get(f"/v1/tenants/{tenant}/users").status_code == 200
            assert writer.delete(f"/v1/tenants/{tenant}/keys/{issued['id']}").is_success

            def is_refused(holder: httpx.Client = holder) -> bool:
                return holder.get(f"/v1/tenants/{tenant}/users").status_code == 401

            until(is_refused, "it is revoked")


def test_who_is_erased_can_be_opened_at_no_node(nodes: list[NodeProcess], made: Organisation) -> None:
    tenant, (one, other) = made.ids["tenant"], clients(nodes, made)
    user = create(one, tenant, "nibbler").json()["id"]
    assert other.delete(f"/v1/tenants/{tenant}/users/{user}").is_success
    assert other.post(f"/v1/tenants/{tenant}/users/{user}/erase").is_success
    for node in nodes:
        kept = []
        for file in (node.data / "indexes").glob("[0-9]*.db"):
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
                kept += connection.execute("SELECT wrapped FROM data_keys WHERE subject = ?", (user,)).fetchall()
        assert kept
        assert not any(any(wrapped) for (wrapped,) in kept)


def test_every_node_verifies_what_it_holds(nodes: list[NodeProcess], made: Organisation) -> None:
    tenant, roots = made.ids["tenant"], set()
    for node in nodes:
        with node.client() as operator:
            found = operator.post(f"/v1/tenants/{tenant}/verify").json()
            assert found["holds"], found
            roots.add((found["history"]["size"], found["history"]["root"]))
            assert operator.post("/v1/node/verify").json()["holds"]
    assert len(roots) == 1


def test_nobody_but_a_node_may_ask_what_nodes_ask(nodes: list[NodeProcess], settings: dict[str, str]) -> None:
    with nodes[0].client() as operator:
        assert operator.post("/internal/execute", content=b"x").status_code == 404
        assert operator.post("/internal/execute", content=b"x", headers={PROOF: "1.2.3"}).status_code == 403
        proofs = Proofs(bytes.fromhex(settings["MUNIMENT_ROOT_KEY"]))
        proof = proofs.make(nodes[0].url, "POST", "/internal/execute", b"x")
        headers = {PROOF: proof, "Authorization": ""}
        assert operator.post("/internal/execute", content=b"x", headers=headers).status_code == 400
        assert operator.post("/internal/execute", content=b"x", headers=headers).status_code == 403
        elsewhere = {PROOF: proofs.make(nodes[1].url, "POST", "/internal/execute", b"x")}
        assert operator.post("/internal/execute", content=b"x", headers=elsewhere).status_code == 403
        other_body = {PROOF: proofs.make(nodes[0].url, "POST", "/internal/execute", b"y")}
        assert operator.post("/internal/execute", content=b"x", headers=other_body).status_code == 403
        stranger = Proofs(os.urandom(32)).make(nodes[0].url, "POST", "/internal/execute", b"x")
        assert operator.post("/internal/execute", content=b"x", headers={PROOF: stranger}).status_code == 403


def test_a_backup_is_the_brokers_affair(nodes: list[NodeProcess]) -> None:
    with nodes[0].client() as operator:
        answer = operator.post("/v1/node/backup")
        assert answer.status_code == 409
        assert "on Kafka" in answer.json()["detail"]


def test_a_node_that_dies_or_leaves_is_hardly_missed(
    nodes: list[NodeProcess], made: Organisation, settings: dict[str, str]
) -> None:
    """Writes go on through the other: after a kill once the session is over, after a stop at once."""
    tenant, acknowledged = made.ids["tenant"], []
    longest = 0.0
    with nodes[1].client(made.key) as client:

        def write_for(seconds: float) -> None:
            nonlocal longest
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                began, name = time.monotonic(), f"user{next(_names)}"
                key = {"Idempotency-Key": name}
                while (answer := create(client, tenant, name, **key)).status_code == 503:
                    assert time.monotonic() < began + 60
                assert answer.status_code == 201, answer.text
                acknowledged.append(answer.json()["id"])
                longest = max(longest, time.monotonic() - began)

        write_for(1.0)
        nodes[0].kill()
        write_for(2 * SESSION)
        nodes[0] = _again(nodes[0], settings)
        write_for(3.0)
        assert nodes[0].stop() == 0
        write_for(2.0)
        nodes[0] = _again(nodes[0], settings)
        write_for(1.0)
    assert longest < 3 * SESSION
    for each in clients(nodes, made):
        found: set[str] = set()
        cursor: dict[str, Any] = {}
        while True:
            page = each.get(f"/v1/tenants/{tenant}/users", params={"limit": 100, **cursor}).json()
            found |= {user["id"] for user in page["items"]}
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert found >= set(acknowledged)
        assert len(set(acknowledged)) == len(acknowledged)


def _again(node: NodeProcess, settings: dict[str, str]) -> NodeProcess:
    fresh = NodeProcess(node.data, environment=settings)
    fresh.operator_key = node.operator_key
    return fresh


def test_a_lost_operator_key_is_replaced_at_any_node(nodes: list[NodeProcess], settings: dict[str, str]) -> None:
    lost = nodes[1].operator_key
    assert nodes[0].stop() == 0
    nodes[0] = NodeProcess(nodes[0].data, environment=settings, arguments=("--new-operator-key",))
    assert nodes[0].operator_key not in (None, lost)
    with nodes[1].client(nodes[0].operator_key) as operator:
        assert operator.get("/v1/tenants").status_code == 200
    with nodes[1].client(lost) as stranger:
        assert stranger.get("/v1/tenants").status_code == 401
