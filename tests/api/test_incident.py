"""The incident report over HTTP: it has all that is known, as data and as one page that runs nothing."""

import base64
import json
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess

HOSTILE = '<script>alert("1")</script>'


@pytest.fixture(scope="module")
def office(node: NodeProcess) -> Organisation:
    return organisation(node, "Planet Express, reported")


@pytest.fixture(scope="module")
def stolen(node: NodeProcess, office: Organisation) -> dict[str, Any]:
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client() as operator:
        wanted = {"permissions": ["keys:manage", "users:manage", "flags:manage"]}
        issued = operator.post(f"{base}/keys", json=wanted).json()
    with node.client(issued["key"]) as thief:
        other = thief.post(f"{base}/keys", json={"permissions": ["users:manage"]}).json()
        thief.post(f"{base}/flags/{office.ids['flag']}/switch_off").raise_for_status()
    with node.client(other["key"]) as thief:
        user = thief.post(f"{base}/users", json={"user_name": "mallory", "display_name": HOSTILE}).json()["id"]
    with node.client() as operator:
        operator.put(f"{base}/settings/color", json={"value": "green"}).raise_for_status()
        operator.delete(f"{base}/keys/{issued['id']}").raise_for_status()
    return {"id": issued["id"], "other": other["id"], "user": user, "issued": issued["position"]}


@pytest.fixture(scope="module")
def incident(node: NodeProcess, office: Organisation, stolen: dict[str, Any]) -> Any:
    with node.client() as operator:
        operator.post("/v1/evidence/checkpoint").raise_for_status()
        answer = operator.post(
            f"/v1/tenants/{office.ids['tenant']}/incident", json={"of": stolen["id"], "from": str(stolen["issued"] + 1)}
        )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_it_has_the_timeline_and_the_radius(incident: Any, stolen: dict[str, Any]) -> None:
    assert [each["type"] for each in incident["radius"]["events"]] == [
        "ApiKeyIssued",
        "FlagSwitchedOff",
        "UserProvisioned",
    ]
    assert {stolen["id"], stolen["other"], stolen["user"]} <= {each["id"] for each in incident["radius"]["nodes"]}


def test_it_has_what_the_key_opened_before_and_what_it_opens_after(incident: Any) -> None:
    assert incident["before"]["opened"] == {
        "state": "open",
        "permissions": ["flags:manage", "keys:manage", "users:manage"],
    }
    assert incident["after"]["opened"] == {"state": "the key is revoked", "permissions": []}


def test_it_has_what_changed_because_of_it_and_counts_the_rest(
    incident: Any, office: Organisation, stolen: dict[str, Any]
) -> None:
    changes = {each["view"]: each for each in incident["changes"]["items"]}
    assert {view: each["key"] for view, each in changes.items()} == {
        "users": stolen["user"],
        "api_keys": stolen["other"],
        "flags": office.ids["flag"],
    }
    assert changes["flags"]["fields"] == ["on"]
    assert changes["users"]["after"]["values"]["display_name"] == HOSTILE
    assert incident["changes"]["complete"]
    assert incident["changes"]["others"] >= 2


def test_it_has_why_each_thing_was_allowed(incident: Any) -> None:
    assert [each["verdict"] for each in incident["whys"]["items"]] == ["same"] * 3
    assert incident["whys"]["left"] == 0


def test_it_has_the_proofs(incident: Any) -> None:
    bundle = json.loads(base64.b64decode(incident["proofs"]["bundle"]))
    assert bundle
    assert incident["proofs"]["positions"] == [each["position"] for each in incident["radius"]["events"]]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_is_one_page_that_runs_nothing_and_loads_nothing(
    node: NodeProcess, office: Organisation, stolen: dict[str, Any]
) -> None:
    with node.client() as operator:
        body = {"of": stolen["id"], "from": str(stolen["issued"] + 1)}
        answer = operator.post(f"/v1/tenants/{office.ids['tenant']}/incident.html", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = _Page()
    page.feed(answer.text)
    assert "script" not in {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not {"src", "onclick", "onload"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")
    assert HOSTILE not in answer.text
    assert HOSTILE in page.text
    for each in ("Timeline", "Blast radius", "Before and after", "Why it was allowed", "Proofs", stolen["other"]):
        assert each in page.text


def test_nothing_done_is_a_report_too(node: NodeProcess, office: Organisation) -> None:
    with node.client() as operator:
        body = {"of": "key_" + "0" * 32}
        path = f"/v1/tenants/{office.ids['tenant']}/incident"
        found, page = operator.post(path, json=body), operator.post(f"{path}.html", json=body)
    assert found.json()["radius"]["events"] == []
    assert found.json()["proofs"]["missing"] == "nothing was reached"
    assert "Nothing was done" in page.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"of": "everything"}, 422),
        ({"of": "key_" + "0" * 32, "from": "9", "to": "1"}, 422),
        ({"of": "key_" + "0" * 32, "from": "soon"}, 400),
        ({"of": "key_" + "0" * 32, "more": 1}, 422),
    ],
)
def test_what_can_not_be_reported_is_refused(
    node: NodeProcess, office: Organisation, body: dict[str, Any], status: int
) -> None:
    with node.client() as operator:
        answer = operator.post(f"/v1/tenants/{office.ids['tenant']}/incident", json=body)
    assert answer.status_code == status, answer.text


def test_reporting_takes_the_permission_to_replay(node: NodeProcess, office: Organisation) -> None:
    base = f"/v1/tenants/{office.ids['tenant']}"
    with node.client() as operator:
        issued = operator.post(f"{base}/keys", json={"permissions": ["audit:read"]}).json()
    with node.client(issued["key"]) as client:
        for path in ("incident", "incident.html"):
            assert client.post(f"{base}/{path}", json={"of": issued["id"]}).status_code == 403
