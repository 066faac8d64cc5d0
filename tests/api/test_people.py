"""A person's export: all that is recorded about them, and of others only what is theirs to know."""

import json
import uuid

import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess


@pytest.fixture(scope="module")
def office(node: NodeProcess) -> Organisation:
    return organisation(node, "Planet Express, exported")


def test_it_holds_everything_about_the_person(node: NodeProcess, office: Organisation) -> None:
    tenant, user = office.ids["tenant"], office.ids["user"]
    with node.client() as client:
        client.put(f"/v1/tenants/{tenant}/flags/{office.ids['flag']}/targets/{user}", json={"variant": "on"})
        issued = client.post(
            f"/v1/tenants/{tenant}/keys", json={"holder": user, "permissions": ["users:read"], "name": "mine"}
        ).json()
        exported = client.get(f"/v1/tenants/{tenant}/users/{user}/export").json()
    assert exported["user"]["user_name"] == "someone"
    assert [each["group"] for each in exported["groups"]] == [office.ids["group"]]
    assert [each["role"] for each in exported["roles"]] == [office.ids["role"]]
    assert [(each["id"], each["name"]) for each in exported["keys"]] == [(issued["id"], "mine")]
    assert [(each["flag"], each["variant"]) for each in exported["flags"]] == [(office.ids["flag"], "on")]
    assert [each["type"] for each in exported["history"]] == [
        "UserProvisioned",
        "MemberAdded",
        "RoleAssigned",
        "FlagTargeted",
        "ApiKeyIssued",
    ]
    assert exported["history"][0]["data"]["display_name"] == "Someone"
    assert issued["key"] not in json.dumps(exported)


def test_of_what_they_did_to_others_only_that_and_from_where(node: NodeProcess, office: Organisation) -> None:
    tenant, user = office.ids["tenant"], office.ids["user"]
    with node.client() as operator:
        operator.put(f"/v1/tenants/{tenant}/roles/rol_owner/assignments/{user}", json={}).raise_for_status()
        key = operator.post(
            f"/v1/tenants/{tenant}/keys", json={"holder": user, "permissions": ["users:read", "users:manage"]}
        ).json()["key"]
        with node.client(key) as client:
            client.post(f"/v1/tenants/{tenant}/users", json={"user_name": "somebody else"}).raise_for_status()
        exported = operator.get(f"/v1/tenants/{tenant}/users/{user}/export").json()
    last = exported["history"][-1]
    assert (last["type"], last["about"], last["caused"]) == ("UserProvisioned", False, True)
    assert last["data"] is None
    assert last["request"]["address"] == "127.0.0.1"
    assert "somebody else" not in json.dumps(exported)
    by_others = [each for each in exported["history"] if not each["caused"]]
    assert by_others
    assert all(each["request"] is None for each in by_others)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_hold_every_line_once_and_in_order(node: NodeProcess, office: Organisation, limit: int) -> None:
    path = f"/v1/tenants/{office.ids['tenant']}/users/{office.ids['user']}/export"
    with node.client() as client:
        whole = client.get(path).json()["history"]
        found, cursor = [], None
        while True:
            page = client.get(path, params={"limit": limit} | ({"cursor": cursor} if cursor else {})).json()
            found += page["history"]
            cursor = page["next"]
            if cursor is None:
                break
    assert found == whole


def test_as_of_an_earlier_moment_nothing_later_is_told(node: NodeProcess, office: Organisation) -> None:
    path = f"/v1/tenants/{office.ids['tenant']}/users/{office.ids['user']}/export"
    with node.client() as client:
        exported = client.get(path, params={"as_of": 2}).json()
    assert exported["position"] == 2
    assert exported["groups"] == []
    assert [each["position"] for each in exported["history"]] == [2]


def test_it_takes_the_permission_for_people_and_for_the_trail(node: NodeProcess, office: Organisation) -> None:
    tenant, user = office.ids["tenant"], office.ids["user"]
    for permissions in (["users:read"], ["audit:read"]):
        with node.client() as operator:
            key = operator.post(f"/v1/tenants/{tenant}/keys", json={"permissions": permissions}).json()["key"]
        with node.client(key) as client:
            assert client.get(f"/v1/tenants/{tenant}/users/{user}/export").status_code == 403


def test_nobody_is_not_found(node: NodeProcess, office: Organisation) -> None:
    with node.client() as client:
        answer = client.get(f"/v1/tenants/{office.ids['tenant']}/users/usr_{'0' * 32}/export")
    assert answer.status_code == 404


def test_a_retry_of_a_change_is_answered_as_it_was_also_when_the_user_is_gone(node: NodeProcess) -> None:
    office = organisation(node, f"retries {uuid.uuid4()}")
    path = f"/v1/tenants/{office.ids['tenant']}/users/{office.ids['user']}"
    key = {"Idempotency-Key": "first"}
    with node.client(office.key) as client:
        first = client.patch(path, json={"display_name": "Somebody"}, headers=key)
        assert first.status_code == 200
        assert client.patch(path, json={"display_name": "Somebody else"}).status_code == 200
        again = client.patch(path, json={"display_name": "Somebody"}, headers=key)
        assert (again.status_code, again.json()) == (200, first.json())
        assert client.delete(path).status_code == 200
        again = client.patch(path, json={"display_name": "Somebody"}, headers=key)
        assert (again.status_code, again.json()["display_name"]) == (200, "Somebody")
        assert client.patch(path, json={"display_name": "Nobody"}).status_code == 404
        assert client.patch(path, json={"display_name": "Nobody"}, headers={"Idempotency-Key": "2"}).status_code == 404
