"""An API key is stolen, used, found and revoked; then the incident is replayed from the command line, whole."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.commands import attempt, muniment
from tests.node import NodeProcess, running_node

pytestmark = pytest.mark.timeout(600)

THIEF_MAY = ["keys:manage", "roles:assign", "roles:manage", "users:manage", "flags:manage", "audit:read"]


class Theft(NamedTuple):
    """What happened: `done` maps what the thief did to the positions of its events."""

    node: NodeProcess
    tenant: str
    key: str
    stolen_at: int
    other: str
    done: dict[str, int]
    users: list[str]
    revoked_at: int
    innocent: list[int]

    @property
    def here(self) -> tuple[str, ...]:
        return ("--tenant", self.tenant, "--data", str(self.node.data))


def position_of(answer: httpx.Response) -> int:
    answer.raise_for_status()
    return int(answer.headers["Muniment-Position"].rpartition(":")[2])


@pytest.fixture(scope="module")
def theft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theft]:
    with running_node(tmp_path_factory.mktemp("theft") / "data") as node:
        yield _happens(node)


def _happens(node: NodeProcess) -> Theft:
    with node.client() as admin:
        tenant = admin.post("/v1/tenants", json={"name": "Planet Express"}).json()["id"]
        base = f"/v1/tenants/{tenant}"
        admin.put(f"{base}/settings/color", json={"value": "blue"}).raise_for_status()
        boss = admin.post(f"{base}/users", json={"user_name": "hubert"}).json()["id"]
        role = admin.post(f"{base}/roles", json={"name": "clerk", "permissions": ["users:manage"]}).json()["id"]
        flag = admin.post(f"{base}/flags", json={"key": "dark-matter"}).json()["id"]
        issued = admin.post(f"{base}/keys", json={"permissions": THIEF_MAY, "name": "continuous integration"}).json()
        innocent = [position_of(admin.put(f"{base}/roles/{role}/assignments/{boss}", json={}))]
        own = admin.post(f"{base}/keys", json={"permissions": ["users:manage"], "holder": boss}).json()

        with node.client(issued["key"]) as rightful:
            innocent.append(position_of(rightful.post(f"{base}/users", json={"user_name": "leela"})))
        stolen_at = innocent[-1]

        done: dict[str, int] = {}
        with node.client(issued["key"]) as thief:
            made = thief.post(f"{base}/users", json={"user_name": "mallory"})
            done["UserProvisioned by the stolen key"] = position_of(made)
            other = thief.post(f"{base}/keys", json={"permissions": ["users:manage", "flags:manage"]})
            done["ApiKeyIssued"] = position_of(other)
            mallory = made.json()["id"]
            done["RoleAssigned"] = position_of(thief.put(f"{base}/roles/{role}/assignments/{mallory}", json={}))
            read = thief.get(f"{base}/trail")
            read.raise_for_status()
            assert thief.put(f"{base}/settings/color", json={"value": "red"}).status_code == 403
        with node.client(other.json()["key"]) as thief:
            trudy = thief.post(f"{base}/users", json={"user_name": "trudy"})
            done["UserProvisioned by the other key"] = position_of(trudy)
            done["FlagDefaultChanged"] = position_of(
                thief.patch(f"{base}/flags/{flag}", json={"default_variant": "on"})
            )

        with node.client(own["key"]) as hubert:
            innocent.append(position_of(hubert.post(f"{base}/users", json={"user_name": "fry"})))
        revoked_at = position_of(admin.delete(f"{base}/keys/{issued['id']}"))
        with node.client(issued["key"]) as thief:
            assert thief.get(f"{base}/trail").status_code == 401
        admin.post("/v1/evidence/checkpoint").raise_for_status()
        events = admin.get(f"{base}/events", params={"limit": 500}).json()["items"]
    for each in events:
        if each["credential"] == issued["id"] and each["position"] > stolen_at:
            if each["type"] == "TrailAccessed":
                done["TrailAccessed"] = each["position"]
            if each["type"] == "CommandRefused":
                done["CommandRefused"] = each["position"]
    users = [mallory, trudy.json()["id"]]
    return Theft(node, tenant, issued["id"], stolen_at, other.json()["id"], done, users, revoked_at, innocent)


def test_the_blast_radius_lists_exactly_what_the_thief_did(theft: Theft) -> None:
    assert {"TrailAccessed", "CommandRefused"} <= theft.done.keys()
    found = muniment("replay", "blast-radius", theft.key, "--from", str(theft.stolen_at + 1), *theft.here)
    assert [each["position"] for each in found["events"]] == sorted(theft.done.values())
    assert found["complete"]
    assert {theft.key, theft.other, *theft.users} <= {each["id"] for each in found["nodes"]}
    edges = {(each["source"], each["target"]): each["what"] for each in found["edges"]}
    assert edges[theft.key, theft.other] == "ApiKeyIssued"
    assert edges[theft.other, theft.users[1]] == "UserProvisioned"
    for position in theft.innocent:
        assert position not in {each["position"] for each in found["events"]}


def test_the_radius_is_drawn_and_printed(theft: Theft) -> None:
    drawn = attempt("replay", "blast-radius", theft.key, "--format", "dot", *theft.here)
    assert drawn.stdout.startswith("digraph radius {")
    printed = attempt("replay", "blast-radius", theft.key, *theft.here)
    assert theft.other in printed.stdout


def test_why_says_of_each_thing_why_it_was_allowed(theft: Theft) -> None:
    for what, position in theft.done.items():
        found = muniment("replay", "why", str(position), *theft.here)
        assert found["verdict"] == "same", found
        assert found["decision"]["credential"] in (theft.key, theft.other)
        assert found["again"]["allowed"] is (what != "CommandRefused")
        assert any(each["type"] == "ApiKeyIssued" for each in found["path"])
    by_the_other = muniment("replay", "why", str(theft.done["FlagDefaultChanged"]), *theft.here)
    (issued,) = by_the_other["path"]
    assert (issued["position"], issued["credential"]) == (theft.done["ApiKeyIssued"], theft.key)
    printed = attempt("replay", "why", str(theft.done["RoleAssigned"]), *theft.here).stdout
    assert "because the key has roles:assign (the same answer)" in printed


def test_had_the_key_been_revoked_earlier_exactly_this_would_not_have_been(theft: Theft) -> None:
    found = muniment("replay", "what-if", "--revoke", f"{theft.key}@{theft.stolen_at}", *theft.here)
    refused = theft.done["CommandRefused"]
    flips = {each["position"]: each for each in found["flips"]}
    assert sorted(flips) == [each for each in sorted(theft.done.values()) if each != refused]
    assert all(each["would"] == "refused" for each in flips.values())
    assert (found["undecidable"], found["complete"]) == (0, True)
    assert {each["credential"]: (each["was"]["state"], each["would"]["state"]) for each in found["credentials"]} == {
        theft.other: ("open", "none")
    }
    assert [(each["subject"], each["lost"]) for each in found["access"]] == [(theft.users[0], ["users:manage"])]
    printed = attempt("replay", "what-if", "--revoke", f"{theft.key}@{theft.stolen_at}", *theft.here).stdout
    assert f"{len(flips)} flip: from position {min(flips)} on" in printed


def test_other_suppositions_are_understood(theft: Theft) -> None:
    without = muniment("replay", "what-if", "--without", f"{theft.key}@{theft.stolen_at + 1}", *theft.here)
    by_the_other = [theft.done["UserProvisioned by the other key"], theft.done["FlagDefaultChanged"]]
    assert [each["position"] for each in without["flips"]] == by_the_other
    permitted = muniment(
        "replay", "what-if", "--permit", f"{theft.key}=users:manage,roles:assign", "--open", *theft.here
    )
    assert theft.done["ApiKeyIssued"] in {each["position"] for each in permitted["flips"]}
    assert attempt("replay", "what-if", *theft.here).returncode == 1


def test_what_the_key_could_do_is_told_of_any_moment(theft: Theft) -> None:
    then = muniment("replay", "access", theft.key, "roles:assign", "--at", str(theft.stolen_at), *theft.here)
    assert then["decision"]["allowed"]
    now = muniment("replay", "access", theft.key, "roles:assign", *theft.here)
    assert now["decision"]["because"] == "the key is revoked"


def test_a_view_is_folded_as_of_before_and_after(theft: Theft) -> None:
    before = muniment("replay", "state", str(theft.stolen_at), "users", *theft.here)
    after = muniment("replay", "state", str(theft.revoked_at), "users", *theft.here)
    assert (before["rows"], after["rows"]) == (2, 5)
    assert set(theft.users) <= {each["key"] for each in after["items"]}


def test_the_report_has_it_all(theft: Theft, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    told = muniment(
        "incident", "--of", theft.key, "--from", str(theft.stolen_at + 1), "--out", str(folder), *theft.here
    )
    assert told["events"] == len(theft.done)
    assert told["proved"]
    report: Any = json.loads((folder / "incident.json").read_bytes())
    assert [each["position"] for each in report["radius"]["events"]] == sorted(theft.done.values())
    assert {each["key"] for each in report["changes"]["items"]} >= {theft.other, *theft.users}
    assert {each["verdict"] for each in report["whys"]["items"]} == {"same"}
    assert report["before"]["opened"]["state"] == "open"
    assert report["after"]["opened"]["state"] == "the key is revoked"
    assert base64.b64decode(report["proofs"]["bundle"]) == (folder / "events.muniment.json").read_bytes()
    page = (folder / "incident.html").read_text()
    for each in (theft.key, theft.other, *theft.users, "mallory", "dark-matter", "Why it was allowed"):
        assert each in page
    assert "<script" not in page
    assert (folder / "incident.json").stat().st_mode & 0o077 == 0


def test_the_proofs_of_the_report_hold_without_the_node(theft: Theft, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    muniment("incident", "--of", theft.key, "--from", str(theft.stolen_at + 1), "--out", str(folder), *theft.here)
    with httpx.Client(base_url=theft.node.url) as anybody:
        keys = anybody.get("/v1/evidence/keys").json()
    (vkey, *_) = [each["vkey"] for each in keys["keys"]]
    verified = attempt("verify", "--bundle", str(folder / "events.muniment.json"), "--vkey", vkey)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_node_of_before_shows_what_was(theft: Theft) -> None:
    moment = f"{theft.tenant}:{theft.stolen_at}"
    with running_node(theft.node.data, arguments=("--as-of", moment)) as then, then.client() as client:
        users = client.get(f"/v1/tenants/{theft.tenant}/users").json()["items"]
        assert {each["user_name"] for each in users} == {"hubert", "leela"}
        evaluated = client.get(f"/v1/tenants/{theft.tenant}/evaluations/dark-matter").json()
        assert evaluated["variant"] == "off"
