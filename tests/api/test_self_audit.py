"""A node that compares all the time what it keeps with what was recorded, and says what it finds."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from api.findings import CHECKS, Check, Findings
from tests.node import NodeProcess, running_node, until


def audit(node: NodeProcess) -> dict[str, Any]:
    with node.client() as client:
        return dict(client.get("/v1/node/audit").raise_for_status().json())


def of(body: dict[str, Any], check: str) -> dict[str, Any]:
    return dict(next(each for each in body["checks"] if each["check"] == check))


def test_every_check_is_made_and_a_changed_byte_is_found(tmp_path: Path) -> None:
    with running_node(tmp_path / "data", environment={"MUNIMENT_CHECKPOINT_SECONDS": "1"}) as node:
        with node.client() as client:
            tenant = client.post("/v1/tenants", json={"name": "planet-express"}).raise_for_status().json()["id"]
            client.post(f"/v1/tenants/{tenant}/users", json={"user_name": "fry"}).raise_for_status()
        until(lambda: all(each["looks"] > 2 for each in audit(node)["checks"] if each["check"] != "archive"), "looked")
        whole = audit(node)
        assert whole["holds"]
        assert {each["check"] for each in whole["checks"]} == set(CHECKS)
        with sqlite3.connect(node.data / "ledger.db") as log:
            row = "SELECT e.sequence, e.stored FROM events e JOIN tenants t ON t.number = e.tenant "
            sequence, stored = log.execute(row + "WHERE t.tenant = ? AND e.position = 2", (tenant,)).fetchone()
            changed = bytes([*stored[:-1], stored[-1] ^ 1])
            log.execute("UPDATE events SET stored = ? WHERE sequence = ?", (changed, sequence))
        log.close()
        subjects = until(lambda: {each["subject"] for each in of(audit(node), "index")["problems"]}, "it was found")
        assert subjects <= {tenant, "the chain of partition 0"}
        until(lambda: "position 2" in str(of(audit(node), "checkpoints")["problems"]), "the position was named")
        assert not audit(node)["holds"]
        with node.client() as client:
            assert 'muniment_audit_problems{check="index"} 0.0' not in client.get("/metrics").text


def test_what_was_mended_is_wrong_no_more() -> None:
    findings = Findings(CollectorRegistry())
    assert findings.looked("views", "ten_1", ["a row is missing"])
    assert not findings.looked("views", "ten_1", ["a row is missing"])
    assert [each.what for each in findings.problems("views")] == ["a row is missing"]
    assert not findings.looked("views", "ten_1", [])
    assert findings.problems("views") == []
    assert findings.looks("views") == 3


@pytest.mark.parametrize("check", CHECKS)
def test_no_more_is_kept_than_can_be_read(check: Check) -> None:
    findings = Findings(CollectorRegistry())
    for number in range(2_000):
        findings.looked(check, f"ten_{number}", ["wrong"] * 50)
    assert len(findings.problems(check)) == 1_000 * 20
