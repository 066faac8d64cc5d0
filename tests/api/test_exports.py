"""Exports: asked for, written, downloaded with their hashes, resumed after a crash, and gone in their time."""

import csv
import hashlib
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from tests.api.organisation import Organisation, organisation
from tests.api.test_audit import issue
from tests.node import NodeProcess, running_node, until


@pytest.fixture(scope="module")
def exported(node: NodeProcess) -> Organisation:
    return organisation(node, "Exported")


def ask(client: httpx.Client, tenant: str, **body: Any) -> str:
    answer = client.post(f"/v1/tenants/{tenant}/exports", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def done(client: httpx.Client, tenant: str, export: str) -> dict[str, Any]:
    """The export once it is no more running."""

    def over() -> Any:
        found = client.get(f"/v1/tenants/{tenant}/exports/{export}").json()
        return found if found["state"] != "running" else None

    found: dict[str, Any] = until(over, "the end of an export")
    assert found["state"] == "done", found
    return found


def download(client: httpx.Client, tenant: str, export: str, what: str = "file") -> httpx.Response:
    return client.get(f"/v1/tenants/{tenant}/exports/{export}/{what}")


def is_there(client: httpx.Client, tenant: str, export: str) -> bool:
    return download(client, tenant, export).status_code == 200


def test_an_export_holds_what_the_trail_shows_and_its_hashes_say_so(node: NodeProcess, exported: Organisation) -> None:
    tenant = exported.ids["tenant"]
    with node.client(exported.key) as client:
        export = ask(client, tenant, format="ndjson", to="13")
        found = done(client, tenant, export)
        file = download(client, tenant, export)
        assert file.headers["content-type"] == "application/x-ndjson"
        assert hashlib.sha256(file.content).hexdigest() == found["sha256"]
        lines = [json.loads(line) for line in file.text.splitlines()]
        assert [each["position"] for each in lines] == list(range(1, 14))
        assert (found["count"], found["first"], found["last"], found["done"]) == (13, 1, 13, found["total"])
        shown = client.get("/v1/trail", params={"order": "oldest", "to": 13, "limit": 500}).json()["items"]
        assert [each["id"] for each in lines] == [each["id"] for each in shown]
        provisioned = next(each for each in lines if each["type"] == "UserProvisioned")
        assert provisioned["data"]["user_name"] is None
        assert "user_name" in provisioned["sealed"]
        assert "Someone" not in file.text
        manifest = download(client, tenant, export, "manifest")
        assert hashlib.sha256(manifest.content).hexdigest() == found["manifest_sha256"]
        said = manifest.json()
        assert said["files"][0]["sha256"] == found["sha256"]
        assert said["tree"] == {"size": found["tree_size"], "root": found["root"]}
        finished = client.get("/v1/trail", params={"subject": export, "type": "ExportFinished"}).json()["items"]
        assert [each["data"]["digest"] for each in finished] == [found["sha256"]]
        asked = client.get("/v1/trail", params={"subject": export, "type": "ExportRequested"}).json()["items"]
        assert finished[0]["causation"] == asked[0]["id"]


def test_every_format_holds_the_same_events(node: NodeProcess, exported: Organisation) -> None:
    tenant = exported.ids["tenant"]
    files = {}
    with node.client(exported.key) as client:
        for format in ("csv", "ndjson", "parquet", "ocsf"):
            export = ask(client, tenant, format=format, **{"from": "2", "to": "9"})
            done(client, tenant, export)
            files[format] = download(client, tenant, export).content
    positions = list(range(2, 10))
    rows = list(csv.DictReader(io.StringIO(files["csv"].decode(), newline="")))
    assert [int(row["position"]) for row in rows] == positions
    assert pq.read_table(io.BytesIO(files["parquet"])).column("position").to_pylist() == positions
    assert [json.loads(line)["metadata"]["sequence"] for line in files["ocsf"].splitlines()] == positions
    assert [json.loads(line)["position"] for line in files["ndjson"].splitlines()] == positions


def test_filters_choose_what_is_written(node: NodeProcess, exported: Organisation) -> None:
    tenant, user = exported.ids["tenant"], exported.ids["user"]
    with node.client(exported.key) as client:
        export = ask(client, tenant, format="ndjson", subject=user, types=["RoleAssigned", "MemberAdded"])
        assert done(client, tenant, export)["count"] == 2
        nothing = ask(client, tenant, format="csv", subject=user, types=["FlagDefined"])
        assert done(client, tenant, nothing)["count"] == 0
        assert download(client, tenant, nothing).text.startswith("position,recorded_at,")
        wrong = client.post(f"/v1/tenants/{tenant}/exports", json={"format": "ndjson", "types": ["NoSuchEvent"]})
        assert wrong.status_code == 422


def test_a_download_is_recorded_each_time(node: NodeProcess, exported: Organisation) -> None:
    tenant = exported.ids["tenant"]
    with node.client(exported.key) as client:
        export = ask(client, tenant, format="csv", to="3")
        done(client, tenant, export)
        for _ in range(2):
            download(client, tenant, export).raise_for_status()
        found = client.get("/v1/trail", params={"type": "TrailAccessed", "limit": 500}).json()["items"]
    told = [each["data"] for each in found if each["data"]["question"] == f"export={export}"]
    assert [(each["kind"], each["count"], each["first"], each["last"]) for each in told] == [("download", 3, 1, 3)] * 2


def test_an_export_that_is_deleted_is_gone(node: NodeProcess, exported: Organisation) -> None:
    tenant = exported.ids["tenant"]
    with node.client(exported.key) as client:
        export = ask(client, tenant, format="csv")
        done(client, tenant, export)
        assert client.delete(f"/v1/tenants/{tenant}/exports/{export}").json()["changed"]
        assert download(client, tenant, export).status_code == 410
        assert not (node.data / "exports" / export).exists()
        assert client.get(f"/v1/tenants/{tenant}/exports/{export}").json()["state"] == "expired"
        assert client.delete(f"/v1/tenants/{tenant}/exports/{export}").status_code == 404
        listed = client.get(f"/v1/tenants/{tenant}/exports", params={"limit": 500}).json()["items"]
        assert {each["id"]: each["state"] for each in listed}[export] == "expired"


def test_only_who_may_read_the_trail_exports_and_downloads(node: NodeProcess, exported: Organisation) -> None:
    tenant = exported.ids["tenant"]
    other = organisation(node, "Exported Elsewhere")
    with node.client(exported.key) as owner:
        export = ask(owner, tenant, format="csv")
        done(owner, tenant, export)
        key = issue(owner, f"/v1/tenants/{tenant}", "users:read")
    with node.client(key["key"]) as client:
        assert client.post(f"/v1/tenants/{tenant}/exports", json={"format": "csv"}).status_code == 403
        assert download(client, tenant, export).status_code == 403
    with node.client(other.key) as client:
        assert download(client, tenant, export).status_code == 404
        assert download(client, other.ids["tenant"], export).status_code == 404


def test_a_node_that_dies_goes_on_with_its_exports_and_keeps_those_that_are_done(tmp_path: Path) -> None:
    data = tmp_path / "data"
    node = NodeProcess(data)
    try:
        made = organisation(node, "Crashed")
        tenant = made.ids["tenant"]
        with node.client(made.key) as client:
            kept = ask(client, tenant, format="csv", to="13")
            digest = done(client, tenant, kept)["sha256"]
            begun = [ask(client, tenant, format=format, to="13") for format in ("ndjson", "parquet", "ocsf")]
    finally:
        node.kill()
    lost = data / "exports" / kept
    (lost / "manifest.json").unlink()  # as on a node that never wrote it
    (data / "exports" / "exp_of_nobody").mkdir()
    with running_node(data) as again, again.client(made.key) as client:
        for export in begun:
            assert done(client, tenant, export)["count"] == 13
            until(partial(is_there, client, tenant, export), "the file of an export")
        whole = until(
            lambda: found if (found := download(client, tenant, kept)).status_code == 200 else None,
            "an export that is written again",
        )
        assert hashlib.sha256(whole.content).hexdigest() == digest
        until(lambda: not (data / "exports" / "exp_of_nobody").exists(), "the end of a stray folder")


def test_a_tenant_has_so_many_exports_and_no_more(node: NodeProcess) -> None:
    made = organisation(node, "Exporting Much")
    tenant = made.ids["tenant"]
    with node.client(made.key) as client:
        exports = [made.ids["export"], *(ask(client, tenant, format="csv", to="2") for _ in range(19))]
        refused = client.post(f"/v1/tenants/{tenant}/exports", json={"format": "csv"})
        assert refused.status_code == 409
        client.delete(f"/v1/tenants/{tenant}/exports/{exports[0]}").raise_for_status()
        ask(client, tenant, format="csv", to="2")
