"""Comparing two moments over HTTP: what is told, to whom, and what is refused."""

from typing import Any

import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess


@pytest.fixture(scope="module")
def office(node: NodeProcess) -> Organisation:
    return organisation(node, "Planet Express, compared")


def diff(node: NodeProcess, office: Organisation, **query: object) -> Any:
    with node.client(office.key) as client:
        named = {{"start": "from", "end": "to"}.get(name, name): str(value) for name, value in query.items()}
        answer = client.get(f"/v1/tenants/{office.ids['tenant']}/diff", params=named)
        assert answer.status_code == 200, answer.text
        return answer.json()


def test_a_change_is_told_with_both_rows_and_its_cause(node: NodeProcess, office: Organisation) -> None:
    path = f"/v1/tenants/{office.ids['tenant']}/users/{office.ids['user']}"
    with node.client(office.key) as client:
        before = client.get(path).json()
        changed = client.patch(path, json={"display_name": "Nobody"}, headers={"X-Request-ID": "request-one"})
        position = changed.headers["Muniment-Position"].rpartition(":")[2]
    found = diff(node, office, start=int(position) - 1, end=position)
    assert found["start"]["position"] == int(position) - 1
    (item,) = found["items"]
    assert (item["view"], item["key"], item["fields"]) == ("users", office.ids["user"], ["display_name"])
    assert item["before"]["values"]["display_name"] == before["display_name"]
    assert item["after"]["values"]["display_name"] == "Nobody"
    assert item["after"]["since"] == int(position)
    assert item["after"]["values"]["created_at"] == before["created_at"]
    (cause,) = item["causes"]
    assert cause["type"] == "UserProfileChanged"
    assert cause["actor"] == {"kind": "service", "id": office.ids["key"]}
    assert cause["credential"] == office.ids["key"]
    assert cause["authority"]["permission"] == "users:manage"
    assert cause["correlation"] == "request-one"


def test_from_before_everything_all_that_is_there_came(node: NodeProcess, office: Organisation) -> None:
    items = diff(node, office, start=0, limit=500)["items"]
    assert all(each["before"] is None for each in items)
    views = {each["view"] for each in items}
    assert views - {"webhooks"} == {
        "tenants",
        "tenant_settings",
        "users",
        "groups",
        "members",
        "directories",
        "directory_tokens",
        "roles",
        "assignments",
        "api_keys",
        "flags",
    }


def test_pages_are_of_one_moment_whatever_happens_meanwhile(node: NodeProcess, office: Organisation) -> None:
    whole = diff(node, office, start=0, limit=500)
    paged = diff(node, office, start=0, limit=4)
    found, end = list(paged["items"]), paged["end"]
    with node.client(office.key) as client:
        client.put(f"/v1/tenants/{office.ids['tenant']}/settings/aaa", json={"value": "late"}).raise_for_status()
    while paged["next"] is not None:
        paged = diff(node, office, start=0, limit=4, cursor=paged["next"])
        assert paged["end"] == end
        found += paged["items"]
    assert found == whole["items"]


def test_hashes_of_secrets_are_told_and_no_secret(node: NodeProcess, office: Organisation) -> None:
    found = diff(node, office, start=0, limit=500)
    key = next(each for each in found["items"] if each["view"] == "api_keys")
    assert len(key["after"]["values"]["secret_hash"]) == 64
    assert office.key not in str(found)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"from": "yesterday"}, 400),
        ({"from": "-1"}, 400),
        ({"from": "1", "to": "0"}, 422),
        ({"from": "3", "to": "2"}, 422),
        ({"from": "1000000"}, 404),
        ({"from": "2999-01-01T00:00:00Z"}, 422),
        ({"from": "1", "cursor": "bm90IG91cnM"}, 400),
        ({"from": "1", "limit": "501"}, 422),
    ],
)
def test_moments_that_can_not_be_compared_are_refused(
    node: NodeProcess, office: Organisation, query: dict[str, str], status: int
) -> None:
    with node.client(office.key) as client:
        answer = client.get(f"/v1/tenants/{office.ids['tenant']}/diff", params=query)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_cursor_of_one_comparison_is_of_no_use_to_another(node: NodeProcess, office: Organisation) -> None:
    cursor = diff(node, office, start=0, limit=1)["next"]
    with node.client(office.key) as client:
        answer = client.get(f"/v1/tenants/{office.ids['tenant']}/diff", params={"from": "1", "cursor": str(cursor)})
    assert answer.status_code == 400


def test_comparing_takes_its_own_permission(node: NodeProcess, office: Organisation) -> None:
    tenant = office.ids["tenant"]
    with node.client() as operator:
        issued = operator.post(f"/v1/tenants/{tenant}/keys", json={"permissions": ["users:read", "audit:read"]}).json()
    with node.client(issued["key"]) as client:
        assert client.get(f"/v1/tenants/{tenant}/diff", params={"from": "0"}).status_code == 403
        assert client.post(f"/v1/tenants/{tenant}/verify").status_code == 403


def test_a_tenant_is_verified_with_the_root_of_its_history(node: NodeProcess, office: Organisation) -> None:
    with node.client(office.key) as client:
        verified = client.post(f"/v1/tenants/{office.ids['tenant']}/verify").json()
    assert verified["holds"]
    assert verified["history"]["size"] == verified["position"]
    assert len(verified["history"]["root"]) == 64
    stored, resident = verified["places"]
    assert (stored["place"], resident["place"]) == ("stored", "resident")
    assert stored["position"] == resident["position"] == verified["position"]
    assert stored["hashes"]["users"] != "00" * 32


def test_the_whole_log_is_verified_by_operators_alone(node: NodeProcess, office: Organisation) -> None:
    with node.client() as operator, node.client(office.key) as client:
        verified = operator.post("/v1/node/verify").json()
        assert client.post("/v1/node/verify").status_code == 403
    assert verified["holds"]
    assert len(verified["chain"]) == 64
