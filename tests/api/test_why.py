"""Why, over HTTP: past decisions are taken again and give the same answer, with the path that led to it."""

from typing import Any

import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess


@pytest.fixture(scope="module")
def office(node: NodeProcess) -> Organisation:
    return organisation(node, "Planet Express, asked why")


def ask(node: NodeProcess, office: Organisation, position: int, key: str | None = None) -> Any:
    with node.client(key or office.key) as client:
        answer = client.get(f"/v1/tenants/{office.ids['tenant']}/why", params={"position": position})
    assert answer.status_code == 200, answer.text
    return answer.json()


def position_of(answer: Any) -> int:
    answer.raise_for_status()
    return int(answer.headers["Muniment-Position"].rpartition(":")[2])


def person_with_a_key(node: NodeProcess, office: Organisation, name: str) -> tuple[str, str, str]:
    """An active user without any role, the id of a key of theirs, and the key."""
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client() as operator:
        user = operator.post(f"{base}/users", json={"user_name": name}).json()["id"]
        issued = operator.post(
            f"{base}/keys", json={"permissions": ["users:manage", "roles:manage"], "holder": user}
        ).json()
    return user, issued["id"], issued["key"]


def test_every_event_of_an_organisation_was_allowed_and_would_be_again(node: NodeProcess, office: Organisation) -> None:
    with node.client(office.key) as client:
        head = client.get(f"/v1/tenants/{office.ids['tenant']}/events").json()["head"]
    for position in range(1, head + 1):
        found = ask(node, office, position)
        assert found["verdict"] == "same", found
        assert found["again"]["allowed"]


def test_a_tenants_key_rests_on_its_issue(node: NodeProcess, office: Organisation) -> None:
    with node.client(office.key) as client:
        changed = client.patch(
            f"/v1/tenants/{office.ids['tenant']}/users/{office.ids['user']}", json={"display_name": "Who"}
        )
    found = ask(node, office, position_of(changed))
    assert found["decision"]["permission"] == "users:manage"
    assert found["decision"]["credential"] == office.ids["key"]
    assert found["again"] == {
        "allowed": True,
        "because": "the key has users:manage",
        "policies": ["key"],
    }
    (issued,) = found["path"]
    assert issued["type"] == "ApiKeyIssued"
    assert issued["actor"]["kind"] == "operator"


def test_a_persons_key_rests_on_who_gave_them_the_role(node: NodeProcess, office: Organisation) -> None:
    user, _, key = person_with_a_key(node, office, "amy")
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client(office.key) as client:
        role = client.post(f"{base}/roles", json={"name": "clerk", "permissions": ["users:manage"]}).json()["id"]
        group = client.post(f"{base}/groups", json={"display_name": "Clerks"}).json()["id"]
        joined = position_of(client.put(f"{base}/groups/{group}/members/{user}"))
        assigned = position_of(client.put(f"{base}/roles/{role}/assignments/{group}", json={}))
    with node.client(key) as client:
        acted = position_of(client.patch(f"{base}/users/{office.ids['user']}", json={"display_name": "By a clerk"}))
    with node.client(office.key) as client:
        position_of(client.delete(f"{base}/roles/{role}/assignments/{group}"))
        position_of(client.delete(f"{base}/groups/{group}"))
    found = ask(node, office, acted)
    assert found["verdict"] == "same"
    assert found["again"]["policies"] == found["decision"]["policies"] == [role]
    by_position = {each["position"]: each for each in found["path"]}
    assert by_position[assigned]["what"] == f"{role} was assigned to {group}"
    assert by_position[assigned]["actor"] == {"kind": "service", "id": office.ids["key"]}
    assert by_position[joined]["what"] == f"{user} became a member of {group}"
    assert any("permits users:manage" in each["what"] for each in found["path"])
    with node.client(key) as client:
        assert client.patch(f"{base}/users/{user}", json={"display_name": "Late"}).status_code == 403


def test_a_refusal_is_decided_again_and_is_the_same(node: NodeProcess, office: Organisation) -> None:
    user, _, key = person_with_a_key(node, office, "kif")
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client(key) as client:
        refused = client.patch(f"{base}/users/{office.ids['user']}", json={"display_name": "No"})
        assert refused.status_code == 403
    with node.client(office.key) as client:
        trail = client.get(f"{base}/trail", params={"actor": user, "type": "CommandRefused"}).json()
    found = ask(node, office, trail["items"][0]["position"])
    assert found["verdict"] == "same"
    assert found["decision"]["allowed"] is False
    assert found["again"]["allowed"] is False
    assert found["again"]["because"] == found["decision"]["because"] == refused.json()["detail"]


def test_a_refusal_by_the_rules_says_what_was_not_recorded(node: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client(office.key) as client:
        taken = client.post(f"{base}/roles", json={"name": "reader", "permissions": []})
        assert taken.status_code == 409
        trail = client.get(f"{base}/trail", params={"actor": office.ids["key"], "type": "CommandRefused"}).json()
    found = ask(node, office, trail["items"][0]["position"])
    assert found["verdict"] == "undecidable"
    assert found["missing"] == [
        "what DefineRole asked for is not recorded with its refusal, so the rule can't be asked again"
    ]
    assert found["again"]["allowed"]


def test_a_refusal_to_hand_on_says_what_was_not_recorded(node: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client() as operator:
        issued = operator.post(f"{base}/keys", json={"permissions": ["keys:manage"]}).json()
    with node.client(issued["key"]) as client:
        assert client.post(f"{base}/keys", json={"permissions": ["users:erase"]}).status_code == 403
    with node.client(office.key) as client:
        trail = client.get(f"{base}/trail", params={"actor": issued["id"], "type": "CommandRefused"}).json()
    found = ask(node, office, trail["items"][0]["position"])
    assert found["verdict"] == "undecidable"
    assert "what was to be handed on" in found["missing"][0]


def test_what_a_suspended_tenant_refuses_is_the_same_again(node: NodeProcess) -> None:
    asleep = organisation(node, "Sleeping, asked why")
    base = f"/v1/tenants/{asleep.ids['tenant']}"
    with node.client() as operator:
        operator.post(f"{base}/suspend", json={}).raise_for_status()
        assert operator.post(f"{base}/users", json={"user_name": "late"}).status_code == 409
        trail = operator.get(f"{base}/trail", params={"type": "CommandRefused"}).json()
        operator.post(f"{base}/resume").raise_for_status()
        found = operator.get(f"{base}/why", params={"position": trail["items"][0]["position"]}).json()
    assert found["verdict"] == "same"
    assert found["again"]["because"] == "the tenant is suspended; resume it first"


def test_what_the_deployment_decided_is_told_in_full_to_operators_alone(
    node: NodeProcess, office: Organisation
) -> None:
    told = ask(node, office, 1)
    assert [each["position"] for each in told["path"]] == [None]
    told = ask(node, office, 1, node.operator_key)
    assert told["path"][0]["type"] == "OperatorKeyIssued"
    assert told["decision"]["actor"]["kind"] == "operator"


def test_what_a_credential_might_do_is_told_as_of_a_moment(node: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client() as operator:
        issued = operator.post(f"{base}/keys", json={"permissions": ["flags:manage"]}).json()
        before = issued["position"]
        operator.delete(f"{base}/keys/{issued['id']}").raise_for_status()

        def may(permission: str, **query: Any) -> Any:
            named = {"credential": issued["id"], "permission": permission, **query}
            return operator.get(f"{base}/access", params=named).json()["decision"]

        assert may("flags:manage", as_of=before)["allowed"]
        assert not may("users:manage", as_of=before)["allowed"]
        assert may("flags:manage") == {"allowed": False, "because": "the key is revoked", "policies": []}


@pytest.mark.parametrize(("position", "status"), [(0, 422), (1_000_000, 404), ("one", 422)])
def test_what_did_not_happen_has_no_reason(
    node: NodeProcess, office: Organisation, position: object, status: int
) -> None:
    with node.client(office.key) as client:
        answer = client.get(f"/v1/tenants/{office.ids['tenant']}/why", params={"position": str(position)})
    assert answer.status_code == status


def test_asking_why_takes_the_permission_to_replay(node: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client() as operator:
        issued = operator.post(f"{base}/keys", json={"permissions": ["audit:read"]}).json()
    with node.client(issued["key"]) as client:
        assert client.get(f"{base}/why", params={"position": 1}).status_code == 403
