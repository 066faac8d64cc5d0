"""What if, over HTTP: edits are understood or refused, and what flips is told."""

from typing import Any

import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess


@pytest.fixture(scope="module")
def office(node: NodeProcess) -> Organisation:
    return organisation(node, "Planet Express, edited")


def base(office: Organisation) -> str:
    return f"/v1/tenants/{office.ids['tenant']}"


def ask(node: NodeProcess, office: Organisation, *edits: dict[str, Any], **more: Any) -> Any:
    with node.client(office.key) as client:
        answer = client.post(f"{base(office)}/what-if", json={"edits": list(edits), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def stolen(node: NodeProcess, office: Organisation) -> dict[str, Any]:
    """A key, and what was done with it and with the key that it issued."""
    with node.client() as operator:
        wanted = {"permissions": ["keys:manage", "users:manage"]}
        issued = operator.post(f"{base(office)}/keys", json=wanted).json()
    done = []
    with node.client(issued["key"]) as thief:
        other = thief.post(f"{base(office)}/keys", json={"permissions": ["users:manage"]}).json()
        done.append(other["position"])
    with node.client(other["key"]) as thief:
        made = thief.post(f"{base(office)}/users", json={"user_name": "mallory"})
        done.append(int(made.headers["Muniment-Position"].rpartition(":")[2]))
    return {"id": issued["id"], "position": issued["position"], "other": other["id"], "done": done}


def test_a_key_revoked_at_once_flips_all_that_was_done_with_it(
    node: NodeProcess, office: Organisation, stolen: dict[str, Any]
) -> None:
    revoked = {
        "edit": "add",
        "after": stolen["position"],
        "type": "ApiKeyRevoked",
        "fields": {"credential": stolen["id"]},
    }
    found = ask(node, office, revoked)
    assert [each["position"] for each in found["flips"]] == stolen["done"]
    assert {each["would"] for each in found["flips"]} == {"refused"}
    assert all(each["left_out"] for each in found["flips"])
    assert (found["first"], found["undecidable"], found["complete"]) == (stolen["position"], 0, True)
    assert {each["credential"]: each["would"]["state"] for each in found["credentials"]} == {
        stolen["id"]: "the key is revoked",
        stolen["other"]: "none",
    }
    told = ask(node, office, revoked, mode="open")
    assert [each["position"] for each in told["flips"]] == stolen["done"][:1]


def test_leaving_a_credentials_events_out_leaves_out_what_rests_on_them(
    node: NodeProcess, office: Organisation, stolen: dict[str, Any]
) -> None:
    found = ask(node, office, {"edit": "leave_out", "credential": stolen["id"]})
    assert (found["left_out"], [each["position"] for each in found["flips"]]) == (1, stolen["done"][1:])


def test_a_role_that_permits_nothing_is_asked_of_its_holders(node: NodeProcess, office: Organisation) -> None:
    found = ask(node, office, {"edit": "permit", "of": office.ids["role"], "permissions": []})
    assert found["access"] == [
        {"subject": office.ids["user"], "lost": ["users:read"], "gained": [], "first": found["first"]}
    ]
    assert found["flips"] == []


def test_an_event_is_moved(node: NodeProcess, office: Organisation, stolen: dict[str, Any]) -> None:
    moved = {"edit": "move", "position": stolen["done"][1], "after": stolen["done"][0] - 1}
    (flip,) = ask(node, office, moved, mode="open", to_position=stolen["done"][1])["flips"]
    assert (flip["position"], flip["because"]) == (stolen["done"][1], "the credential does not exist")


@pytest.mark.parametrize(
    "edits",
    [
        [],
        [{"edit": "rewrite"}],
        [{"edit": "leave_out"}],
        [{"edit": "leave_out", "positions": [0]}],
        [{"edit": "move", "position": 10**6, "after": 1}],
        [{"edit": "add", "after": 10**6, "type": "UserDeactivated", "fields": {"user": "usr_" + "0" * 32}}],
        [{"edit": "add", "after": 1, "type": "CommandRefused", "fields": {}}],
        [{"edit": "add", "after": 1, "type": "Nothing", "fields": {}}],
        [{"edit": "add", "after": 1, "type": "UserDeactivated", "fields": {"user": 7}}],
        [{"edit": "add", "after": 1, "type": "UserDeactivated", "fields": {"user": ""}}],
        [{"edit": "add", "after": 1, "type": "UserProvisioned", "fields": {"user": "usr_1", "user_name": "fry"}}],
        [{"edit": "permit", "of": "rol_" + "0" * 32, "permissions": []}],
    ],
)
def test_edits_of_what_is_not_there_are_refused(
    node: NodeProcess, office: Organisation, edits: list[dict[str, Any]]
) -> None:
    with node.client(office.key) as client:
        answer = client.post(f"{base(office)}/what-if", json={"edits": edits})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_person_is_added_without_their_names(node: NodeProcess, office: Organisation) -> None:
    user = "usr_" + "1" * 32
    found = ask(
        node,
        office,
        {"edit": "add", "after": 1, "type": "UserProvisioned", "fields": {"user": user}},
        {"edit": "add", "after": 2, "type": "RoleAssigned", "fields": {"role": "rol_owner", "subject": user}},
    )
    (access,) = found["access"]
    assert access["subject"] == user
    assert "users:erase" in access["gained"]


def test_nothing_is_recorded_and_it_takes_the_permission_to_replay(node: NodeProcess, office: Organisation) -> None:
    with node.client() as operator:
        issued = operator.post(f"{base(office)}/keys", json={"permissions": ["audit:read", "users:read"]}).json()
        before = operator.get(f"{base(office)}/events").json()["head"]
    ask(node, office, {"edit": "leave_out", "positions": [2]})
    with node.client() as operator, node.client(issued["key"]) as client:
        after = operator.get(f"{base(office)}/events").json()["head"]
        assert client.post(f"{base(office)}/what-if", json={"edits": []}).status_code in (403, 422)
        refused = client.post(f"{base(office)}/what-if", json={"edits": [{"edit": "leave_out", "positions": [1]}]})
    assert after - before <= 1  # what the trail says of being read itself
    assert refused.status_code == 403
