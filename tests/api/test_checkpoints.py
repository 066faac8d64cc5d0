"""Checkpoints of a running node: an event, a checkpoint over it, a bundle, and what a stranger makes of them."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from adapters.evidence.signing import verifies
from api.cli.commands import app
from domain.evidence.bundles import BundleWrong, Verified, verify_bundle
from domain.evidence.checkpoints import Checkpoint, parse_checkpoint
from domain.evidence.notes import COSIGNATURE, PublicKey, open_note, parse_key
from domain.evidence.proofs import verify_consistency, verify_inclusion
from domain.evidence.tiles import parse_entries
from domain.evidence.tree import leaf_hash
from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess, running_node, until

pytestmark = pytest.mark.timeout(400)

QUIET = {"MUNIMENT_CHECKPOINT_SECONDS": "0"}
"""Checkpoints are made when a test asks for one."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("office") / "data", environment=QUIET) as running:
        yield running


@pytest.fixture(scope="module")
def company(office: NodeProcess) -> Organisation:
    return organisation(office, "Planet Express")


@pytest.fixture
def operator(office: NodeProcess) -> Iterator[httpx.Client]:
    with office.client() as client:
        yield client


@pytest.fixture
def client(office: NodeProcess, company: Organisation) -> Iterator[httpx.Client]:
    with office.client(company.key) as speaking:
        speaking.base_url = f"{office.url}/v1/tenants/{company.ids['tenant']}"
        yield speaking


def hired(client: httpx.Client, name: str) -> tuple[str, int]:
    """Somebody comes: the id, and the position."""
    made = client.post("/users", json={"user_name": name, "display_name": "Philip J. Fry"})
    made.raise_for_status()
    return made.json()["id"], int(made.json()["since"])


def checkpoint(operator: httpx.Client) -> dict[str, Any]:
    made = operator.post("/v1/evidence/checkpoint")
    assert made.status_code == 200, made.text
    found: dict[str, Any] = made.json()
    assert found["wrong"] == {}
    return found


def keys_of(office: NodeProcess) -> list[PublicKey]:
    """As anybody may ask for them."""
    found = httpx.get(f"{office.url}/v1/evidence/keys").json()
    return [parse_key(each["vkey"]) for each in (*found["keys"], *found["witnesses"])]


def verified(office: NodeProcess, bundle: bytes) -> Verified:
    return verify_bundle(bundle, keys_of(office), verifies)


def hashes(told: list[str]) -> list[bytes]:
    return [base64.b64decode(each) for each in told]


def signed(office: NodeProcess, note: bytes) -> Checkpoint:
    return parse_checkpoint(open_note(note, keys_of(office), verifies).text)


class TestBundles:
    def test_an_event_is_proved_to_whoever_has_the_public_key(
        self, office: NodeProcess, operator: httpx.Client, client: httpx.Client, company: Organisation
    ) -> None:
        _, position = hired(client, "fry")
        assert client.get("/evidence/bundle", params={"position": position}).status_code == 409
        made = checkpoint(operator)
        assert made["made"]
        answer = client.get("/evidence/bundle", params={"position": [position, 1]})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-disposition"].endswith('.muniment.json"')
        proved = verified(office, answer.content)
        assert [each.position for each in proved.events] == [1, position]
        assert (proved.head.tenant, proved.checkpoint.size) == (company.ids["tenant"], made["size"])
        whole = verified(office, client.get("/evidence/bundle", params={"from": 1, "to": position}).content)
        assert [each.position for each in whole.events] == list(range(1, position + 1))
        assert "tenant:" + company.ids["tenant"] in proved.events[0].stamp.nth

    def test_a_changed_bundle_proves_nothing(
        self, office: NodeProcess, operator: httpx.Client, client: httpx.Client
    ) -> None:
        _, position = hired(client, "zapp")
        checkpoint(operator)
        bundle = client.get("/evidence/bundle", params={"position": position}).content
        stored = verified(office, bundle).events[0].stored
        changed = stored[:-1] + bytes((stored[-1] ^ 1,))
        forged = bundle.replace(base64.b64encode(stored), base64.b64encode(changed))
        assert forged != bundle
        with pytest.raises(BundleWrong, match=f"position {position}"):
            verified(office, forged)

    def test_all_events_of_a_person_are_proved_to_be_all(
        self, office: NodeProcess, operator: httpx.Client, client: httpx.Client
    ) -> None:
        user, first = hired(client, "leela")
        for name in ("Turanga", "Captain", "Leela"):
            client.patch(f"/users/{user}", json={"display_name": name}).raise_for_status()
            hired(client, f"{name.lower()}.friend")
        last = int(client.get(f"/users/{user}").json()["since"])
        checkpoint(operator)
        asked = {"tag": f"user:{user}"}
        whole = verified(office, client.get("/evidence/bundle", params=asked).content)
        assert whole.answer is not None
        assert (whole.answer.matching, whole.answer.total) == (len(whole.events), len(whole.events))
        assert len(whole.events) >= 4
        part = client.get("/evidence/bundle", params={**asked, "from": first + 1, "to": last - 1}).content
        within = verified(office, part)
        assert within.answer is not None
        assert {each.position for each in within.events} < {each.position for each in whole.events}
        assert within.answer.total == whole.answer.total
        timed = verified(
            office, client.get("/evidence/bundle", params={**asked, "since": "2020-01-01T00:00:00Z"}).content
        )
        assert [each.position for each in timed.events] == [each.position for each in whole.events]
        nobody = verified(office, client.get("/evidence/bundle", params={"tag": "user:usr_nobody"}).content)
        assert nobody.answer is not None
        assert (nobody.answer.total, nobody.events) == (0, ())

    def test_what_is_asked_wrongly_is_refused(self, client: httpx.Client) -> None:
        wrong: tuple[dict[str, str | int], ...] = (
            {},
            {"position": 1, "tag": "user:x"},
            {"position": 1, "from": 1},
            {"from": 5, "to": 2},
            {"since": "2020-01-01T00:00:00Z"},
            {"tag": "user:x", "from": 9, "to": 2},
        )
        for asked in wrong:
            assert client.get("/evidence/bundle", params=asked).status_code == 422, asked
        assert client.get("/evidence/bundle", params={"position": 10**6}).status_code == 404
        assert client.get("/evidence/bundle", params={"tag": "user:x", "to": 10**6}).status_code == 404

    def test_another_tenants_key_gets_none(self, office: NodeProcess, company: Organisation) -> None:
        other = organisation(office, "Mom")
        with office.client(other.key) as stranger:
            base = f"/v1/tenants/{company.ids['tenant']}/evidence"
            for path in ("/bundle?position=1", "/checkpoint", "/inclusion?position=1", "/tile/0/000.p/1"):
                assert stranger.get(base + path).status_code == 404


class TestProofs:
    def test_inclusion_and_consistency(self, office: NodeProcess, operator: httpx.Client, client: httpx.Client) -> None:
        before = checkpoint(operator) and client.get("/evidence/checkpoint").json()
        for name in ("amy", "hermes", "kif"):
            hired(client, name)
        checkpoint(operator)
        head = client.get("/evidence/checkpoint").json()
        assert head["size"] > before["size"]
        for position in (1, before["size"], head["size"]):
            found = client.get("/evidence/inclusion", params={"position": position}).json()
            leaf, root = hashes([found["leaf"], found["root"]])
            verify_inclusion(leaf, position - 1, found["size"], hashes(found["proof"]), root)
            assert (found["size"], found["root"]) == (head["size"], head["root"])
        grown = client.get("/evidence/consistency", params={"from": before["size"], "to": head["size"]}).json()
        old, new = hashes([grown["from_root"], grown["to_root"]])
        verify_consistency(before["size"], old, head["size"], new, hashes(grown["proof"]))
        assert (grown["from_root"], grown["to_root"]) == (before["root"], head["root"])
        assert client.get("/evidence/inclusion", params={"position": 10**9}).status_code == 404
        assert client.get("/evidence/inclusion", params={"position": 5, "size": 2}).status_code == 422
        assert client.get("/evidence/consistency", params={"from": 5, "to": 2}).status_code == 422

    def test_tiles_are_the_tree(self, office: NodeProcess, operator: httpx.Client, client: httpx.Client) -> None:
        checkpoint(operator)
        head = client.get("/evidence/checkpoint").json()
        size = min(head["size"], 255)
        leaves = client.get(f"/evidence/tile/0/000.p/{size}").content
        entries = parse_entries(client.get(f"/evidence/tile/entries/000.p/{size}").content)
        assert leaves == b"".join(leaf_hash(each) for each in entries)
        last = signed(office, httpx.get(f"{office.url}/v1/evidence/log/checkpoint").content)
        tile = httpx.get(f"{office.url}/v1/evidence/log/tile/0/000.p/{last.size}")
        assert "immutable" in tile.headers["cache-control"]
        found = parse_entries(httpx.get(f"{office.url}/v1/evidence/log/tile/entries/000.p/{last.size}").content)
        assert tile.content == b"".join(leaf_hash(each) for each in found)
        assert {len(each) for each in found} == {32}
        for wrong in ("0/001", "0/000.p/256", "9/000", "entries/999", f"0/000.p/{last.size + 1}"):
            assert httpx.get(f"{office.url}/v1/evidence/log/tile/{wrong}").status_code == 404


class TestCheckpoints:
    def test_nothing_is_written_if_nothing_has_changed(self, operator: httpx.Client) -> None:
        made = [checkpoint(operator)]

        def again() -> bool:
            made.append(checkpoint(operator))
            return not made[-1]["made"]

        until(again, "a time in which nothing happens")
        assert (made[-1]["number"], made[-1]["note"]) == (made[-2]["number"], made[-2]["note"])

    def test_only_operators_make_them(self, office: NodeProcess, company: Organisation) -> None:
        with office.client(company.key) as client:
            assert client.post("/v1/evidence/checkpoint").status_code == 403
            assert client.post("/v1/evidence/keys/rotate", json={}).status_code == 403
            assert client.post("/v1/evidence/witnesses", json={"url": "https://a.b", "vkey": "x"}).status_code == 403
            assert client.get("/v1/evidence/witnesses").status_code == 403
        assert httpx.post(f"{office.url}/v1/evidence/checkpoint").status_code == 401

    def test_metrics_tell_age_and_size(self, office: NodeProcess, operator: httpx.Client) -> None:
        made = checkpoint(operator)
        told = dict(
            line.rsplit(" ", 1) for line in httpx.get(f"{office.url}/metrics").text.splitlines() if line[0] != "#"
        )
        assert float(told["muniment_checkpoint_leaves"]) == made["size"]
        assert 0 < float(told["muniment_checkpoint_age_seconds"]) < 600
        assert float(told["muniment_checkpoint_wrong_tenants"]) == 0

    def test_they_are_made_at_an_interval_and_after_a_restart(self, tmp_path: Path) -> None:
        often = {"MUNIMENT_CHECKPOINT_SECONDS": "1"}
        with running_node(tmp_path / "data", environment=often) as node:
            address = f"{node.url}/v1/evidence/log/checkpoint"
            first = until(lambda: (got := httpx.get(address)).status_code == 200 and got.content, "a checkpoint")
            keys = keys_of(node)
        with running_node(tmp_path / "data", environment=often) as node, node.client() as operator:
            assert keys_of(node) == keys
            operator.post("/v1/tenants", json={"name": "Mom"}).raise_for_status()
            before = signed(node, first)
            address = f"{node.url}/v1/evidence/log/checkpoint"
            until(lambda: signed(node, httpx.get(address).content).size > before.size, "a larger checkpoint")


class TestKeys:
    def test_a_rotation_overlaps_and_old_notes_stay_verifiable(
        self, office: NodeProcess, operator: httpx.Client, client: httpx.Client
    ) -> None:
        (old,) = keys_of(office)
        before = checkpoint(operator)["note"].encode()
        made = operator.post("/v1/evidence/keys/rotate", json={"overlap_seconds": 3600})
        assert made.status_code == 200, made.text
        new = parse_key(made.json()["vkey"])
        assert (new.name, new != old) == (old.name, True)
        hired(client, "bender")
        both = checkpoint(operator)["note"].encode()
        for trusted in ([old], [new], [old, new]):
            assert len(open_note(both, trusted, verifies).by) == len(trusted)
        listed = httpx.get(f"{office.url}/v1/evidence/keys").json()["keys"]
        assert [each["signs_until"] is None for each in listed] == [False, True]
        retired = operator.post(f"/v1/evidence/keys/{listed[0]['id']}/retire")
        assert retired.json()["changed"]
        assert operator.post(f"/v1/evidence/keys/{listed[1]['id']}/retire").status_code == 409
        hired(client, "flexo")
        alone = checkpoint(operator)["note"].encode()
        assert [each.key for each in open_note(alone, [old, new], verifies).by] == [new]
        assert [each.key for each in open_note(before, keys_of(office), verifies).by] == [old]

    def test_nobody_is_shown_a_private_key(self, operator: httpx.Client) -> None:
        found = operator.get("/v1/trail", params={"tenant": "_deployment", "unseal": "true"}).text
        assert "CheckpointKeyAdded" in found
        assert "checkpoint_key" in found


class TestCommands:
    def run(self, office: NodeProcess, *arguments: str) -> Result:
        door = ["--url", office.url, "--key", office.operator_key]
        return CliRunner().invoke(app, ["checkpoint", *arguments, *door])

    def test_a_bundle_is_fetched_and_verified(
        self, office: NodeProcess, client: httpx.Client, company: Organisation, tmp_path: Path
    ) -> None:
        _, position = hired(client, "nibbler")
        made = self.run(office, "make", "--json")
        assert made.exit_code == 0, made.output
        assert json.loads(made.stdout)["wrong"] == {}
        file = tmp_path / "nibbler.muniment.json"
        asked = ("bundle", str(file), "--tenant", company.ids["tenant"])
        assert self.run(office, *asked, "--position", str(position)).exit_code == 0
        assert "exists already" in str(self.run(office, *asked, "--position", "1").exception)
        assert "history ends" in str(
            self.run(office, *asked[:1], str(tmp_path / "b"), *asked[2:], "-p", "99999").exception
        )
        vkeys = json.loads(self.run(office, "keys", "--json").stdout)["keys"]
        trusted = [each for key in vkeys for each in ("--vkey", key["vkey"])]
        checked = CliRunner().invoke(app, ["verify", "--bundle", str(file), *trusted, "--json"])
        assert checked.exit_code == 0, checked.output
        assert json.loads(checked.stdout)["holds"]

    def test_keys_and_witnesses(self, office: NodeProcess) -> None:
        rotated = self.run(office, "rotate-key", "--overlap", "5", "--json")
        assert rotated.exit_code == 0, rotated.output
        assert json.loads(rotated.stdout)["vkey"] in self.run(office, "keys", "--json").stdout
        key = PublicKey("witness.example/w", COSIGNATURE, bytes(32))
        added = self.run(office, "add-witness", "http://127.0.0.1:9/", "--vkey", key.text, "--json")
        assert added.exit_code == 0, added.output
        id = json.loads(added.stdout)["id"]
        assert id in self.run(office, "witnesses", "--json").stdout
        assert json.loads(self.run(office, "remove-witness", id, "--json").stdout)["changed"]
        assert "begins with wit_" in str(self.run(office, "remove-witness", "x").exception)
