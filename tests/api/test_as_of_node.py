"""A read-only node of a past moment, beside the node that goes on: it answers as of then, and changes nothing."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.organisation import Organisation, organisation
from tests.e2e.commands import refused
from tests.node import NodeProcess, running_node, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("then") / "data") as node:
        yield node


@pytest.fixture(scope="module")
def office(now: NodeProcess) -> Organisation:
    return organisation(now, "Planet Express, then")


@pytest.fixture(scope="module")
def moment(now: NodeProcess, office: Organisation) -> str:
    """A position, after which much changes."""
    base = f"/v1/tenants/{office.ids['tenant']}"
    with now.client() as operator:
        position = operator.get(f"{base}/events").json()["head"]
        operator.patch(f"{base}/users/{office.ids['user']}", json={"display_name": "Later"}).raise_for_status()
        operator.patch(f"{base}/flags/{office.ids['flag']}", json={"default_variant": "on"}).raise_for_status()
        operator.put(f"{base}/settings/color", json={"value": "red"}).raise_for_status()
        operator.post(f"{base}/users", json={"user_name": "late"}).raise_for_status()
        operator.delete(f"{base}/keys/{office.ids['key']}").raise_for_status()
    return f"{office.ids['tenant']}:{position}"


@pytest.fixture(scope="module")
def then(now: NodeProcess, moment: str) -> Iterator[NodeProcess]:
    with running_node(now.data, arguments=("--as-of", moment)) as node:
        yield node


def read(node: NodeProcess, path: str, **query: Any) -> Any:
    with node.client() as client:
        answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_reads_are_of_then(then: NodeProcess, now: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    assert read(then, f"{base}/users/{office.ids['user']}")["display_name"] == "Someone"
    assert read(now, f"{base}/users/{office.ids['user']}")["display_name"] == "Later"
    assert read(then, f"{base}/settings/color")["value"] == "blue"
    assert len(read(then, f"{base}/users")["items"]) == 1
    assert read(then, f"{base}/groups/{office.ids['group']}/members")["items"]
    assert read(then, f"{base}/keys/{office.ids['key']}")["revoked_at"] is None
    assert office.ids["tenant"] in {each["id"] for each in read(then, "/v1/tenants")["items"]}


def test_the_trail_ends_then(then: NodeProcess, office: Organisation, moment: str) -> None:
    base, position = f"/v1/tenants/{office.ids['tenant']}", int(moment.partition(":")[2])
    assert read(then, f"{base}/events")["head"] == position
    assert read(then, f"{base}/trail")["items"][0]["position"] == position
    with then.client() as client:
        assert client.get(f"{base}/users", params={"as_of": position + 1}).status_code == 404


def test_an_earlier_moment_can_be_asked_of_it(then: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    assert read(then, f"{base}/users", as_of=1)["items"] == []


def test_flags_are_evaluated_as_of_then(then: NodeProcess, now: NodeProcess, office: Organisation) -> None:
    path = f"/v1/tenants/{office.ids['tenant']}/evaluations/shiny"
    assert read(then, path)["value"] is False
    assert read(now, path)["value"] is True


def test_access_is_checked_as_of_then(then: NodeProcess, now: NodeProcess, office: Organisation) -> None:
    path = f"/v1/tenants/{office.ids['tenant']}/access"
    named = {"credential": office.ids["key"], "permission": "users:manage"}
    assert read(then, path, **named)["decision"]["allowed"]
    assert read(now, path, **named)["decision"]["because"] == "the key is revoked"


def test_it_replays_too(then: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    assert read(then, f"{base}/why", position=2)["verdict"] == "same"
    assert read(then, f"{base}/diff", **{"from": "1"})["items"]
    with then.client() as client:
        asked = client.post(f"{base}/what-if", json={"edits": [{"edit": "leave_out", "positions": [2]}]})
        assert asked.status_code == 200, asked.text
        report = client.post(f"{base}/incident", json={"of": office.ids["key"]})
        assert report.status_code == 200, report.text
        assert report.json()["proofs"]["bundle"] is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/tenants"),
        ("PATCH", "/v1/tenants/{tenant}/users/{user}"),
        ("DELETE", "/v1/tenants/{tenant}/keys/{key}"),
        ("PUT", "/v1/tenants/{tenant}/settings/color"),
        ("POST", "/v1/node/backup"),
        ("POST", "/v1/node/rebuild"),
        ("POST", "/v1/operator/rotate"),
    ],
)
def test_whatever_changes_anything_is_refused_and_told_why(
    then: NodeProcess, office: Organisation, method: str, path: str
) -> None:
    with then.client() as client:
        answer = client.request(method, path.format(**office.ids), json={})
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert "changes nothing: ask a node of now" in answer.json()["detail"]


def test_a_refused_read_is_not_recorded(then: NodeProcess, now: NodeProcess, office: Organisation) -> None:
    with then.client() as client:
        assert client.get("/v1/node/rebuild").status_code == 409
        assert client.get("/v1/tenants/ten_" + "0" * 32 + "/users").status_code == 404


def test_no_key_of_then_and_none_of_now_opens_it(then: NodeProcess, now: NodeProcess, office: Organisation) -> None:
    path = f"/v1/tenants/{office.ids['tenant']}/users"
    with then.client(office.key) as stolen, then.client(now.operator_key) as operator:
        assert stolen.get(path).status_code == 401
        assert operator.get(path).status_code == 401
    with now.client(then.operator_key) as client:
        assert client.get(path).status_code == 401


def test_it_says_that_it_only_reads(then: NodeProcess, now: NodeProcess) -> None:
    with httpx.Client(base_url=then.url) as client:
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz").json()
        assert client.get("/metrics").status_code == 200
    assert ready["read_only_as_of"].endswith("Z")
    with httpx.Client(base_url=now.url) as client:
        assert client.get("/readyz").json()["read_only_as_of"] is None


def test_what_is_erased_now_is_erased_then(now: NodeProcess, office: Organisation, moment: str) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    path = f"{base}/users/{office.ids['user']}"
    with running_node(now.data, arguments=("--as-of", moment)) as then, now.client() as operator:
        assert read(then, path)["display_name"] == "Someone"
        operator.post(f"{path}/erase").raise_for_status()
        until(lambda: read(then, path)["display_name"] is None, "the erasure is seen by a node of then")


def test_nothing_is_written_and_no_node_needs_to_run(tmp_path: Path) -> None:
    with running_node(tmp_path / "data") as node:
        office = organisation(node, "Stopped")
        with node.client() as operator:
            time = operator.get(f"/v1/tenants/{office.ids['tenant']}/events").json()["items"][-1]["recorded_at"]
    log = tmp_path / "data" / "ledger.db"
    before = hashlib.sha256(log.read_bytes()).digest()
    names = {each.name for each in log.parent.iterdir()}
    with running_node(tmp_path / "data", arguments=("--as-of", time)) as then:
        assert read(then, f"/v1/tenants/{office.ids['tenant']}/users")["items"]
    assert hashlib.sha256(log.read_bytes()).digest() == before
    assert {each.name for each in log.parent.iterdir()} - names <= {"ledger.db-wal", "ledger.db-shm"}


def test_a_moment_that_is_none_is_refused(now: NodeProcess, office: Organisation, tmp_path: Path) -> None:
    serve = ("serve", "--data", str(now.data), "--port", "0", "--as-of")
    assert "takes a time with an offset" in refused(*serve, "yesterday")
    assert "takes a time with an offset" in refused(*serve, "12")
    assert "has not come yet" in refused(*serve, "2999-01-01T00:00:00Z")
    assert "no such position" in refused(*serve, f"{office.ids['tenant']}:1000000")
    assert "no node's data folder" in refused("serve", "--data", str(tmp_path), "--port", "0", "--as-of", "1")
