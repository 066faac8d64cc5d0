"""Data folders that are not what they were: each is refused with a sentence that says what to do, or mended."""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.node import NodeProcess, running_node


def refusal(data: Path, environment: dict[str, str] | None = None) -> str:
    """What `serve` says when it does not start."""
    command = [sys.executable, "-m", "api.cli", "serve", "--data", str(data), "--port", "0", "--json"]
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=90, env={**os.environ, **(environment or {})}, check=False
    )
    assert found.returncode != 0, found.stdout
    assert "Traceback" not in found.stderr
    return found.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a tenant and a user in it, and no node on it."""
    with running_node(tmp_path / "data") as node:
        add_user(node, "first", create=True)
    return tmp_path / "data"


def add_user(node: NodeProcess, name: str, *, create: bool = False) -> None:
    with node.client() as client:
        if create:
            client.post("/v1/tenants", json={"name": "Broken"}).raise_for_status()
        tenant = client.get("/v1/tenants").json()["items"][0]["id"]
        client.post(f"/v1/tenants/{tenant}/users", json={"user_name": name}).raise_for_status()


def user_names(node: NodeProcess) -> set[str]:
    with node.client() as client:
        tenant = client.get("/v1/tenants").json()["items"][0]["id"]
        return {each["user_name"] for each in client.get(f"/v1/tenants/{tenant}/users").json()["items"]}


def test_another_root_key_is_refused(data: Path) -> None:
    said = refusal(data, {"MUNIMENT_ROOT_KEY": secrets.token_hex(32)})
    assert "root key does not open" in said


def test_a_ledger_without_its_root_key_is_refused(data: Path) -> None:
    (data / "root.key").unlink()
    assert "MUNIMENT_ROOT_KEY" in refusal(data)


def test_a_second_node_on_the_folder_is_refused(data: Path) -> None:
    with running_node(data):
        said = refusal(data)
    assert "in use" in said or "another" in said


def test_yesterdays_copy_is_refused(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "yesterday"
    copy.mkdir()
    for file in data.glob("ledger.db*"):
        shutil.copy(file, copy)
    with running_node(data) as node:
        add_user(node, "second")
    for file in data.glob("ledger.db*"):
        file.unlink()
    for file in copy.iterdir():
        shutil.copy(file, data)
    said = refusal(data)
    assert "acknowledged" in said
    assert "backup" in said


def test_a_wal_that_ends_early_is_refused(data: Path) -> None:
    node = NodeProcess(data)
    for number in range(5):
        add_user(node, f"more-{number}")
    node.kill()
    wal = data / "ledger.db-wal"
    size = wal.stat().st_size
    assert size > 0, "the last events are still in the WAL"
    os.truncate(wal, size - size // 3)
    assert "acknowledged" in refusal(data)


def test_views_that_were_deleted_are_built_again(data: Path) -> None:
    shutil.rmtree(data / "postgres")
    with running_node(data) as node:
        assert user_names(node) == {"first"}


def test_a_broken_environment_says_what_to_set(tmp_path: Path) -> None:
    assert "MUNIMENT_ROOT_KEY" in refusal(tmp_path / "new", {"MUNIMENT_ROOT_KEY": "short"})
    assert "MUNIMENT_LOG_LEVEL" in refusal(tmp_path / "new", {"MUNIMENT_LOG_LEVEL": "loud"})
