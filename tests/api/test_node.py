"""What operators ask of a node: a backup as it is sent, views built anew; and that nobody else may."""

import io
import tarfile
from pathlib import Path

import msgspec
import pytest

from adapters.embedded.backup import check_log, read_manifest
from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess, until


@pytest.fixture(scope="module")
def office(node: NodeProcess) -> Organisation:
    return organisation(node, "Planet Express, kept")


def test_a_backup_is_sent_as_an_archive_that_proves_itself(node: NodeProcess, tmp_path: Path) -> None:
    with node.client() as client:
        sent = client.post("/v1/node/backup")
        head = client.post("/v1/node/verify").json()
    assert sent.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(sent.content)) as archive:
        assert archive.getnames() == ["manifest.json", "ledger.db", "checkpoints.db"]
        archive.extractall(tmp_path, filter="data")
    manifest = read_manifest(tmp_path)
    assert manifest.checkpoints is not None
    assert check_log(tmp_path / "ledger.db") == msgspec.structs.replace(manifest, checkpoints=None)
    assert manifest.sequence <= head["sequence"]
    assert not (node.data / "backup.unfinished").exists()


def test_views_built_anew_are_told_of_until_they_are_in_place(node: NodeProcess, office: Organisation) -> None:
    with node.client() as client:
        begun = client.post("/v1/node/rebuild")
        assert begun.status_code == 202
        assert begun.json()["state"] in ("running", "done")
        done = until(
            lambda: (now := client.get("/v1/node/rebuild").json())["state"] != "running" and now,
            "an end of the rebuild",
        )
        assert done == {**done, "state": "done", "step": "compared", "problem": None}
        user = client.get(f"/v1/tenants/{office.ids['tenant']}/users/{office.ids['user']}")
        assert user.json()["user_name"] == "someone"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/operator/rotate"),
        ("POST", "/v1/node/backup"),
        ("POST", "/v1/node/verify"),
        ("POST", "/v1/node/rebuild"),
        ("GET", "/v1/node/rebuild"),
    ],
)
def test_a_tenants_key_may_do_nothing_of_the_deployments(
    node: NodeProcess, office: Organisation, method: str, path: str
) -> None:
    with node.client(office.key) as client, node.client("nobody") as nobody:
        assert client.request(method, path).status_code == 403
        assert nobody.request(method, path).status_code == 401
