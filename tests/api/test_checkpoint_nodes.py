"""Checkpoints of whole nodes: on Kafka, with witnesses, after a restore, and when somebody has rewritten a byte."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from adapters.evidence.signing import verifies
from api.cli.commands import app
from domain.evidence.bundles import verify_bundle
from domain.evidence.checkpoints import parse_checkpoint
from domain.evidence.notes import open_note, parse_key
from tests.adapters.evidence.witness import Witness, witnessing
from tests.api.organisation import Organisation, organisation
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.kafka_nodes import deployment, settings_of
from tests.node import NodeProcess, running_node, until

pytestmark = pytest.mark.timeout(400)

QUIET = {"MUNIMENT_CHECKPOINT_SECONDS": "0"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with running_node(tmp_path / "data", environment=QUIET) as running:
        yield running


def ask(node: NodeProcess, method: str, path: str, body: Any = None) -> Any:
    with node.client() as operator:
        answer = operator.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()


def checkpoint(node: NodeProcess) -> dict[str, Any]:
    found: dict[str, Any] = ask(node, "POST", "/v1/evidence/checkpoint")
    return found


def verify(node: NodeProcess, tenant: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(node, "POST", f"/v1/tenants/{tenant}/verify")["history"]
    return found


def keys_of(node: NodeProcess) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{node.url}/v1/evidence/keys").json()
    return found


def hire(node: NodeProcess, company: Organisation, count: int, name: str = "robot") -> None:
    for number in range(count):
        body = {"user_name": f"{name}{number}", "display_name": "Bender"}
        ask(node, "POST", f"/v1/tenants/{company.ids['tenant']}/users", body)


def flip(database: Path, tenant: str, position: int) -> None:
    """One bit of the stored bytes of an event, in their middle."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        (number,) = connection.execute("SELECT number FROM tenants WHERE tenant = ?", (tenant,)).fetchone()
        of = "FROM events WHERE tenant = ? AND position = ?"
        (stored,) = connection.execute(f"SELECT stored {of}", (number, position)).fetchone()
        middle = len(stored) - 3
        changed = stored[:middle] + bytes((stored[middle] ^ 1,)) + stored[middle + 1 :]
        connection.execute(
            "UPDATE events SET stored = ? WHERE tenant = ? AND position = ?", (changed, number, position)
        )
        connection.commit()


class TestRewriting:
    def test_an_event_of_an_embedded_ledger(self, node: NodeProcess) -> None:
        company = organisation(node, "Planet Express")
        tenant = company.ids["tenant"]
        hire(node, company, 3)
        checkpoint(node)
        assert verify(node, tenant)["holds"]
        assert ask(node, "POST", "/v1/node/verify")["holds"]
        flip(node.data / "ledger.db", tenant, 7)
        found = verify(node, tenant)
        assert not found["holds"]
        assert found["problem"].startswith("position 7 is not what it was")
        assert not ask(node, "POST", "/v1/node/verify")["holds"]

    def test_an_event_that_no_checkpoint_covers_gets_none(self, node: NodeProcess) -> None:
        company = organisation(node, "Planet Express")
        tenant = company.ids["tenant"]
        checkpoint(node)
        head = ask(node, "GET", f"/v1/tenants/{tenant}/evidence/checkpoint")["size"]
        hire(node, company, 2)
        flip(node.data / "ledger.db", tenant, head + 2)
        made = checkpoint(node)
        assert f"after position {head}" in made["wrong"][tenant] or f"position {head + 2}" in made["wrong"][tenant]
        assert ask(node, "GET", f"/v1/tenants/{tenant}/evidence/checkpoint")["size"] == head
        assert not verify(node, tenant)["holds"]

    def test_the_deployments_log(self, node: NodeProcess) -> None:
        company = organisation(node, "Planet Express")
        checkpoint(node)
        hire(node, company, 1)
        checkpoint(node)
        with closing(sqlite3.connect(node.data / "checkpoints.db", timeout=30)) as connection:
            (root,) = connection.execute("SELECT root FROM heads WHERE leaf = 1").fetchone()
            connection.execute("UPDATE heads SET root = ? WHERE leaf = 1", (bytes((root[0] ^ 1,)) + root[1:],))
            connection.commit()
        found = ask(node, "POST", "/v1/node/verify")
        assert not found["holds"]
        assert "leaf 1 is not the head of" in found["problem"]
        assert "at position" in found["problem"]


class TestWitnesses:
    def test_one_that_is_up_signs_and_one_that_is_down_stops_nothing(self, node: NodeProcess) -> None:
        company = organisation(node, "Planet Express")
        witness = Witness("witness.example/w1")
        down = Witness("witness.example/down")
        found = keys_of(node)
        witness.logs[found["origin"]] = [parse_key(each["vkey"]) for each in found["keys"]]
        with witnessing(witness) as url:
            body = {"url": url, "vkey": witness.key.text}
            added = ask(node, "POST", "/v1/evidence/witnesses", body)["id"]
            ask(node, "POST", "/v1/evidence/witnesses", {"url": "http://127.0.0.1:9/", "vkey": down.key.text})
            with node.client() as operator:
                assert operator.post("/v1/evidence/witnesses", json=body).status_code == 409
                for wrong in (
                    {**body, "url": "ftp://x"},
                    {**body, "vkey": found["keys"][0]["vkey"]},
                    {**body, "vkey": "x"},
                ):
                    assert operator.post("/v1/evidence/witnesses", json=wrong).status_code == 422
            for number in range(3):
                hire(node, company, 1, f"robot{number}.")
                made = checkpoint(node)
                assert made["made"]
                address = f"{node.url}/v1/evidence/log/checkpoint"

                def cosigned() -> Any:
                    opened = open_note(httpx.get(address).content, self.trusted(node), verifies)  # noqa: B023
                    return witness.key in [each.key for each in opened.by] and opened.text

                text = until(cosigned, "the cosignature")
                assert parse_checkpoint(text).size == made["size"]

            def standing() -> dict[str, Any]:
                items = ask(node, "GET", "/v1/evidence/witnesses")["items"]
                return {each["vkey"]: each for each in items}

            until(lambda: standing()[down.key.text]["problem"], "it is told that one is down")
            assert "can't be reached" in standing()[down.key.text]["problem"]
            assert standing()[witness.key.text]["problem"] is None
            assert ask(node, "DELETE", f"/v1/evidence/witnesses/{added}")["changed"]
            assert witness.key.text not in standing()
        with node.client() as operator:
            tenant = company.ids["tenant"]
            bundle = operator.get(f"/v1/tenants/{tenant}/evidence/bundle", params={"position": 2}).content
        trusted = [*self.trusted(node), witness.key]
        assert verify_bundle(bundle, trusted, verifies, witnesses=1).events

    def trusted(self, node: NodeProcess) -> list[Any]:
        found = keys_of(node)
        return [parse_key(each["vkey"]) for each in (*found["keys"], *found["witnesses"])]


def test_a_restored_node_goes_on_under_another_origin(tmp_path: Path) -> None:
    with running_node(tmp_path / "data", environment=QUIET) as node:
        company = organisation(node, "Planet Express")
        first = checkpoint(node)
        backup = CliRunner().invoke(
            app, ["backup", str(tmp_path / "backup"), "--url", node.url, "--key", node.operator_key]
        )
        assert backup.exit_code == 0, backup.output
        hire(node, company, 2)
        lost = checkpoint(node)  # others may have seen it
        before = keys_of(node)
    (tmp_path / "restored").mkdir()
    (tmp_path / "restored" / "root.key").write_text((tmp_path / "data" / "root.key").read_text())
    done = CliRunner().invoke(app, ["restore", str(tmp_path / "backup"), "--data", str(tmp_path / "restored")])
    assert done.exit_code == 0, done.output
    with running_node(tmp_path / "restored", environment=QUIET) as node:
        after = keys_of(node)
        assert after["origin"] != before["origin"]
        hire(node, company, 1)
        made = checkpoint(node)
        assert made["wrong"] == {}
        told = [parse_checkpoint(each["note"].split("\n\n")[0] + "\n") for each in (first, lost, made)]
        assert told[1].origin == told[0].origin == before["origin"]
        assert (told[2].origin, told[2].size > told[0].size) == (after["origin"], True)
        assert ask(node, "POST", "/v1/node/verify")["holds"]  # the older checkpoints are there, and hold
        assert verify(node, company.ids["tenant"])["holds"]
        with node.client() as operator:
            tenant = company.ids["tenant"]
            bundle = operator.get(f"/v1/tenants/{tenant}/evidence/bundle", params={"position": [1, 2]}).content
        assert verify_bundle(bundle, [parse_key(each["vkey"]) for each in after["keys"]], verifies).events


def test_nodes_on_kafka(kafka: Brokers, empty_database: str, tmp_path: Path) -> None:
    settings = {**settings_of(kafka.servers, fresh_prefix(), empty_database, partitions=2), **QUIET}
    with deployment(tmp_path, settings, 2) as nodes:
        company = organisation(nodes[0], "Planet Express")
        tenant = company.ids["tenant"]
        hire(nodes[1], company, 2)
        made = checkpoint(nodes[0])  # whichever of them makes it
        hire(nodes[0], company, 1, "more")
        made = checkpoint(nodes[1])
        assert (made["made"], made["wrong"]) == (True, {})
        for node in nodes:
            address = f"{node.url}/v1/evidence/log/checkpoint"
            until(lambda: httpx.get(address).text == made["note"], "every node has read it")  # noqa: B023
            trusted = [parse_key(each["vkey"]) for each in keys_of(node)["keys"]]
            with node.client() as operator:
                asked = {"tag": f"user:{company.ids['user']}"}
                bundle = operator.get(f"/v1/tenants/{tenant}/evidence/bundle", params=asked)
            assert bundle.status_code == 200, bundle.text
            proved = verify_bundle(bundle.content, trusted, verifies)
            assert proved.answer is not None
            assert proved.answer.matching == len(proved.events) > 0
            assert verify(node, tenant)["holds"]
            assert ask(node, "POST", "/v1/node/verify")["holds"]
        index = next(each for each in (nodes[0].data / "indexes").glob("[0-9].db") if holds(each, tenant))
        flip(index, tenant, 5)
        found = verify(nodes[0], tenant)
        assert not found["holds"]
        assert found["problem"].startswith("position 5 is not what it was")
        assert verify(nodes[1], tenant)["holds"]


def holds(index: Path, tenant: str) -> bool:
    """Whether a partition has a tenant."""
    with closing(sqlite3.connect(index)) as connection:
        return connection.execute("SELECT 1 FROM tenants WHERE tenant = ?", (tenant,)).fetchone() is not None
