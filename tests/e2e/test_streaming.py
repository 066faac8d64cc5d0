"""A product says what happens in it, and a collector elsewhere is told, all from the command line."""

import json
from pathlib import Path

import pytest

from tests.adapters.sinks.stands import SplunkStand, serving
from tests.e2e.commands import muniment, refused
from tests.node import running_node, until

TOKEN = "b0221cd8-c4b4-465a-9a3c-273e3a75aa29"
SCHEMA = {"type": "object", "properties": {"number": {"type": "integer"}, "note": {"type": "string"}}}


def line(number: int, **more: object) -> str:
    event = {
        "id": f"order-{number}",
        "action": "order.placed",
        "occurred_at": "2026-05-03T12:00:00Z",
        "actor": {"type": "customer", "id": "c-1"},
        "metadata": {"number": number, "note": "for Fry"},
    }
    return json.dumps({**event, **more}) + "\n"


@pytest.mark.timeout(600)
def test_events_from_a_file_reach_a_collector(tmp_path: Path) -> None:
    schema, events = tmp_path / "schema.json", tmp_path / "events.ndjson"
    schema.write_text(json.dumps(SCHEMA))
    stand = SplunkStand(TOKEN)
    with (
        serving(stand) as url,
        running_node(tmp_path / "data", environment={"MUNIMENT_WEBHOOKS_PRIVATE": "1"}) as node,
    ):
        door = {"MUNIMENT_URL": node.url, "MUNIMENT_OPERATOR_KEY": node.operator_key}
        tenant = muniment("tenant", "create", "Planet Express", extra=door)["id"]
        made = muniment("action", "register", "order.placed", "--schema", str(schema), extra=door)
        assert made["changed"] is True
        with node.client() as client:
            body = {"target": "splunk", "settings": {"url": url}, "secrets": {"token": TOKEN}}
            sink = client.post(f"/v1/tenants/{tenant}/sinks", json={**body, "types": ["action:order.placed"]})
            assert sink.status_code == 201, sink.text
        id = sink.json()["id"]
        events.write_text("".join(line(number) for number in range(450)) + "\n" + line(450, actor=None))
        counts = muniment("action", "record", str(events), "--tenant", tenant, extra=door)
        assert (counts["recorded"], counts["repeated"], counts["refused"]) == (450, 0, 1)
        assert counts["why"] == ["order-450: actor: Input should be a valid dictionary or instance of Party"]
        again = muniment("action", "record", str(events), "--tenant", tenant, extra=door)
        assert (again["recorded"], again["repeated"]) == (0, 450)
        until(lambda: len(stand.taken) == 450, "all of them have arrived")
        numbers = [each["event"]["data"]["data"]["metadata"]["number"] for each in stand.taken]
        assert numbers == list(range(450))
        assert muniment("action", "list", extra=door)["actions"][0]["action"] == "order.placed"

        muniment("sink", "pause", id, "--tenant", tenant, extra=door)
        (listed,) = muniment("sink", "list", "--tenant", tenant, extra=door)["sinks"]
        assert (listed["id"], listed["target"], listed["state"]) == (id, "splunk", "paused")
        assert muniment("sink", "test", id, "--tenant", tenant, extra=door)["delivery"]["delivered"] is True
        muniment("sink", "resume", id, "--tenant", tenant, extra=door)
        muniment("sink", "replay", id, "--tenant", tenant, "--from", "1", extra=door)
        until(lambda: len(stand.taken) == 901, "all of them again")
        missing = refused("action", "register", "order.placed", "--schema", str(events), extra=door)
        assert missing == "the file holds something that is no JSON: correct it, and run this again"
