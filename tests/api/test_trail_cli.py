"""`muniment trail …` against a running node."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess


@pytest.fixture(scope="module")
def told(node: NodeProcess) -> Organisation:
    return organisation(node, "Told")


def muniment(node: NodeProcess, told: Organisation, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api.cli", "trail", *arguments, "--tenant", told.ids["tenant"], "--url", node.url]
    done = subprocess.run([*command, "--key", told.key], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def listed(node: NodeProcess, told: Organisation, *arguments: str) -> Any:
    return json.loads(muniment(node, told, *arguments, "--json").stdout)


def test_search_and_counts(node: NodeProcess, told: Organisation) -> None:
    found = listed(node, told, "search", "--subject", told.ids["user"], "--type", "RoleAssigned")["items"]
    assert [each["type"] for each in found] == ["RoleAssigned"]
    assert "UserProvisioned" in muniment(node, told, "search", "--text", "someone").stdout
    counts = listed(node, told, "counts", "--bucket", "hour", "--to", "13")
    assert counts["total"] == 13


def test_query(node: NodeProcess, told: Organisation, tmp_path: Path) -> None:
    sql = "SELECT type, count(*) AS n FROM events WHERE position <= 13 GROUP BY type ORDER BY type LIMIT 2"
    assert listed(node, told, "query", sql)["rows"][0][1] == 1
    assert "ApiKeyIssued" in muniment(node, told, "query", sql).stdout
    muniment(node, told, "query", sql, "--format", "csv", "--out", str(tmp_path / "rows.csv"))
    assert (tmp_path / "rows.csv").read_text().splitlines()[0] == "type,n"
    refused = muniment(node, told, "query", "SELECT * FROM read_csv('/etc/passwd')", code=1)
    assert "function" in refused.stderr
    assert "/etc" not in refused.stderr


def test_export(node: NodeProcess, told: Organisation, tmp_path: Path) -> None:
    found = listed(node, told, "export", "--out", str(tmp_path / "out"), "--format", "csv", "--to", "5")
    assert found["count"] == 5
    file = Path(found["files"]["file"])
    assert hashlib.sha256(file.read_bytes()).hexdigest() == found["sha256"]
    manifest = json.loads(Path(found["files"]["manifest"]).read_bytes())
    assert manifest["tree"]["root"] == found["root"]
