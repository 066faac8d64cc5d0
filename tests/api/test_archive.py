"""The archive of a node: taken in, verified, told apart from the log by a byte, trimmed by retention, kept by holds."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import PATIENCE, NodeProcess, running_node, until
from tests.s3 import bucket_at
from tests.s3 import s3 as s3

ASKED = "SELECT position, event_id, type, actor_id, tags FROM read_parquet(?) ORDER BY position"
THIRD = (
    "SELECT stored FROM events JOIN tenants ON number = events.tenant WHERE tenants.tenant = ? AND events.position = 3"
)
CHANGE_THIRD = (
    "UPDATE events SET stored = ? WHERE tenant = (SELECT number FROM tenants WHERE tenant = ?) AND position = 3"
)
QUICKLY = {"MUNIMENT_ARCHIVE_SECONDS": "1"}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def archiving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node of its own that archives within a second."""
    with running_node(tmp_path_factory.mktemp("archiving") / "data", environment=QUICKLY) as running:
        yield running


@pytest.fixture(scope="module")
def acme(archiving: NodeProcess) -> Organisation:
    return organisation(archiving, "Archived")


def base_of(acme: Organisation) -> str:
    return f"/v1/tenants/{acme.ids['tenant']}"


def status(client: httpx.Client, base: str) -> dict[str, Any]:
    answer = client.get(f"{base}/archive")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def caught_up(client: httpx.Client, base: str) -> dict[str, Any]:
    """The status once all that is recorded is archived and verified."""

    def holds() -> dict[str, Any] | None:
        found = status(client, base)
        done = found["behind"] == 0 and found["verified"] and found["verified"]["position"] == found["head"]
        return found if done else None

    found: dict[str, Any] = until(holds, "an archive that has caught up")
    return found


def files_of(node: NodeProcess, acme: Organisation) -> list[Path]:
    return sorted((node.data / "archive" / f"tenant={acme.ids['tenant']}").rglob("*.parquet"))


def test_a_node_archives_and_verifies_by_itself(archiving: NodeProcess, acme: Organisation) -> None:
    base = base_of(acme)
    with archiving.client(acme.key) as client:
        found = caught_up(client, base)
        assert (found["first"], found["last"], found["problems"]) == (1, found["head"], [])
        tree = client.post(f"{base}/verify").json()["history"]
        assert (found["root"], found["last"]) == (tree["root"], tree["size"])
        trail = client.get(f"{base}/events", params={"limit": 500}).json()["items"]
    with duckdb.connect() as files:
        names = [str(each) for each in files_of(archiving, acme)]
        archived = files.execute(ASKED, [names]).fetchall()
    expected = [(each["position"], each["id"], each["type"], each["actor"]["id"], each["tags"]) for each in trail]
    assert archived == expected[: len(archived)]
    assert b"Someone" not in b"".join(each.read_bytes() for each in files_of(archiving, acme))


def test_the_metrics_say_how_far_it_is(archiving: NodeProcess, acme: Organisation) -> None:
    with archiving.client() as client:
        caught_up(client, base_of(acme))
        text = client.get("/metrics").text
    for name in ("archived_events_total", "archive_lag_events", "archive_lag_seconds", "archive_problems"):
        assert f"muniment_{name}" in text
    assert "muniment_archive_problems 0.0" in text


def test_only_operators_archive_at_once(archiving: NodeProcess, acme: Organisation) -> None:
    base = base_of(acme)
    with archiving.client(acme.key) as client, archiving.client() as operator:
        assert client.post(f"{base}/archive").status_code == 403

        def archived() -> Any:
            answer = operator.post(f"{base}/archive")
            return answer.json() if answer.status_code == 200 else None

        found = until(archived, "an archive that nothing else works on")
        assert found["behind"] == 0


def test_the_deployments_own_history_is_archived_and_never_trimmed(archiving: NodeProcess, acme: Organisation) -> None:
    with archiving.client() as operator:
        found = caught_up(operator, "/v1/tenants/_deployment")
        assert found["last"] > 0
        assert operator.put("/v1/tenants/_deployment/retention", json={"days": 30}).status_code == 404


def test_a_retention_is_told_and_taken_back(archiving: NodeProcess, acme: Organisation) -> None:
    base = base_of(acme)
    with archiving.client(acme.key) as client:
        assert client.get(f"{base}/retention").json()["days"] is None
        client.put(f"{base}/retention", json={"days": 365}).raise_for_status()
        assert client.get(f"{base}/retention").json()["days"] == 365
        for days in (0, 100_000, "a week"):
            assert client.put(f"{base}/retention", json={"days": days}).status_code == 422
        assert client.delete(f"{base}/retention").json()["changed"] is True
        assert client.get(f"{base}/retention").json()["days"] is None


def test_a_hold_is_placed_listed_and_lifted(archiving: NodeProcess) -> None:
    other = organisation(archiving, "Held")
    base = base_of(other)
    with archiving.client(other.key) as client:
        placed = client.post(f"{base}/legal_holds", json={"reason": "Case 17"})
        assert (placed.status_code, placed.json()["reason"]) == (201, "Case 17")
        hold = placed.headers["location"]
        assert client.get(hold).json()["id"] == placed.json()["id"]
        listed = client.get(f"{base}/legal_holds").json()["items"]
        assert [each["reason"] for each in listed] == ["A lawsuit", "Case 17"]
        caught_up(client, base)
        assert status(client, base)["trimmable_below"] == 1
        for each in listed:
            client.delete(f"{base}/legal_holds/{each['id']}").raise_for_status()
        assert client.delete(hold).status_code == 404
        found = caught_up(client, base)
        assert found["trimmable_below"] == found["head"] + 1


def test_verification_names_the_file_and_the_position_of_a_changed_byte(archiving: NodeProcess) -> None:
    """In the archive, and in the log; what is put right holds again."""
    acme = organisation(archiving, "Tampered")
    with archiving.client() as client:
        caught_up(client, base_of(acme))
    (file, *_) = files_of(archiving, acme)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :])
    found = verified(archiving, acme)
    assert found["holds"] is False
    assert {each["file"] for each in found["problems"]} == {"/".join(file.parts[-3:])}
    with archiving.client() as client:
        told = status(client, base_of(acme))
        assert told["problems"] == found["problems"]
        assert told["trimmable_below"] == 1
    file.write_bytes(whole)
    assert verified(archiving, acme)["holds"] is True
    with closing(sqlite3.connect(archiving.data / "ledger.db", timeout=PATIENCE)) as log:
        (stored,) = log.execute(THIRD, (acme.ids["tenant"],)).fetchone()
        for last, holds in ((stored[-1] ^ 1, False), (stored[-1], True)):
            changed = stored[:-1] + bytes([last])
            log.execute(CHANGE_THIRD, (changed, acme.ids["tenant"]))
            log.commit()
            found = verified(archiving, acme)
            assert found["holds"] is holds
            named = [(each["first"], each["what"]) for each in found["problems"]]
            assert named == ([] if holds else [(3, "the event is not the one in the log")])


def verified(node: NodeProcess, acme: Organisation) -> dict[str, Any]:
    """What `muniment archive verify` says."""
    ran = command(node.data, "archive", "verify", "--tenant", acme.ids["tenant"])
    found: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == (0 if found["holds"] else 1)
    return found


def command(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "api.cli", *arguments, "--data", str(data), "--json"]
    return subprocess.run(line, check=False, capture_output=True, text=True)


def test_the_command_line_tells_and_changes(archiving: NodeProcess, acme: Organisation) -> None:
    tenant = acme.ids["tenant"]
    with archiving.client() as client:
        caught_up(client, base_of(acme))
    told = json.loads(command(archiving.data, "archive", "status", "--tenant", tenant).stdout)
    assert told["behind"] == 0
    held = command(archiving.data, "archive", "trimmable", "--tenant", tenant)
    assert json.loads(held.stdout)["trimmable_below"] == 1, "the organisation is under a legal hold"
    assert json.loads(command(archiving.data, "archive", "retention", "400", "--tenant", tenant).stdout)["days"] == 400
    assert json.loads(command(archiving.data, "archive", "retention", "--tenant", tenant).stdout)["days"] == 400
    assert (
        json.loads(command(archiving.data, "archive", "retention", "never", "--tenant", tenant).stdout)["days"] is None
    )
    placed = json.loads(command(archiving.data, "archive", "hold", "Case 18", "--tenant", tenant).stdout)
    listed = json.loads(command(archiving.data, "archive", "holds", "--tenant", tenant).stdout)["items"]
    assert placed["id"] in {each["id"] for each in listed}
    lifted = command(archiving.data, "archive", "lift", placed["id"], "--tenant", tenant)
    assert json.loads(lifted.stdout)["changed"] is True


def test_an_archive_in_a_bucket_goes_on_after_a_kill_and_its_secret_is_told_nowhere(tmp_path: Path, s3: str) -> None:
    secret = "s3cr3t-of-the-bucket"
    bucket = bucket_at(s3)
    settings = QUICKLY | {
        "MUNIMENT_ARCHIVE": f"s3://{bucket}/muniment?region=us-east-1&endpoint={s3}",
        "MUNIMENT_ARCHIVE_ACCESS_KEY": "testing",
        "MUNIMENT_ARCHIVE_SECRET_KEY": secret,
    }
    with running_node(tmp_path / "data", environment=settings) as node:
        acme = organisation(node, "In A Bucket")
        base = base_of(acme)
        with node.client() as client:
            first = caught_up(client, base)
            client.post(f"{base}/users", json={"user_name": "before the kill"}).raise_for_status()
        node.kill()
    with running_node(tmp_path / "data", environment=settings) as node, node.client() as client:
        again = caught_up(client, base)
        assert again["last"] == again["head"] > first["last"]
        assert (again["first"], again["problems"]) == (1, [])
        found = client.post(f"{base}/archive/verify").json()
        assert (found["holds"], found["last"], found["next"]) == (True, again["last"], None)
    said = (tmp_path / "data.stderr").read_text()
    assert secret not in said
    assert not list((tmp_path / "data").rglob("*.parquet")), "nothing of it is in the data folder"


def test_a_node_whose_bucket_is_gone_says_so_and_goes_on(tmp_path: Path, s3: str) -> None:
    settings = QUICKLY | {
        "MUNIMENT_ARCHIVE": f"s3://no-such-bucket?region=us-east-1&endpoint={s3}",
        "MUNIMENT_ARCHIVE_ACCESS_KEY": "testing",
        "MUNIMENT_ARCHIVE_SECRET_KEY": "testing",
    }
    with running_node(tmp_path / "data", environment=settings) as node, node.client() as client:
        acme = organisation(node, "Without A Bucket")
        answer = client.post(f"{base_of(acme)}/archive")
        assert answer.status_code == 503
        assert "does not exist" in answer.json()["detail"]
        assert client.get(f"{base_of(acme)}/users").status_code == 200
        assert "muniment_archive_failures_total" in client.get("/metrics").text
