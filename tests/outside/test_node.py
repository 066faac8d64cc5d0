"""A node's own log, bundles and answers, verified by Go with nothing but the public key; and by our command."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.exports.job import FILES
from tests.api.organisation import Organisation, organisation
from tests.domain.evidence.signing import Signer
from tests.e2e.commands import attempt
from tests.node import NodeProcess, running_node, until

pytestmark = pytest.mark.timeout(1_000)  # building it may fetch Go and a module


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("evident") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def tenant(node: NodeProcess) -> Organisation:
    made = organisation(node, "Evident")
    organisation(node, "Another")
    return made


def checkpoint(node: NodeProcess) -> None:
    with node.client() as operator:
        operator.post("/v1/evidence/checkpoint").raise_for_status()


def vkey_of(node: NodeProcess) -> str:
    (key,) = httpx.get(f"{node.url}/v1/evidence/keys").raise_for_status().json()["keys"]
    return str(key["vkey"])


def bundle_of(node: NodeProcess, tenant: Organisation, into: Path, **asked: Any) -> Path:
    with node.client(tenant.key) as auditor:
        answer = auditor.get(f"/v1/tenants/{tenant.ids['tenant']}/evidence/bundle", params=asked)
    assert answer.status_code == 200, answer.text
    file = into / "asked.muniment.json"
    file.write_bytes(answer.content)
    return file


def go(verifier: Path, *words: str | Path) -> Any:
    done = subprocess.run([verifier, *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ours(file: Path, vkey: str) -> Any:
    done = attempt("verify", "--bundle", str(file), "--vkey", vkey, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["bundles"][0]


def test_events_are_verified_by_go_and_by_us(
    node: NodeProcess, tenant: Organisation, verifier: Path, tmp_path: Path
) -> None:
    checkpoint(node)
    vkey = vkey_of(node)
    file = bundle_of(node, tenant, tmp_path, position=[2, 5, 3])
    found = go(verifier, "bundle", file, vkey)
    assert (found["tenant"], found["positions"]) == (tenant.ids["tenant"], [2, 3, 5])
    told = ours(file, vkey)
    assert [each["position"] for each in told["events"]] == [2, 3, 5]
    assert (told["log"], told["log_size"], told["size"]) == (found["origin"], found["log_size"], found["size"])


def test_all_of_a_person_is_verified_by_go_and_by_us(
    node: NodeProcess, tenant: Organisation, verifier: Path, tmp_path: Path
) -> None:
    checkpoint(node)
    vkey, tag = vkey_of(node), f"user:{tenant.ids['user']}"
    with node.client(tenant.key) as auditor:
        trail = auditor.get("/v1/trail", params={"subject": tenant.ids["user"], "order": "oldest", "limit": 500}).json()
    about = [each["position"] for each in trail["items"] if tag in each["tags"]]
    file = bundle_of(node, tenant, tmp_path, tag=tag)
    found = go(verifier, "bundle", file, vkey)
    assert (found["tag"], found["total"], found["positions"]) == (tag, len(about), about)
    complete = ours(file, vkey)["complete"]
    assert (complete["matching"], complete["total"], complete["last_position"]) == (len(about), len(about), about[-1])
    part = bundle_of(node, tenant, tmp_path, tag=tag, **{"from": about[0] + 1, "to": about[-1] - 1})
    assert go(verifier, "bundle", part, vkey)["positions"] == about[1:-1]
    nobody = bundle_of(node, tenant, tmp_path, tag="user:usr_nobody")
    assert go(verifier, "bundle", nobody, vkey)["positions"] == []
    told = ours(bundle_of(node, tenant, tmp_path, tag=tag, since="2020-01-01T00:00:00Z"), vkey)["complete"]
    assert (told["by"], told["matching"]) == ("recorded_at", len(about))


def test_the_deployments_log_is_whole_and_only_grows(
    node: NodeProcess, tenant: Organisation, verifier: Path, tmp_path: Path
) -> None:
    """As anybody sees it, without a key: an outside monitor follows the log by its tiles."""
    checkpoint(node)
    vkey, notes = vkey_of(node), []
    for round in range(3):
        with node.client(tenant.key) as client:
            client.put(f"/v1/tenants/{tenant.ids['tenant']}/settings/round", json={"value": str(round)})
        checkpoint(node)
        note = httpx.get(f"{node.url}/v1/evidence/log/checkpoint").raise_for_status()
        notes.append(tmp_path / f"checkpoint-{round}")
        notes[-1].write_bytes(note.content)
    found = go(verifier, "log", f"{node.url}/v1/evidence/log", vkey, *notes)
    assert found["older"] == 3
    assert found["size"] == int(notes[-1].read_text().split("\n")[1])


def audit(node: NodeProcess, *words: str | Path) -> "subprocess.CompletedProcess[str]":
    return attempt("verify", "--audit", "--data", str(node.data), *map(str, words))


def test_a_whole_history_is_audited_on_the_auditors_machine(
    node: NodeProcess, tenant: Organisation, tmp_path: Path
) -> None:
    checkpoint(node)
    vkey = vkey_of(node)
    before = bundle_of(node, tenant, tmp_path, position=[1, 3])
    with node.client(tenant.key) as client:
        for number in range(300):
            path = f"/v1/tenants/{tenant.ids['tenant']}/settings/many"
            client.put(path, json={"value": str(number)}).raise_for_status()
    checkpoint(node)
    done = audit(node, "--tenant", tenant.ids["tenant"], "--vkey", vkey, "--bundle", before, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (told,) = json.loads(done.stdout)["tenants"]
    assert told["holds"]
    assert told["size"] > 300
    every = audit(node, "--vkey", vkey)
    assert every.returncode == 0, every.stdout + every.stderr
    assert "_deployment: all " in every.stdout
    assert f"{tenant.ids['tenant']}: all {told['size']} events are as committed to" in every.stdout


def test_another_key_audits_nothing(node: NodeProcess, tenant: Organisation) -> None:
    checkpoint(node)
    done = audit(node, "--tenant", tenant.ids["tenant"], "--vkey", Signer("other.example").key.text)
    assert done.returncode == 1
    assert "no key that is trusted signed the note" in done.stderr


@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet", "ocsf"])
def test_an_exports_rows_are_verified_offline(
    format: str, node: NodeProcess, tenant: Organisation, tmp_path: Path
) -> None:
    checkpoint(node)
    base = f"/v1/tenants/{tenant.ids['tenant']}"
    with node.client(tenant.key) as auditor:
        asked = auditor.post(f"{base}/exports", json={"format": format, "to": "12"}).raise_for_status().json()
        export = f"{base}/exports/{asked['id']}"

        def is_done() -> bool:
            return bool(auditor.get(export).raise_for_status().json()["state"] == "done")

        until(is_done, "the export is done")
        for name in ("manifest", "proofs", "file"):
            answer = auditor.get(f"{export}/{name}").raise_for_status()
            kept_as = {"manifest": "manifest.json", "proofs": "proofs.muniment.json", "file": FILES[format][0]}[name]
            (tmp_path / kept_as).write_bytes(answer.content)
    told = ours(tmp_path, vkey_of(node))
    assert (told["export"], [each["position"] for each in told["events"]]) == (format, list(range(1, 13)))
    file = tmp_path / FILES[format][0]
    file.write_bytes(file.read_bytes()[:-1] + b" ")
    done = attempt("verify", "--bundle", str(tmp_path), "--vkey", vkey_of(node))
    assert done.returncode == 1
    assert f"{file.name} is not the file that manifest.json lists" in done.stderr
