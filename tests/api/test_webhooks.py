"""Webhooks of a running node: set up over REST, told by HTTP, verified by a stock receiver."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adapters.webhooks.receiver import Receiver, receiving
from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess, running_node, until

NEAR = {"MUNIMENT_WEBHOOKS_PRIVATE": "1"}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node that may deliver to this machine."""
    with running_node(tmp_path_factory.mktemp("office") / "data", environment=NEAR) as running:
        yield running


@pytest.fixture(scope="module")
def company(office: NodeProcess) -> Organisation:
    return organisation(office, "Planet Express")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def client(office: NodeProcess, company: Organisation) -> Iterator[httpx.Client]:
    with office.client(company.key) as speaking:
        speaking.base_url = f"{office.url}/v1/tenants/{company.ids['tenant']}"
        yield speaking


def hook(client: httpx.Client, receiver: Receiver, **settings: Any) -> dict[str, Any]:
    """A webhook that is told of users who come, unless something else is said."""
    body = {"url": receiver.url + "?token=hush", "types": ["UserProvisioned"], **settings}
    made = client.post("/webhooks", json=body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def add(client: httpx.Client, name: str) -> int:
    """Somebody comes; the position."""
    made = client.post("/users", json={"user_name": name, "display_name": "Philip J. Fry"})
    made.raise_for_status()
    return int(made.json()["since"])


def read(client: httpx.Client, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    answer.raise_for_status()
    return answer.json()


def do(client: httpx.Client, path: str, body: Any = None) -> dict[str, Any]:
    answer = client.post(path, json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def test_what_happens_is_told_in_order_and_a_stock_receiver_verifies_it(
    client: httpx.Client, receiver: Receiver
) -> None:
    made = hook(client, receiver)
    positions = [add(client, f"told{number}") for number in range(5)]
    until(lambda: len(receiver.sent) == 5, "five deliveries")
    assert receiver.positions == positions
    for sent in receiver.sent:
        sent.verify(made["secret"])
        assert sent.path == "/hooks?token=hush"
        assert sent.says["data"]["user_name"] is None
        assert "user_name" in sent.says["sealed"].split(",")
        assert b"Philip" not in sent.body


def test_every_attempt_is_listed(client: httpx.Client, receiver: Receiver) -> None:
    made = hook(client, receiver)
    path = f"/webhooks/{made['id']}"
    receiver.answers.append(503)
    positions = [add(client, f"listed{number}") for number in range(2)]
    failed = until(lambda: read(client, f"{path}/deliveries")["items"], "an attempt")[0]
    assert (failed["position"], failed["status"], failed["delivered"]) == (positions[0], 503, False)
    assert failed["reason"] == "the receiver answered 503"
    assert failed["next_attempt_at"] > failed["at"]
    assert read(client, f"{path}/progress")["attempts"] == 1
    until(lambda: len(receiver.sent) == 3, "the rest")
    until(lambda: len(read(client, f"{path}/deliveries")["items"]) == 3, "all attempts")
    pages: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = read(client, f"{path}/deliveries", limit=2, **cursor)
        pages += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [(each["position"], each["attempt"]) for each in pages] == [
        (positions[1], 1),
        (positions[0], 2),
        (positions[0], 1),
    ]
    assert len(read(client, f"{path}/deliveries", position=positions[0])["items"]) == 2
    progress = read(client, f"{path}/progress")
    assert progress["here"] is True
    assert progress["failing_since"] is None


def test_the_secret_is_told_once_and_kept_nowhere_in_the_clear(
    office: NodeProcess, client: httpx.Client, receiver: Receiver
) -> None:
    made = hook(client, receiver, name="The crew's")
    rotated = do(client, f"/webhooks/{made['id']}/rotate_secret", {})
    add(client, "secretly")
    until(lambda: receiver.sent, "a delivery")
    found = read(client, f"/webhooks/{made['id']}")
    assert (found["name"], found["url"], found["state"]) == ("The crew's", receiver.url + "?token=hush", "active")
    trail = read(client, "/trail", subject=made["id"])["items"]
    assert {each["type"] for each in trail} >= {"WebhookCreated", "WebhookSecretRotated"}
    for secret in (made["secret"], rotated["secret"]):
        assert secret.startswith("whsec_")
        raw = secret.removeprefix("whsec_")
        for shown in (found, trail, read(client, "/webhooks"), read(client, "/diff", **{"from": 0, "limit": 500})):
            assert raw not in str(shown)
        for file in office.data.glob("*.db*"):
            content = file.read_bytes()
            assert raw.encode() not in content
            assert b"hush" not in content
        assert raw not in office.errors.read_text()
    assert "hush" not in office.errors.read_text()


def test_while_a_secret_is_replaced_either_verifies(client: httpx.Client, receiver: Receiver) -> None:
    made = hook(client, receiver)
    rotated = do(client, f"/webhooks/{made['id']}/rotate_secret", {"overlap_seconds": 600})
    assert read(client, f"/webhooks/{made['id']}")["former_secret_until"]
    add(client, "rotated")
    until(lambda: receiver.sent, "a delivery")
    receiver.sent[0].verify(made["secret"])
    receiver.sent[0].verify(rotated["secret"])


def test_personal_values_are_told_to_whom_they_may_be(client: httpx.Client, receiver: Receiver) -> None:
    hook(client, receiver, personal=True)
    add(client, "openly")
    until(lambda: receiver.sent, "a delivery")
    assert receiver.sent[0].says["data"]["user_name"] == "openly"
    assert receiver.sent[0].says["data"]["display_name"] == "Philip J. Fry"


def test_a_test_is_answered_with_its_outcome(client: httpx.Client, receiver: Receiver) -> None:
    made = hook(client, receiver)
    do(client, f"/webhooks/{made['id']}/pause")
    tested = do(client, f"/webhooks/{made['id']}/test")
    assert tested["delivery"]["delivered"] is True
    assert tested["delivery"]["kind"] == "test"
    assert receiver.sent[0].says["type"] == "WebhookTestRequested"
    receiver.otherwise = 500
    assert do(client, f"/webhooks/{made['id']}/test")["delivery"]["status"] == 500
    assert read(client, f"/webhooks/{made['id']}")["tested_at"]


def test_dead_letters_are_seen_and_retried(client: httpx.Client, receiver: Receiver) -> None:
    made = hook(client, receiver, patience_seconds=0)
    path = f"/webhooks/{made['id']}/dead_letters"
    receiver.otherwise = 400
    positions = [add(client, f"dead{number}") for number in range(3)]
    letters = until(lambda: len(found := read(client, path)["items"]) == 3 and found, "three dead letters")
    assert [each["position"] for each in letters] == positions
    assert letters[0]["reason"] == "the receiver answered 400"
    assert letters[0]["event_id"] == receiver.sent[0].headers["webhook-id"]
    assert read(client, f"{path}/{positions[1]}") == letters[1]
    assert [each["position"] for each in read(client, path, limit=2)["items"]] == positions[:2]
    do(client, f"{path}/{positions[0]}/retry")
    until(lambda: len(receiver.sent) == 4, "another attempt")
    until(lambda: read(client, f"{path}/{positions[0]}")["state"] == "dead", "its failure")
    receiver.otherwise = 204
    do(client, f"{path}/{positions[0]}/retry")
    until(lambda: len(read(client, path)["items"]) == 2, "its delivery")
    assert receiver.positions[-1] == positions[0]
    assert client.post(f"{path}/{positions[0]}/retry").status_code == 404
    before = read(client, path, as_of=letters[2]["since"])["items"]
    assert [each["position"] for each in before] == positions, "as it was then"


def test_a_replay_tells_again_from_a_position(client: httpx.Client, receiver: Receiver) -> None:
    made = hook(client, receiver)
    positions = [add(client, f"again{number}") for number in range(3)]
    until(lambda: len(receiver.sent) == 3, "three deliveries")
    assert client.post(f"/webhooks/{made['id']}/replay", json={"from_position": positions[1]}).status_code == 202
    until(lambda: len(receiver.sent) == 5, "two more")
    assert receiver.positions == positions + positions[1:]
    beyond = client.post(f"/webhooks/{made['id']}/replay", json={"from_position": positions[-1] + 10_000})
    assert beyond.status_code == 422


def test_it_can_begin_in_the_past(client: httpx.Client, receiver: Receiver) -> None:
    hook(client, receiver, types=["TenantCreated"], from_position=1)
    until(lambda: receiver.sent, "the first event")
    assert receiver.positions == [1]


def test_what_is_paused_is_told_when_it_is_resumed(client: httpx.Client, receiver: Receiver) -> None:
    made = hook(client, receiver)
    assert do(client, f"/webhooks/{made['id']}/pause")["changed"] is True
    assert do(client, f"/webhooks/{made['id']}/pause")["changed"] is False
    assert read(client, f"/webhooks/{made['id']}")["state"] == "paused"
    position = add(client, "missed")
    do(client, f"/webhooks/{made['id']}/resume")
    until(lambda: receiver.sent, "what it missed")
    assert receiver.positions == [position]


def test_a_webhook_is_changed_and_removed(client: httpx.Client, receiver: Receiver) -> None:
    made = hook(client, receiver, name="first")
    path = f"/webhooks/{made['id']}"
    tag = client.get(path).headers["etag"]
    changed = client.patch(path, json={"types": ["UserDeleted"], "name": None}, headers={"If-Match": tag})
    assert changed.json()["changed"] is True
    assert client.patch(path, json={"types": []}, headers={"If-Match": tag}).status_code == 412
    found = read(client, path)
    assert (found["types"], found["name"], found["url"]) == (["UserDeleted"], None, receiver.url + "?token=hush")
    assert read(client, path, as_of=made["position"])["name"] == "first"
    assert client.delete(path).status_code == 200
    for again in (client.get(path), client.delete(path), client.get(f"{path}/deliveries"), client.post(f"{path}/test")):
        assert again.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://example.com/"},
        {"url": "https://fry@example.com/"},
        {"url": "nowhere"},
        {"url": "https://example.com/", "types": ["NoSuchEvent"]},
        {"url": "https://example.com/", "patience_seconds": 8 * 86_400},
        {"url": "https://example.com/", "from_position": 10**9},
        {"url": "https://example.com/", "secret": "whsec_mine"},
    ],
    ids=str,
)
def test_what_can_not_be_a_webhook_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    answer = client.post("/webhooks", json=body)
    assert answer.status_code == 422
    assert body["url"] not in answer.text


def test_without_leave_a_node_delivers_to_nobody_near_it(node: NodeProcess, receiver: Receiver) -> None:
    elsewhere = organisation(node, "Mom Corp")
    with node.client(elsewhere.key) as client:
        client.base_url = f"{node.url}/v1/tenants/{elsewhere.ids['tenant']}"
        assert client.post("/webhooks", json={"url": receiver.url}).status_code == 422
        made = do(client, "/webhooks", {"url": receiver.url.replace("http:", "https:"), "types": ["UserProvisioned"]})
        delivery = do(client, f"/webhooks/{made['id']}/test")["delivery"]
        assert delivery["reason"] == "the host is not on the public internet"
    assert receiver.sent == []


def test_a_retry_of_the_request_makes_no_second_webhook(client: httpx.Client, receiver: Receiver) -> None:
    headers, body = {"Idempotency-Key": "the-same-webhook"}, {"url": receiver.url}
    made = client.post("/webhooks", json=body, headers=headers).json()
    again = client.post("/webhooks", json=body, headers=headers)
    assert again.status_code == 409
    assert again.json()["id"] == made["id"]


def issue(client: httpx.Client, *permissions: str) -> str:
    return str(do(client, "/keys", {"permissions": list(permissions)})["key"])


def test_nobody_has_told_to_others_what_they_may_not_see_themselves(
    office: NodeProcess, client: httpx.Client, receiver: Receiver
) -> None:
    made, body = hook(client, receiver), {"url": receiver.url}
    sees = issue(client, "webhooks:read")
    manages = issue(client, "webhooks:read", "webhooks:manage")
    audits = issue(client, "webhooks:manage", "audit:read")
    unseals = issue(client, "webhooks:manage", "audit:read", "people:unseal")
    path = f"/webhooks/{made['id']}"

    def status(key: str, method: str, where: str, json: Any = None) -> int:
        with office.client(key) as other:
            return other.request(method, str(client.base_url) + where.lstrip("/"), json=json).status_code

    assert status(sees, "GET", path) == 200
    assert status(sees, "POST", f"{path}/pause") == 403
    assert status(sees, "POST", "/webhooks", body) == 403
    assert status(manages, "POST", "/webhooks", body) == 403
    assert status(manages, "PATCH", path, body) == 403
    assert status(manages, "PATCH", path, {"patience_seconds": 5}) == 200
    assert status(manages, "POST", f"{path}/pause") == 200
    assert status(audits, "POST", "/webhooks", body) == 201
    assert status(audits, "POST", "/webhooks", {**body, "personal": True}) == 403
    assert status(audits, "PATCH", path, {"personal": True}) == 403
    assert status(unseals, "PATCH", path, {"personal": True}) == 200
    assert status(audits, "PATCH", path, body) == 403, "another receiver would be told personal values"


def test_no_tenant_is_told_of_another(office: NodeProcess, client: httpx.Client, receiver: Receiver) -> None:
    hook(client, receiver)
    with office.client() as operator:
        other = operator.post("/v1/tenants", json={"name": "Mom Corp"}).json()["id"]
        operator.post(f"/v1/tenants/{other}/users", json={"user_name": "mom"}).raise_for_status()
    position = add(client, "ours")
    until(lambda: receiver.sent, "a delivery")
    assert receiver.positions == [position]


def test_after_kill_9_everything_is_told_at_least_once_and_in_order(tmp_path: Path, receiver: Receiver) -> None:
    data = tmp_path / "data"
    with running_node(data, environment=NEAR) as node:
        company = organisation(node, "Planet Express")
        with node.client(company.key) as client:
            client.base_url = f"{node.url}/v1/tenants/{company.ids['tenant']}"
            made = hook(client, receiver)
            positions = [add(client, "before")]
            until(lambda: len(receiver.sent) == 1, "the first delivery")
            receiver.held.clear()
            positions += [add(client, f"during{number}") for number in range(3)]
            until(lambda: len(receiver.sent) == 2, "one under way")
        node.kill()
    receiver.held.set()
    with running_node(data, environment=NEAR):
        until(lambda: len(set(receiver.positions)) == 4, "all of them")
    assert receiver.positions == sorted(receiver.positions)
    assert sorted(set(receiver.positions)) == positions
    ids = {each.says["position"]: {other.headers["webhook-id"] for other in receiver.sent} for each in receiver.sent}
    assert len(ids) == 4
    for sent in receiver.sent:
        sent.verify(made["secret"])
