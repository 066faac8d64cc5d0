"""The command line: the same doors for people and for scripts, and one sentence where something can't be done."""

import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import attempt, environment, muniment, refused
from tests.node import NodeProcess, running_node

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("commands") / "data") as node:
        yield node


@pytest.fixture(scope="module")
def tenant(node: NodeProcess) -> str:
    return str(muniment("tenant", "create", "Planet Express", "--data", str(node.data))["id"])


def test_a_node_says_one_line_when_it_is_ready_to_answer(node: NodeProcess) -> None:
    with node.client() as client:
        assert client.get("/readyz").json()["status"] == "ready"
    assert (node.data / "node.url").read_text() == node.url + "\n"
    assert (node.data / "operator.key").read_text().strip() == node.operator_key


def test_tenants_are_made_listed_suspended_resumed_and_deleted(node: NodeProcess) -> None:
    data = ("--data", str(node.data))
    tenant = muniment("tenant", "create", "MomCorp", "--region", "us", *data)
    assert (tenant["name"], tenant["life"], tenant["region"]) == ("MomCorp", "active", "us")

    def life() -> str | None:
        return {each["id"]: each["life"] for each in muniment("tenant", "list", *data)["tenants"]}.get(tenant["id"])

    assert life() == "active"
    assert muniment("tenant", "suspend", tenant["id"], "--reason", "an audit", *data)["changed"]
    assert life() == "suspended"
    assert muniment("tenant", "resume", tenant["id"], *data)["changed"]
    assert life() == "active"
    assert muniment("tenant", "delete", tenant["id"], "--yes", *data)["changed"]
    assert life() is None


def test_a_directory_is_told_with_its_scim_address_and_token(node: NodeProcess, tenant: str) -> None:
    made = muniment("directory", "create", "--tenant", tenant, "--name", "Okta", "--data", str(node.data))
    with node.client(made["token"]) as client:
        assert client.get(made["scim_url"] + "/Users").json()["totalResults"] == 0
    listed = muniment("directory", "list", "--tenant", tenant, "--data", str(node.data))["directories"]
    assert made["id"] in {each["id"] for each in listed}


def test_the_address_and_key_of_the_environment_are_enough(node: NodeProcess, tenant: str) -> None:
    settings = {"MUNIMENT_URL": node.url, "MUNIMENT_OPERATOR_KEY": node.operator_key}
    assert tenant in {each["id"] for each in muniment("tenant", "list", extra=settings)["tenants"]}


def test_what_is_said_goes_before_the_environment(node: NodeProcess) -> None:
    settings = {"MUNIMENT_URL": "http://127.0.0.1:9", "MUNIMENT_OPERATOR_KEY": node.operator_key}
    assert "no node answers at http://127.0.0.1:9" in refused("tenant", "list", extra=settings)
    assert muniment("tenant", "list", "--url", node.url, extra=settings)


def test_what_the_node_refuses_is_one_sentence(node: NodeProcess, tenant: str) -> None:
    said = refused("tenant", "create", "planet express", "--data", str(node.data))
    assert "name" in said
    assert "valid key" in refused("tenant", "list", "--url", node.url, "--key", "mun_opr_wrong")
    assert "does not exist" in refused("replay", "as-of", "1", "-t", "ten_" + 32 * "0", "--data", str(node.data))


def test_wrong_usage_is_told_from_what_fails(node: NodeProcess, tenant: str) -> None:
    assert attempt("tenant", "create").returncode == 2
    assert attempt("replay", "as-of", "1", "starships", "-t", tenant, "--data", str(node.data)).returncode == 2


def test_the_help_says_how_a_command_is_used() -> None:
    for words in ((), ("serve",), ("restore",)):
        run = attempt(*words, "--help")
        assert run.returncode == 0
        assert "Usage:" in run.stdout


def test_a_folder_without_a_node_is_said_to_have_none(tmp_path: Path) -> None:
    assert "no node runs on" in refused("tenant", "list", "--data", str(tmp_path))
    assert "no node's data folder" in refused("verify", "--data", str(tmp_path))


def test_a_second_node_on_a_folder_is_told_so(node: NodeProcess) -> None:
    assert "another process has this data folder open" in refused("serve", "--data", str(node.data), "--port", "0")


def test_a_port_that_is_taken_is_said(node: NodeProcess, tmp_path: Path) -> None:
    port = node.url.rpartition(":")[2]
    assert f"port {port} of 127.0.0.1 can't be used" in refused("serve", "--data", str(tmp_path / "d"), "--port", port)
    assert not (tmp_path / "d").exists()


def test_a_configuration_error_says_what_to_set(tmp_path: Path) -> None:
    said = refused("serve", "--data", str(tmp_path), "--port", "0", extra={"MUNIMENT_ROOT_KEY": "short"})
    assert "openssl rand -hex 32" in said
    assert "MUNIMENT_PORT" in refused("serve", "--data", str(tmp_path), extra={"MUNIMENT_PORT": "many"})


def test_the_operators_key_is_replaced(tmp_path: Path) -> None:
    with running_node(tmp_path / "data") as node:
        data = ("--data", str(node.data))
        made = muniment("operator", "rotate", *data)["operator_key"]
        assert made != node.operator_key
        assert (node.data / "operator.key").read_text().strip() == made
        with node.client() as former, node.client(made) as client:
            assert former.get("/v1/tenants").status_code == 401
            assert client.get("/v1/tenants").status_code == 200
        assert muniment("tenant", "list", *data) == {"tenants": []}
    with running_node(tmp_path / "data") as again:
        assert again.operator_key == made


def test_views_are_rebuilt_beside_the_live_ones(node: NodeProcess, tenant: str) -> None:
    data = ("--data", str(node.data))
    assert muniment("replay", "rebuild", *data)["rebuilt"]
    assert muniment("verify", *data)["holds"]


def test_the_doctor_finds_a_running_node_well(node: NodeProcess) -> None:
    found = muniment("doctor", "--data", str(node.data))
    assert found["healthy"]
    by_name = {each["about"]: each for each in found["findings"]}
    assert by_name["node"]["found"] == f"ready at {node.url}"
    assert by_name["root key"]["state"] == "warning"
    assert {by_name[each]["state"] for each in ("ledger", "tail file", "clock", "modes", "format")} == {"ok"}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a node that was stopped at the terminal, and a tenant of it with two users."""
    with running_node(tmp_path_factory.mktemp("stopped") / "data") as node:
        tenant = str(muniment("tenant", "create", "DOOP", "--data", str(node.data))["id"])
        with node.client() as client:
            for name in ("zapp", "kif"):
                assert client.post(f"/v1/tenants/{tenant}/users", json={"user_name": name}).status_code == 201
        node.process.send_signal(signal.SIGINT)
        assert node.stop() == 0
    assert not (node.data / "node.url").exists()
    return node.data, tenant


def test_a_folder_whose_node_stopped_is_read_all_the_same(stopped: tuple[Path, str]) -> None:
    folder, tenant = stopped
    data = ("--tenant", tenant, "--data", str(folder))
    then = muniment("replay", "as-of", "2", "users", *data)
    assert [each["user_name"] for each in then["users"]] == ["zapp"]
    came = muniment("replay", "diff", "2", *data)["items"]
    assert [each["after"]["values"]["user_name"] for each in came] == ["kif"]
    assert muniment("verify", *data)["holds"]
    assert muniment("replay", "rebuild", "--data", str(folder))["rebuilt"]


def test_the_doctor_says_what_is_wrong_and_what_to_do(stopped: tuple[Path, str], tmp_path: Path) -> None:
    assert muniment("doctor", "--data", str(stopped[0]))["healthy"]
    for file in ("ledger.db", "root.key"):
        shutil.copy2(stopped[0] / file, tmp_path / file)
    tmp_path.chmod(0o755)
    run = attempt("doctor", "--data", str(tmp_path), "--json", extra={"MUNIMENT_ROOT_KEY": "ab" * 32})
    assert run.returncode == 1
    wrong = {each["about"]: each for each in json.loads(run.stdout)["findings"] if each["state"] == "wrong"}
    assert wrong.keys() == {"modes", "tail file", "root key"}
    assert wrong["modes"]["do"] == f"chmod go= {tmp_path}"
    assert "MUNIMENT_ROOT_KEY" in wrong["root key"]["do"]


def test_a_node_with_another_root_key_refuses_to_start(stopped: tuple[Path, str]) -> None:
    wrong = {"MUNIMENT_ROOT_KEY": "ab" * 32}
    said = refused("serve", "--data", str(stopped[0]), "--port", "0", extra=wrong)
    assert "the root key does not open this data folder" in said


def test_a_file_that_is_no_ledger_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"nothing of the kind" * 400)
    (tmp_path / "root.key").write_text("ab" * 32)
    assert "restore the newest backup" in refused("serve", "--data", str(tmp_path), "--port", "0")


class TestBackup:
    """A backup taken beside a running node, and a folder made of it."""

    def test_a_restored_folder_answers_as_the_node_did(self, node: NodeProcess, tenant: str, tmp_path: Path) -> None:
        with node.client() as client:
            client.post(f"/v1/tenants/{tenant}/users", json={"user_name": "nibbler"})
        told = muniment("backup", str(tmp_path / "backup"), "--data", str(node.data))
        muniment("restore", str(tmp_path / "backup"), "--data", str(_folder(tmp_path, node)))
        data = ("--data", str(tmp_path / "restored"))
        verified = muniment("verify", *data)
        assert verified["holds"]
        assert verified["log"]["sequence"] >= told["events"]
        left_behind = tmp_path / "restored" / "backup.unfinished"
        shutil.copytree(tmp_path / "backup", left_behind)
        with running_node(tmp_path / "restored") as restored, restored.client() as client:
            assert not left_behind.exists()
            found = client.get(f"/v1/tenants/{tenant}/users", params={"user_name": "nibbler"}).json()
        assert len(found["items"]) == 1

    def test_a_backup_holds_no_key_that_opens_it(self, node: NodeProcess, tmp_path: Path) -> None:
        muniment("backup", str(tmp_path / "backup"), "--data", str(node.data))
        files = {"checkpoints.db", "ledger.db", "manifest.json"}
        assert {each.name for each in (tmp_path / "backup").iterdir()} == files
        for file in (tmp_path / "backup").iterdir():
            assert (node.data / "root.key").read_text().strip().encode() not in file.read_bytes()
        said = refused("restore", str(tmp_path / "backup"), "--data", str(tmp_path / "restored"))
        assert "MUNIMENT_ROOT_KEY" in said
        wrong = {"MUNIMENT_ROOT_KEY": "cd" * 32}
        said = refused("restore", str(tmp_path / "backup"), "--data", str(tmp_path / "restored"), extra=wrong)
        assert "does not open" in said
        assert list((tmp_path / "restored").iterdir()) == []

    def test_a_node_far_away_sends_its_backup(self, node: NodeProcess, tmp_path: Path) -> None:
        settings = {"MUNIMENT_OPERATOR_KEY": node.operator_key}
        told = muniment("backup", str(tmp_path / "backup"), "--url", node.url, extra=settings)
        assert not (node.data / "backup.unfinished").exists()
        restored = muniment("restore", str(tmp_path / "backup"), "--data", str(_folder(tmp_path, node)))
        assert restored["chain"] == told["chain"]

    def test_a_folder_that_holds_anything_is_not_restored_into(self, node: NodeProcess, tmp_path: Path) -> None:
        muniment("backup", str(tmp_path / "backup"), "--data", str(node.data))
        assert "not empty" in refused("restore", str(tmp_path / "backup"), "--data", str(node.data))
        assert "exists already" in refused("backup", str(tmp_path / "backup"), "--data", str(node.data))

    def test_who_was_erased_since_stays_erased(self, node: NodeProcess, tenant: str, tmp_path: Path) -> None:
        with node.client() as client:
            user = client.post(f"/v1/tenants/{tenant}/users", json={"user_name": "seymour"}).json()["id"]
            muniment("backup", str(tmp_path / "backup"), "--data", str(node.data))
            assert client.post(f"/v1/tenants/{tenant}/users/{user}/erase").json()["done"]
        folder = _folder(tmp_path, node)
        told = muniment("restore", str(tmp_path / "backup"), "--data", str(folder), "--erasures-from", str(node.data))
        assert told["erased_again"] == 1
        exported = muniment("person", "export", user, "--tenant", tenant, "--data", str(folder))
        assert exported["user"] is None
        assert exported["history"][-1]["type"] == "SubjectErased"
        assert "seymour" not in json.dumps(exported)
        keys = sqlite3.connect(folder / "ledger.db").execute("SELECT wrapped FROM data_keys WHERE subject = ?", (user,))
        assert all(not any(wrapped) for (wrapped,) in keys)

    def test_erasures_can_be_listed_in_a_file(self, node: NodeProcess, tenant: str, tmp_path: Path) -> None:
        with node.client() as client:
            user = client.post(f"/v1/tenants/{tenant}/users", json={"user_name": "hedonism bot"}).json()["id"]
        muniment("backup", str(tmp_path / "backup"), "--data", str(node.data))
        listed = tmp_path / "erased.txt"
        listed.write_text(f"{tenant} {user}\n")
        told = muniment(
            "restore", str(tmp_path / "backup"), "--data", str(_folder(tmp_path, node)), "--erasures-from", str(listed)
        )
        assert told["erased_again"] == 1

    def test_without_a_list_the_command_says_who_is_not_erased(self, node: NodeProcess, tmp_path: Path) -> None:
        muniment("backup", str(tmp_path / "backup"), "--data", str(node.data))
        run = attempt("restore", str(tmp_path / "backup"), "--data", str(_folder(tmp_path, node)))
        assert run.returncode == 0
        assert "--erasures-from" in run.stderr


def _folder(tmp_path: Path, node: NodeProcess) -> Path:
    """An empty folder with the node's root key in it."""
    folder = tmp_path / "restored"
    folder.mkdir(mode=0o700)
    (folder / "root.key").write_text((node.data / "root.key").read_text())
    (folder / "root.key").chmod(0o600)
    return folder


def test_a_persons_export_goes_into_a_new_file_for_its_owner_alone(
    node: NodeProcess, tenant: str, tmp_path: Path
) -> None:
    with node.client() as client:
        user = client.post(f"/v1/tenants/{tenant}/users", json={"user_name": "calculon"}).json()["id"]
    words = ("person", "export", user, "--tenant", tenant, "--into", str(tmp_path / "person.json"))
    assert muniment(*words, "--data", str(node.data))["lines_of_history"] == 1
    assert (tmp_path / "person.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "person.json").read_text())["user"]["user_name"] == "calculon"
    assert "exists already" in refused(*words, "--data", str(node.data))


def test_a_node_told_to_stop_while_it_starts_leaves_nothing_running(tmp_path: Path) -> None:
    command = ["muniment", "serve", "--data", str(tmp_path / "data"), "--port", "0", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), start_new_session=True
    )
    while not (tmp_path / "data" / "ledger.db").exists():
        assert process.poll() is None
    process.terminate()
    process.communicate()
    with running_node(tmp_path / "data") as node:
        assert node.url
