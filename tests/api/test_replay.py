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
    assert views >= {
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


def test_every_change_has_its_causes_and_each_its_authority(node: NodeProcess, office: Organisation) -> None:
    items, cursor = list[Any](), None
    while True:
        page = diff(node, office, start=0, limit=3, **({} if cursor is None else {"cursor": cursor}))
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(items) == len({(each["view"], each["key"]) for each in items}) > 10
    for item in items:
        assert item["causes"]
        assert item["causes"][-1]["position"] == item["after"]["since"]
        for cause in item["causes"]:
            assert cause["actor"]["id"]
            assert cause["authority"]["permission"]
            assert cause["authority"]["decision"].startswith("dec_")
            assert cause["authority"]["policies"]


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


def state(node: NodeProcess, office: Organisation, **query: object) -> Any:
    with node.client(office.key) as client:
        answer = client.get(
            f"/v1/tenants/{office.ids['tenant']}/state", params={each: str(query[each]) for each in query}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


def test_a_view_that_is_folded_again_is_the_stored_one(node: NodeProcess, office: Organisation) -> None:
    with node.client(office.key) as client:
        verified = client.post(f"/v1/tenants/{office.ids['tenant']}/verify").json()
    for view in ("users", "members", "roles", "api_keys", "flags"):
        folded = state(node, office, view=view, as_of=verified["position"])
        assert folded["hash"] == verified["places"][0]["hashes"][view]
        assert folded["rows"] == len(folded["items"])


def test_a_folded_view_is_paged_and_of_its_moment(node: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client(office.key) as client:
        before = client.get(f"{base}/events").json()["head"]
        for name in ("amy", "zoidberg", "hermes"):
            client.post(f"{base}/users", json={"user_name": name}).raise_for_status()
        after = client.get(f"{base}/events").json()["head"]
    assert state(node, office, view="users", as_of=before)["rows"] == 1
    whole = state(node, office, view="users", as_of=after)
    assert "amy" in {each["values"]["user_name"] for each in whole["items"]}
    page = state(node, office, view="users", as_of=after, limit=3)
    rest = state(node, office, view="users", as_of=after, limit=3, cursor=page["next"])
    assert page["items"] + rest["items"] == whole["items"]
    assert rest["next"] is None


@pytest.mark.parametrize("query", [{}, {"view": "nothing"}, {"view": "users", "as_of": "soon"}])
def test_a_view_that_is_none_is_refused(node: NodeProcess, office: Organisation, query: dict[str, str]) -> None:
    with node.client(office.key) as client:
        answer = client.get(f"/v1/tenants/{office.ids['tenant']}/state", params=query)
    assert answer.status_code in (400, 422), answer.text
