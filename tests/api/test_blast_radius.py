"""The blast radius over HTTP: as a table and as a graph, within a range, for who may replay."""

from typing import Any

import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess


@pytest.fixture(scope="module")
def office(node: NodeProcess) -> Organisation:
    return organisation(node, "Planet Express, blasted")


@pytest.fixture(scope="module")
def stolen(node: NodeProcess, office: Organisation) -> dict[str, Any]:
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client() as operator:
        issued = operator.post(f"{base}/keys", json={"permissions": ["keys:manage", "users:manage"]}).json()
    with node.client(issued["key"]) as thief:
        other = thief.post(f"{base}/keys", json={"permissions": ["users:manage"]}).json()
        assert thief.post(f"{base}/roles", json={"name": "x", "permissions": []}).status_code == 403
    with node.client(other["key"]) as thief:
        user = thief.post(f"{base}/users", json={"user_name": "mallory"}).json()["id"]
    return {"id": issued["id"], "other": other["id"], "user": user, "first": other["position"]}


def follow(node: NodeProcess, office: Organisation, suffix: str = "", **query: Any) -> Any:
    with node.client(office.key) as client:
        named = {{"start": "from", "end": "to"}.get(name, name): value for name, value in query.items()}
        return client.get(f"/v1/tenants/{office.ids['tenant']}/blast-radius{suffix}", params=named)


def test_it_is_told_as_a_table_and_as_a_graph(node: NodeProcess, office: Organisation, stolen: dict[str, Any]) -> None:
    found = follow(node, office, of=stolen["id"]).json()
    assert [(each["type"], each["through"]) for each in found["events"]] == [
        ("ApiKeyIssued", stolen["id"]),
        ("CommandRefused", stolen["id"]),
        ("UserProvisioned", stolen["other"]),
    ]
    assert [each["refused"] for each in found["events"]] == [False, True, False]
    assert found["complete"]
    assert found["cuts"] == []
    assert {each["id"]: each["kind"] for each in found["nodes"]} == {
        stolen["id"]: "credential",
        stolen["other"]: "credential",
        stolen["user"]: "user",
    }
    assert {(each["source"], each["target"], each["what"]) for each in found["edges"]} == {
        (stolen["id"], stolen["other"], "ApiKeyIssued"),
        (stolen["other"], stolen["user"], "UserProvisioned"),
    }
    assert found["counts"] == {"ApiKeyIssued": 1, "CommandRefused": 1, "UserProvisioned": 1}


def test_the_graph_is_told_in_dot(node: NodeProcess, office: Organisation, stolen: dict[str, Any]) -> None:
    answer = follow(node, office, ".dot", of=stolen["id"])
    assert answer.headers["content-type"].startswith("text/vnd.graphviz")
    assert f'"{stolen["id"]}" -> "{stolen["other"]}"' in answer.text


def test_a_range_and_a_limit_bound_it_and_what_is_cut_is_said(
    node: NodeProcess, office: Organisation, stolen: dict[str, Any]
) -> None:
    within = follow(node, office, of=stolen["id"], start=stolen["first"], end=stolen["first"]).json()
    assert [each["position"] for each in within["events"]] == [stolen["first"]]
    assert (within["start"], within["end"], within["complete"]) == (stolen["first"], stolen["first"], True)
    cut = follow(node, office, of=stolen["id"], limit=1).json()
    assert not cut["complete"]
    assert cut["cuts"] == [{"position": stolen["first"], "because": "only the first 1 events are told"}]


def test_an_address_is_followed_by_its_tag(node: NodeProcess, office: Organisation, stolen: dict[str, Any]) -> None:
    with node.client(office.key) as client:
        item = client.get(
            f"/v1/tenants/{office.ids['tenant']}/events", params={"after": stolen["first"] - 1, "limit": 1}
        ).json()["items"][0]
    (address,) = [each for each in item["tags"] if each.startswith("address:")]
    found = follow(node, office, of=address, limit=10_000).json()
    assert stolen["first"] in [each["position"] for each in found["events"]]
    assert address in {each["id"] for each in found["nodes"]}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"of": "somebody"}, 422),
        ({"of": "rol_" + "0" * 32}, 422),
        ({"of": "usr_" + "0" * 32, "start": "3", "end": "1"}, 422),
        ({"of": "usr_" + "0" * 32, "start": "yesterday"}, 400),
        ({"of": "usr_" + "0" * 32, "limit": "10001"}, 422),
        ({"of": "usr_" + "0" * 32}, 200),
    ],
)
def test_what_can_not_be_followed_is_refused(
    node: NodeProcess, office: Organisation, query: dict[str, str], status: int
) -> None:
    assert follow(node, office, **query).status_code == status


def test_following_takes_the_permission_to_replay(node: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client() as operator:
        issued = operator.post(f"{base}/keys", json={"permissions": ["audit:read"]}).json()
    with node.client(issued["key"]) as client:
        for suffix in ("", ".dot"):
            assert client.get(f"{base}/blast-radius{suffix}", params={"of": issued["id"]}).status_code == 403
