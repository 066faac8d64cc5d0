"""A node's ledger is moved to Kafka, and the node on Kafka goes on as if nothing had happened."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.commands import attempt, muniment, refused
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.kafka_nodes import settings_of
from tests.node import NodeProcess, running_node, until

pytestmark = pytest.mark.timeout(400)

VIEWS = ("", "/users", "/groups", "/roles", "/keys", "/flags", "/directories", "/settings")


class Before(NamedTuple):
    """A stopped node's folder, and what it answered."""

    data: Path
    operator_key: str
    tenant: str
    answers: dict[str, Any]
    retried: dict[str, Any]
    erased: str


def answers(client: httpx.Client, tenant: str) -> dict[str, Any]:
    """What anybody could have noticed: every list, as it is and as it was, and the tree over all that was recorded.

    The trail is not read, because reading it is recorded.
    """
    found = {path: get(client, f"/v1/tenants/{tenant}{path}") for path in VIEWS}
    head = found["head"] = head_of(client, tenant)
    for path in ("/users", "/groups", "/roles", "/flags"):
        for then in range(1, head, max(1, head // 5)):
            found[f"{path} as of {then}"] = get(client, f"/v1/tenants/{tenant}{path}", as_of=then)
    verified = client.post(f"/v1/tenants/{tenant}/verify").json()
    assert verified["holds"], verified
    for each in found["/directories"]["items"]:
        del each["scim_url"]  # it has the node's address in it
    return {**found, "root": verified["history"]["root"]}


def head_of(client: httpx.Client, tenant: str) -> int:
    return int(get(client, f"/v1/tenants/{tenant}/events", after=2**53)["head"])


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
def before(tmp_path_factory: pytest.TempPathFactory, shared_database: str) -> Before:
    """Its views are where those of the nodes on Kafka will be."""
    data = tmp_path_factory.mktemp("moved") / "data"
    environment = {"MUNIMENT_POSTGRES": shared_database}
    with running_node(data, environment=environment) as node:
        told = muniment("demo", "--small", "--data", str(data))
        tenant = told["planet_express"]["tenant"]
        with node.client() as client:
            retried = create(client, tenant, "nibbler", "first-nibbler")
            assert retried.status_code == 201
            erased = create(client, tenant, "seymour", "first-seymour").json()["id"]
            assert client.post(f"/v1/tenants/{tenant}/users/{erased}/erase").json()["done"]
    with running_node(data, environment=environment) as node, node.client() as client:  # all is recorded by now
        return Before(data, node.operator_key, tenant, answers(client, tenant), retried.json(), erased)


@pytest.fixture(scope="module")
def settings(kafka: Brokers, shared_database: str) -> dict[str, str]:
    """What the command and the nodes are given; the root key lies in the folder."""
    every = settings_of(kafka.servers, fresh_prefix(), shared_database)
    return {name: value for name, value in every.items() if name.startswith(("MUNIMENT_KAFKA", "MUNIMENT_POSTGRES"))}


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
    assert moved["events"] == moved["copied_now"] > before.answers["head"]
    assert moved["seconds"] > 0


def test_the_node_on_kafka_answers_as_the_one_before(before: Before, node: NodeProcess) -> None:
    assert node.operator_key == before.operator_key
    with node.client() as client:
        now = answers(client, before.tenant)
    for what, was in before.answers.items():
        assert now[what] == was, what


def test_the_views_are_built_again(node: NodeProcess) -> None:
    with node.client() as client:
        until(lambda: client.get("/readyz").json().get("stored_views") == "current", "the views are current")


def test_a_retry_of_what_was_done_before_gives_the_first_answer(before: Before, node: NodeProcess) -> None:
    with node.client() as client:
        head = head_of(client, before.tenant)
        again = create(client, before.tenant, "nibbler", "first-nibbler")
        assert again.status_code == 201
        assert again.json() == before.retried
        assert head_of(client, before.tenant) == head
        assert create(client, before.tenant, "zapp", "first-nibbler").status_code == 422


def test_who_was_erased_is_still_erased(before: Before, node: NodeProcess) -> None:
    with node.client() as client:
        assert client.get(f"/v1/tenants/{before.tenant}/users/{before.erased}").status_code == 404
    words = ("person", "export", before.erased, "--tenant", before.tenant, "--data", str(node.data))
    exported = muniment(*words)
    assert exported["user"] is None
    assert "seymour" not in json.dumps(exported)


def test_the_history_goes_on(before: Before, node: NodeProcess) -> None:
    with node.client() as client:
        head = head_of(client, before.tenant)
        assert create(client, before.tenant, "Nibbler", "second-nibbler").status_code == 409
        made = create(client, before.tenant, "seymour", "second-seymour")
        assert made.status_code == 201, made.text
        assert made.json()["since"] > head
        listed = get(client, f"/v1/tenants/{before.tenant}/users", user_name="seymour")["items"]
        assert [each["id"] for each in listed] == [made.json()["id"]]
        other = client.post("/v1/tenants", json={"name": "Mom's"}).json()["id"]
        assert create(client, other, "mom", "mom").status_code == 201
        until(lambda: client.get("/readyz").json().get("stored_views") == "current", "the views are current")
    assert muniment("verify", "--data", str(node.data))["holds"]


def test_a_ledger_is_not_moved_under_running_nodes(before: Before, settings: dict[str, str], node: NodeProcess) -> None:
    (before.data / "moved-to-kafka").rename(before.data / "put-aside")
    try:
        said = refused("migrate", "--to", "kafka", "--data", str(before.data), extra=settings)
    finally:
        (before.data / "put-aside").rename(before.data / "moved-to-kafka")
    assert "a node runs on that ledger in Kafka" in said


def test_the_folder_says_where_its_ledger_is(before: Before, settings: dict[str, str], moved: dict[str, Any]) -> None:
    prefix = settings["MUNIMENT_KAFKA_PREFIX"]
    for words, extra in ((("serve", "--port", "0"), None), (("migrate", "--to", "kafka"), settings)):
        said = refused(*words, "--data", str(before.data), extra=extra)
        assert "was moved to Kafka" in said
        assert prefix in said


def test_without_the_mark_the_folder_is_what_it_was(
    before: Before, node: NodeProcess, moved: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("ledger.db", "ledger.tail", "checkpoints.db", "root.key", "operator.key"):
        shutil.copy2(before.data / name, tmp_path)
    verified = muniment("verify", "--data", str(tmp_path))
    assert verified["holds"]
    assert verified["log"]["sequence"] == moved["events"]


def test_another_root_key_is_refused(before: Before, settings: dict[str, str], tmp_path: Path) -> None:
    for name in ("ledger.db", "ledger.tail"):
        shutil.copy2(before.data / name, tmp_path)
    extra = {**settings, "MUNIMENT_ROOT_KEY": "ab" * 32}
    said = refused("migrate", "--to", "kafka", "--data", str(tmp_path), extra=extra)
    assert "the root key does not open this data folder" in said


def test_a_folder_with_a_running_node_is_not_moved(tmp_path: Path, settings: dict[str, str]) -> None:
    with running_node(tmp_path / "data"):
        said = refused("migrate", "--to", "kafka", "--data", str(tmp_path / "data"), extra=settings)
    assert "another process has this data folder open" in said


def test_what_is_missing_is_said(tmp_path: Path, before: Before, moved: dict[str, Any]) -> None:
    assert "has no ledger" in refused("migrate", "--to", "kafka", "--data", str(tmp_path))
    (tmp_path / "ledger.db").touch()
    (tmp_path / "root.key").write_text("ab" * 32)
    assert "MUNIMENT_KAFKA" in refused("migrate", "--to", "kafka", "--data", str(tmp_path))
    run = attempt("migrate", "--data", str(tmp_path))
    assert run.returncode == 2
    assert "--to" in run.stderr
