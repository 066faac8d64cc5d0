"""`muniment verify --bundle`: with a file and a public key alone, it says what is proved, or where it fails."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli.commands import app
from api.cli.printing import Failed
from domain.evidence.heads import Head
from tests.domain.evidence.deployment import ORIGIN, small
from tests.domain.evidence.signing import Signer
from tests.e2e.commands import attempt
from tests.evidence_vectors import FOLDER

VKEYS = FOLDER / "bundle.vkey"
LOG, WITNESS = VKEYS.read_text().split()
BUNDLE, COMPLETE = FOLDER / "bundle.muniment.json", FOLDER / "complete.muniment.json"


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, no settings."""

    def refuse(*anything: object, **more: object) -> None:
        raise AssertionError("a verifier that is offline asked somebody")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in ("MUNIMENT_VKEY", "MUNIMENT_URL", "MUNIMENT_DATA", "MUNIMENT_OPERATOR_KEY"):
        monkeypatch.delenv(name, raising=False)


def verify(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, words)], env={"COLUMNS": "200"})


def changed(folder: Path, file: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    parts = json.loads(file.read_text())
    change(parts)
    made = folder / "changed.muniment.json"
    made.write_text(json.dumps(parts))
    return made


def test_it_says_what_is_proved() -> None:
    done = verify("--bundle", BUNDLE, "--vkey", LOG)
    assert done.exit_code == 0
    for said in ("holds", ORIGIN, "ten_acme, 40 events", "proved     3 events", "MemberAdded", "event-7"):
        assert said in done.output


def test_it_says_that_these_are_all() -> None:
    done = verify("--bundle", COMPLETE, "--vkey", VKEYS, "--witnesses", "1")
    assert done.exit_code == 0
    for said in ("7 events with user:a", "10 to 30", "13 with it among the first 40 events", "witness.example at 2023"):
        assert said in done.output


def test_scripts_get_all_of_it() -> None:
    done = verify("--bundle", BUNDLE, "-b", COMPLETE, "--vkey", LOG, "--vkey", WITNESS, "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["holds"]
    one, other = found["bundles"]
    assert [each["position"] for each in one["events"]] == [1, 7, 40]
    assert [each["name"] for each in one["signed_by"]] == [ORIGIN, "witness.example"]
    assert one["complete"] is None
    assert other["complete"] == {
        "tag": "user:a",
        "by": "position",
        "first": 10,
        "last": 30,
        "matching": 7,
        "total": 13,
        "last_position": 38,
    }


@pytest.mark.parametrize(
    ("change", "step", "position"),
    [
        (lambda b: b.update(checkpoint=b["checkpoint"].replace("\n3\n", "\n4\n")), "signature", None),
        (lambda b: b["head"].update(tenant="ten_other"), "head", None),
        (lambda b: b["events"][2].update(stored=b["events"][1]["stored"]), "position", 17),
        (lambda b: b["events"].pop(2), "completeness", None),
        (lambda b: b.update(format="another"), "bundle", None),
    ],
)
def test_it_names_the_step_and_the_position(
    change: Callable[[dict[str, Any]], object], step: str, position: int | None, tmp_path: Path
) -> None:
    file = changed(tmp_path, COMPLETE, change)
    done = verify("--bundle", file, "--vkey", LOG)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: {file}: {step}")
    again = verify("--bundle", file, "--vkey", LOG, "--json")
    assert again.exit_code == 1
    told = json.loads(again.stdout)
    assert not told["holds"]
    assert (told["bundles"][0]["step"], told["bundles"][0]["position"]) == (step, position)


def test_one_that_fails_is_enough(tmp_path: Path) -> None:
    file = changed(tmp_path, BUNDLE, lambda b: b["events"].reverse())
    done = verify("--bundle", BUNDLE, "--bundle", file, "--vkey", LOG)
    assert done.exit_code == 1
    assert f"{BUNDLE} holds" in done.stdout
    assert "position 7: the events are out of order" in done.stderr


def test_what_a_bundle_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    file = changed(tmp_path, BUNDLE, lambda b: b.update({"\x1b]0;mine\x07": 1}))
    done = verify("--bundle", file, "--vkey", LOG)
    assert done.exit_code == 1
    assert "\x1b" not in done.output
    deployment, _, _, _ = small()
    head = Head("ten_\x1b[2J", 0, bytes(32), bytes(32), bytes(32))
    (tmp_path / "steers.muniment.json").write_bytes(deployment.bundle(head, deployment.add(head), []))
    done = verify("--bundle", tmp_path / "steers.muniment.json", "--vkey", LOG)
    assert done.exit_code == 0
    assert "\x1b[2J" not in done.output


@pytest.mark.parametrize(
    ("vkeys", "said"),
    [
        ([], "name the log's public key with --vkey"),
        (["--vkey", "nowhere"], "--vkey is a public key"),
        (["--vkey", "name+00000000+AAAA"], "a public key is written name"),
        (["--vkey", LOG[:-1] + "B"], "its name and key"),
    ],
)
def test_without_a_key_nothing_is_proved(vkeys: list[str], said: str) -> None:
    done = verify("--bundle", BUNDLE, *vkeys)
    assert isinstance(done.exception, Failed)
    assert said in str(done.exception)


def test_a_file_of_keys_may_say_whose_they_are(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# the log\n{LOG}\n\n# a witness\n{WITNESS}\n")
    assert verify("--bundle", BUNDLE, "--vkey", tmp_path / "keys", "--witnesses", "1").exit_code == 0
    (tmp_path / "keys").write_text("# nobody\n")
    assert isinstance(verify("--bundle", BUNDLE, "--vkey", tmp_path / "keys").exception, Failed)


def test_another_key_or_too_few_witnesses_are_not_enough() -> None:
    done = verify("--bundle", BUNDLE, "--vkey", Signer("other.example").key.text)
    assert done.exit_code == 1
    assert "no key that is trusted signed the note" in done.stderr
    done = verify("--bundle", BUNDLE, "--vkey", LOG, "--witnesses", "1")
    assert done.exit_code == 1
    assert "0 trusted witnesses signed the checkpoint, and 1 are needed" in done.stderr


def test_an_event_of_a_later_version_is_told_by_its_schema(tmp_path: Path) -> None:
    deployment, history, _, _ = small()
    history.keep(history.stored[0][:1] + b"\x7f\xff\xff\xff" + history.stored[0][5:].replace(b"\x02", b"\x52", 1), {})
    head = history.head()
    (tmp_path / "later.muniment.json").write_bytes(deployment.bundle(head, deployment.add(head), [history.proof(41)]))
    done = verify("--bundle", tmp_path / "later.muniment.json", "--vkey", LOG, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["bundles"][0]["events"][0]["type"] == f"schema {0x7FFFFFFF}"


def test_the_program_itself_needs_nothing_else(tmp_path: Path) -> None:
    done = attempt("verify", "--bundle", str(BUNDLE), extra={"MUNIMENT_VKEY": LOG})
    assert (done.returncode, done.stderr) == (0, "")
    assert "holds" in done.stdout
    gone = attempt("verify", "--bundle", str(tmp_path / "gone"), "--vkey", LOG)
    assert gone.returncode == 1
    assert gone.stderr.startswith("Error: No such file")
