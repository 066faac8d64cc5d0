"""Sinks of a running node: set up over REST, sent to by HTTP, and how far they are."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.adapters.sinks.stands import Answered, SplunkStand, serving
from tests.adapters.sinks.storages import lines, s3
from tests.adapters.sinks.test_https import Anything
from tests.api.organisation import SINK, Organisation, organisation
from tests.node import NodeProcess, running_node, until

NEAR = {"MUNIMENT_WEBHOOKS_PRIVATE": "1"}
TOKEN = "b0221cd8-c4b4-465a-9a3c-273e3a75aa29"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node that may send to this machine."""
    with running_node(tmp_path_factory.mktemp("office") / "data", environment=NEAR) as running:
        yield running


@pytest.fixture(scope="module")
def company(office: NodeProcess) -> Organisation:
    return organisation(office, "Planet Express")


@pytest.fixture
def client(office: NodeProcess, company: Organisation) -> Iterator[httpx.Client]:
    with office.client(company.key) as speaking:
        speaking.base_url = f"{office.url}/v1/tenants/{company.ids['tenant']}"
        yield speaking


@pytest.fixture
def splunk() -> Iterator[tuple[SplunkStand, str]]:
    stand = SplunkStand(TOKEN)
    with serving(stand) as url:
        yield stand, url


def make(client: httpx.Client, target: str, settings: Any, secrets: Any, **more: Any) -> str:
    body = {"target": target, "settings": settings, "secrets": secrets, "types": ["UserProvisioned"], **more}
    made = client.post("/sinks", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


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


def positions(stand: SplunkStand) -> list[int]:
    return [each["event"]["position"] for each in stand.taken]


def test_what_happens_is_sent_with_personal_values_left_out(
    client: httpx.Client, splunk: tuple[SplunkStand, str]
) -> None:
    stand, url = splunk
    sink = make(client, "splunk", {"url": url}, {"token": TOKEN})
    sent = [add(client, f"sent{number}") for number in range(3)]
    until(lambda: positions(stand) == sent, "three events")
    data = stand.taken[0]["event"]["data"]
    assert data["data"]["user_name"] is None
    assert {"user_name", "display_name", "request"} <= set(data["sealed"])
    assert data["authority"]["permission"] == "users:manage"
    assert b"Philip" not in stand.asked[0].body
    progress = until(
        lambda: (found := read(client, f"/sinks/{sink}/progress"))["lag_events"] == 0 and found, "it is there"
    )
    assert (progress["state"], progress["lag_seconds"], progress["last_error"]) == ("sending", 0, None)


def test_personal_values_are_sent_only_by_who_may_open_them(
    office: NodeProcess, client: httpx.Client, splunk: tuple[SplunkStand, str], company: Organisation
) -> None:
    stand, url = splunk
    body = {"target": "splunk", "settings": {"url": url}, "secrets": {"token": TOKEN}, "unsealed": True}
    for permissions in (["sinks:manage"], ["sinks:manage", "audit:read"]):
        issued = do(client, "/keys", {"permissions": permissions})["key"]
        with office.client(issued) as weak:
            assert weak.post(f"{client.base_url}sinks", json=body).status_code == 403
    make(client, "splunk", {"url": url}, {"token": TOKEN}, unsealed=True)
    add(client, "opened")
    until(lambda: stand.taken, "an event")
    data = stand.taken[0]["event"]["data"]
    assert (data["data"]["user_name"], data["data"]["display_name"]) == ("opened", "Philip J. Fry")
    assert data["request"]["route"].endswith("/users")


def test_lag_and_the_last_error_are_told_while_nothing_gets_through(
    client: httpx.Client, splunk: tuple[SplunkStand, str]
) -> None:
    stand, url = splunk
    stand.answers.append(Answered(503, {"text": "Server is busy", "code": 9}))
    sink = make(client, "splunk", {"url": url}, {"token": TOKEN})
    first = add(client, "lagging")
    found = until(lambda: (said := read(client, f"/sinks/{sink}/progress"))["last_error"] and said, "a failure")
    assert (found["state"], found["attempts"]) == ("retrying", 1)
    assert found["last_error"] == "the receiver answered 503: it is busy (code 9)"
    assert found["lag_events"] >= 1
    assert found["lag_seconds"] > 0
    assert found["next_attempt_at"] > found["failing_since"]
    until(lambda: positions(stand) == [first], "it is sent again")
    listed = read(client, f"/sinks/{sink}/deliveries")["items"]
    assert [(each["delivered"], each["events"]) for each in listed] == [(True, 1), (False, 1)]


def test_a_sink_is_paused_resumed_tested_and_replayed(client: httpx.Client, splunk: tuple[SplunkStand, str]) -> None:
    stand, url = splunk
    sink = make(client, "splunk", {"url": url}, {"token": TOKEN})
    first = add(client, "unpaused")
    until(lambda: positions(stand) == [first], "it is sent")
    do(client, f"/sinks/{sink}/pause")
    second = add(client, "paused")
    tested = do(client, f"/sinks/{sink}/test")
    assert tested["delivery"]["delivered"] is True
    assert stand.taken[-1]["event"]["type"] == "SinkTestRequested"
    assert read(client, f"/sinks/{sink}/progress")["state"] == "paused"
    do(client, f"/sinks/{sink}/resume")
    until(lambda: positions(stand) == [first, tested["position"], second], "what it missed")
    do(client, f"/sinks/{sink}/replay", {"from_position": first})
    until(lambda: positions(stand)[-2:] == [first, second] and len(stand.taken) == 5, "both again")


def test_secrets_are_shown_nowhere_and_go_to_no_new_place(
    office: NodeProcess, client: httpx.Client, splunk: tuple[SplunkStand, str]
) -> None:
    stand, url = splunk
    sink = make(client, "splunk", {"url": url}, {"token": TOKEN}, name="The SOC's")
    add(client, "secretly")
    until(lambda: stand.taken, "an event")
    elsewhere = client.patch(f"/sinks/{sink}", json={"settings": {"url": f"{url}/elsewhere"}})
    assert elsewhere.status_code == 422
    assert "send the secrets for it too" in elsewhere.text
    same = client.patch(f"/sinks/{sink}", json={"settings": {"url": url, "index": "main"}})
    assert same.json()["changed"] is True
    found = read(client, f"/sinks/{sink}")
    assert (found["name"], found["settings"]["index"]) == ("The SOC's", "main")
    trail = read(client, "/trail", subject=sink)["items"]
    for shown in (found, trail, read(client, "/sinks"), read(client, f"/sinks/{sink}/deliveries")):
        assert TOKEN not in str(shown)
    for file in office.data.glob("*.db*"):
        assert TOKEN.encode() not in file.read_bytes()
    assert TOKEN not in office.errors.read_text()
    add(client, "afterwards")
    until(lambda: len(stand.taken) == 2 and stand.taken[1]["index"] == "main", "it is sent as it is set now")


@pytest.mark.parametrize(
    "change",
    [
        {"target": "carrier pigeon"},
        {"settings": {"url": "https://user:hush@example.com/"}},
        {"settings": {"url": "gopher://example.com/"}},
        {"settings": {}},
        {"settings": {"url": "https://example.com/", "extra": 1}},
        {"secrets": {"authorization": "a\r\nX-Injected: b"}},
        {"secrets": {"signing_secret": "hush"}},
        {"types": ["NoSuchEvent"]},
        {"from_position": 2**40},
        {"target": "syslog", "settings": {"host": "a b"}},
        {"target": "syslog", "settings": {"host": "example.com"}, "secrets": {"client_certificate": "x"}},
        {
            "target": "syslog",
            "settings": {"host": "example.com"},
            "secrets": {
                "client_certificate": "-----BEGIN CERTIFICATE-----\nno",
                "client_key": "-----BEGIN KEY-----\nno",
            },
        },
        {"target": "s3", "settings": {"bucket": "../x", "region": "r", "access_key_id": "k"}},
        {
            "target": "gcs",
            "settings": {"bucket": "abc", "account": "a@b"},
            "secrets": {"private_key": "-----BEGIN PRIVATE KEY-----\nno"},
        },
    ],
)
def test_what_can_not_be_sent_to_is_refused_and_not_repeated(client: httpx.Client, change: dict[str, Any]) -> None:
    answer = client.post("/sinks", json={**SINK, **change})
    assert answer.status_code == 422, answer.text
    assert "hush" not in answer.text
    assert "Injected" not in answer.text


def test_product_events_reach_a_sink_by_their_action(
    office: NodeProcess, client: httpx.Client, company: Organisation, splunk: tuple[SplunkStand, str]
) -> None:
    stand, url = splunk
    schema = {"type": "object", "properties": {"crew": {"type": "integer"}, "note": {"type": "string"}}}
    with office.client() as operator:
        for action in ("ship.lost", "ship.found"):
            body = {"action": action, "schema": schema}
            operator.post(f"/v1/tenants/{company.ids['tenant']}/audit-actions", json=body).raise_for_status()
    make(client, "splunk", {"url": url}, {"token": TOKEN}, types=["action:ship.lost"])
    for id, action in (("one", "ship.found"), ("two", "ship.lost")):
        event = {
            "id": id,
            "action": action,
            "occurred_at": "2026-05-03T12:00:00Z",
            "actor": {"type": "robot", "id": "bender", "name": "Bender"},
            "metadata": {"crew": 3, "note": "bite my"},
        }
        do(client, "/audit-events", {"events": [event]})
    until(lambda: stand.taken, "an event")
    (said,) = (each["event"]["data"]["data"] for each in stand.taken)
    assert (said["action"], said["metadata"], said["personal"]) == ("ship.lost", {"crew": 3}, None)


def test_objects_are_written_to_storage(client: httpx.Client) -> None:
    with s3() as (settings, secrets, storage):
        sink = make(client, "s3", {**settings, "seconds": 1, "gzip": False, "prefix": "audit/"}, secrets)
        sent = [add(client, f"stored{number}") for number in range(3)]

        def written() -> list[int]:
            listed = storage.list_objects_v2(Bucket=settings["bucket"], Prefix=f"audit/{sink}/").get("Contents", [])
            bodies = [storage.get_object(Bucket=settings["bucket"], Key=each["Key"])["Body"].read() for each in listed]
            return [each["position"] for body in bodies for each in lines(body)]

        until(lambda: written() == sent, "all of them are in objects")


def test_metrics_count_what_is_sent(office: NodeProcess, client: httpx.Client) -> None:
    stand = Anything()
    with serving(stand) as url:
        sink = make(client, "https", {"url": url}, {})
        add(client, "counted")
        until(lambda: stand.taken, "an event")
        found = httpx.get(f"{office.url}/metrics", headers={"Authorization": f"Bearer {office.operator_key}"}).text
        assert 'muniment_sink_attempts_total{outcome="delivered"}' in found
        assert "muniment_sink_lag_events" in found
        client.delete(f"/sinks/{sink}").raise_for_status()
    assert client.get(f"/sinks/{sink}").status_code == 404
