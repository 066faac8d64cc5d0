"""Product events of a running node: schemas registered by operators, events recorded by the batch, once each."""

import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess

SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer", "minimum": 0},
        "currency": {"type": "string", "enum": ["EUR", "USD"]},
        "note": {"type": "string", "maxLength": 100},
        "order": {"type": "string", "x-personal": False},
    },
    "required": ["amount"],
}


@pytest.fixture(scope="module")
def company(node: NodeProcess) -> Organisation:
    made = organisation(node, "Product")
    register(node, made.ids["tenant"], "invoice.approved").raise_for_status()
    return made


@pytest.fixture
def client(node: NodeProcess, company: Organisation) -> Iterator[httpx.Client]:
    with node.client(company.key) as speaking:
        speaking.base_url = f"{node.url}/v1/tenants/{company.ids['tenant']}"
        yield speaking


def register(node: NodeProcess, tenant: str, action: str, **settings: Any) -> httpx.Response:
    body = {"action": action, "schema": SCHEMA, **settings}
    with node.client() as operator:
        return operator.post(f"/v1/tenants/{tenant}/audit-actions", json=body)


def event(id: str, **settings: Any) -> dict[str, Any]:
    return {
        "id": id,
        "action": "invoice.approved",
        "occurred_at": "2026-05-03T12:00:00Z",
        "actor": {"type": "customer", "id": "c-1", "name": "Turanga Leela"},
        "targets": [{"type": "invoice", "id": f"i-{id}", "name": "Career chips"}],
        "metadata": {"amount": 3, "currency": "EUR", "note": "for the crew", "order": "O-1"},
        **settings,
    }


def record(client: httpx.Client, *events: Any, key: str | None = None) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = client.post("/audit-events", json={"events": list(events)}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def statuses(results: dict[str, Any]) -> list[str]:
    return [each["status"] for each in results["items"]]


def test_events_are_recorded_and_read_again(client: httpx.Client) -> None:
    made = record(client, event("read-1"), event("read-2"))
    assert statuses(made) == ["recorded", "recorded"]
    first, second = (each["position"] for each in made["items"])
    assert second == first + 1 == made["position"]
    found = client.get("/audit-events", params={"id": "read-1"}).json()["items"]
    assert [each["position"] for each in found] == [first]
    assert found[0]["metadata"] == event("x")["metadata"]
    assert found[0]["actor"] == {"type": "customer", "id": "c-1", "name": "Turanga Leela"}
    assert found[0]["targets"][0]["name"] == "Career chips"
    assert found[0]["occurred_at"] == "2026-05-03T12:00:00.000000Z"
    for asked in ({"actor": "customer/c-1"}, {"target": "invoice/i-read-1"}, {"action": "invoice.approved"}):
        assert first in [each["position"] for each in client.get("/audit-events", params=asked).json()["items"]]
    assert not client.get("/audit-events", params={"actor": "customer/c-2"}).json()["items"]


def test_an_event_is_in_the_trail_like_any_other(client: httpx.Client) -> None:
    position = record(client, event("trail-1"))["items"][0]["position"]
    (found,) = client.get("/trail", params={"tag": "action_id:trail-1"}).json()["items"]
    assert (found["type"], found["position"]) == ("ActionRecorded", position)
    assert found["data"]["action"] == "invoice.approved"
    assert json.loads(found["data"]["metadata"]) == {"amount": 3, "currency": "EUR", "order": "O-1"}
    assert json.loads(found["data"]["personal"]) == {"note": "for the crew"}
    assert found["authority"]["permission"] == "audit:record"


def test_names_and_free_text_are_nowhere_in_the_clear(node: NodeProcess, client: httpx.Client) -> None:
    record(
        client,
        event(
            "hidden-1",
            metadata={"amount": 1, "note": "Zoidbergium"},
            actor={"type": "customer", "id": "c-9", "name": "Kif Kroker"},
        ),
    )
    for file in node.data.glob("*.db*"):
        content = file.read_bytes()
        assert b"Zoidbergium" not in content
        assert b"Kif Kroker" not in content


def test_a_retry_records_nothing_twice(client: httpx.Client) -> None:
    events = [event("once-1"), event("once-2")]
    first = record(client, *events, key="retry-of-once")
    again = record(client, *events, key="retry-of-once")
    assert first["items"] == again["items"]
    without = record(client, *events, event("once-3"))
    assert statuses(without) == ["repeated", "repeated", "recorded"]
    assert [each["position"] for each in without["items"][:2]] == [each["position"] for each in first["items"]]
    assert len(client.get("/audit-events", params={"id": "once-1"}).json()["items"]) == 1


def test_an_id_that_comes_twice_in_one_call_is_recorded_once(client: httpx.Client) -> None:
    made = record(client, event("twin"), event("twin"))
    assert statuses(made) == ["recorded", "repeated"]
    assert made["items"][0]["position"] == made["items"][1]["position"]


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        ({"metadata": {"amount": -1}}, "metadata/amount: it is less than the schema allows"),
        ({"metadata": {}}, "metadata: something is missing that the schema requires"),
        ({"metadata": {"amount": 1, "colour": "secret"}}, "metadata: it has a member that the schema does not name"),
        ({"metadata": {"amount": 1, "currency": "secret"}}, "metadata/currency: it is none of the values"),
        ({"metadata": {"amount": 1, "note": "secret" * 50}}, "metadata/note: it is longer"),
        ({"metadata": {"amount": 1, "note": "secret" * 5000}}, "metadata: it takes more than 16384 bytes"),
        ({"version": 2}, "action: it is not registered in this version"),
        ({"action": "invoice.rejected"}, "action: it is not registered in this version"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at: it lies in the future"),
        ({"actor": {"type": "user", "id": "secret@example.com"}}, "actor/id: String should match pattern"),
        ({"actor": {"type": "user", "id": "usr_" + "0" * 32}}, "actor/id: the tenant has no such user"),
        ({"hushed_secret": 1}, "*: a member that is not known here"),
        ({"targets": [{"type": "a", "id": str(each)} for each in range(5)]}, "targets: List should have at most 4"),
        (
            {"targets": [{"type": "user", "id": "usr_" + "0" * 32, "name": "secret"}]},
            "targets/name: leave out what a user",
        ),
        ({"metadata": {"amount": 1, "note": [[0] * 600]}}, "metadata: it has more than 500 values"),
    ],
)
def test_what_is_refused_says_why_and_stops_nothing_else(
    client: httpx.Client, wrong: dict[str, Any], because: str
) -> None:
    name = f"beside-{zlib.crc32(repr(wrong).encode())}"
    made = record(client, event("refused", **wrong), event(name))
    assert statuses(made) == ["refused", "recorded"]
    assert because in made["items"][0]["because"]
    assert "secret" not in str(made)


@pytest.mark.parametrize("events", [[], [1], ["text"], None, [{}] * 501, {"id": "x"}], ids=repr)
def test_what_is_no_batch_is_refused_as_a_whole(client: httpx.Client, events: Any) -> None:
    assert client.post("/audit-events", json={"events": events}).status_code == 422


def test_an_erased_persons_events_say_who_acted_no_more(client: httpx.Client) -> None:
    user = client.post("/users", json={"user_name": "amy"}).json()["id"]
    said = {"metadata": {"amount": 1, "note": "Amy's own"}, "actor": {"type": "user", "id": user, "name": "Amy Wong"}}
    record(client, event("amy-1", **said))
    (found,) = client.get("/audit-events", params={"actor": f"user/{user}"}).json()["items"]
    assert (found["actor"]["name"], found["metadata"]["note"], found["erased"]) == ("Amy Wong", "Amy's own", [])
    erased = client.post(f"/users/{user}/erase")
    erased.raise_for_status()
    (found,) = client.get("/audit-events", params={"id": "amy-1"}).json()["items"]
    assert (found["actor"]["name"], found["metadata"]) == (None, {"amount": 1})
    assert found["erased"] == ["personal", "called"]
    assert statuses(record(client, event("amy-2", **said))) == ["refused"]


def test_names_are_shown_to_who_may_unseal_and_every_look_is_recorded(node: NodeProcess, client: httpx.Client) -> None:
    position = record(client, event("looked-at"))["position"]
    issued = client.post("/keys", json={"permissions": ["audit:read"]}).json()
    with node.client(issued["key"]) as auditor:
        auditor.base_url = client.base_url
        (found,) = auditor.get("/audit-events", params={"id": "looked-at", "actor": "customer/c-1"}).json()["items"]
        assert (found["actor"]["name"], found["metadata"]["amount"]) == (None, 3)
        assert "note" not in found["metadata"]
        assert found["sealed"] == ["personal", "called"]
    looks = client.get("/trail", params={"type": "TrailAccessed", "actor": issued["id"]}).json()["items"]
    assert [(each["data"]["first"], each["data"]["last"]) for each in looks] == [(position, position)]


def test_only_operators_register_and_only_who_may_record_records(
    node: NodeProcess, client: httpx.Client, company: Organisation
) -> None:
    assert client.post("/audit-actions", json={"action": "a.b", "schema": SCHEMA}).status_code == 403
    issued = client.post("/keys", json={"permissions": ["users:read"]}).json()["key"]
    with node.client(issued) as weak:
        weak.base_url = client.base_url
        assert weak.post("/audit-events", json={"events": [event("weak")]}).status_code == 403
        assert weak.get("/audit-events").status_code == 403


def test_versions_grow_or_follow_and_the_tenants_own_goes_before_the_deployments(
    node: NodeProcess, client: httpx.Client, company: Organisation
) -> None:
    tenant, action = company.ids["tenant"], "ship.departed"
    register(node, "_deployment", action).raise_for_status()
    assert statuses(record(client, event("ship-1", action=action))) == ["recorded"]
    (found,) = client.get("/trail", params={"tag": "action_id:ship-1"}).json()["items"]
    assert found["data"]["shared"] is True
    wider = {"type": "object", "properties": {**SCHEMA["properties"], "crew": {"type": "integer"}}}  # type: ignore[dict-item]
    assert register(node, tenant, action, schema=wider).json()["changed"] is True
    assert statuses(record(client, event("ship-2", action=action, metadata={"crew": 3}))) == ["recorded"]
    narrower = {"type": "object", "properties": {"amount": {"type": "integer"}}}
    refused = register(node, tenant, action, schema=narrower)
    assert refused.status_code == 409
    assert "register the schema under the next version" in refused.text
    register(node, tenant, action, schema=narrower, version=2).raise_for_status()
    made = record(client, event("ship-3", action=action, version=2, metadata={"amount": 1}))
    assert statuses(made) == ["recorded"]
    listed = client.get("/audit-actions").json()["items"]
    assert [(each["action"], each["version"]) for each in listed if each["action"] == action] == [
        (action, 1),
        (action, 2),
    ]
    assert (
        client.get(f"/audit-actions/{action}", params={"version": 2}).json()["schema"]["additionalProperties"] is False
    )
    with node.client() as operator:
        operator.delete(f"/v1/tenants/{tenant}/audit-actions/{action}").raise_for_status()
    assert client.get(f"/audit-actions/{action}").status_code == 404
    assert statuses(record(client, event("ship-4", action=action))) == ["recorded"], "the deployment's holds again"


def test_hundreds_are_recorded_in_one_call(client: httpx.Client) -> None:
    made = record(client, *(event(f"many-{number}") for number in range(500)))
    assert made["recorded"] == 500
    positions = [each["position"] for each in made["items"]]
    assert positions == list(range(positions[0], positions[0] + 500))
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while len(seen) < 500:
        page = client.get("/audit-events", params={"actor": "customer/c-1", "limit": 200, **cursor}).json()
        seen += [each["position"] for each in page["items"]]
        cursor = {"cursor": page["next"]}
    assert seen[:500] == positions[::-1]


def test_the_same_events_from_many_at_once_are_recorded_once(node: NodeProcess, client: httpx.Client) -> None:
    events = [event(f"raced-{number}") for number in range(40)]

    def send(turn: int) -> dict[str, Any]:
        with node.client(client.headers["Authorization"].removeprefix("Bearer ")) as own:
            own.base_url = client.base_url
            return record(own, *events[turn:], *events[:turn])

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(send, range(8)))
    assert sum(each["recorded"] for each in made) == 40
    places = {(each["id"], each["position"]) for one in made for each in one["items"]}
    assert len(places) == len({position for _, position in places}) == 40


def test_the_largest_event_fits(node: NodeProcess, client: httpx.Client, company: Organisation) -> None:
    schema = {"type": "object", "properties": {"note": {"type": "string"}}}
    register(node, company.ids["tenant"], "essay.written", schema=schema).raise_for_status()
    party = {"type": "t" * 30, "id": "i" * 64, "name": "\N{SNOWMAN}" * 256}
    largest = event(
        "e" * 100,
        action="essay.written",
        actor=party,
        targets=[{**party, "id": f"{number}" * 64} for number in range(4)],
        metadata={"note": "\N{SNOWMAN}" * 5450},
    )
    assert statuses(record(client, largest)) == ["recorded"]
    (found,) = client.get("/audit-events", params={"id": "e" * 100}).json()["items"]
    assert found["metadata"] == largest["metadata"]
    assert len(found["targets"]) == 4
