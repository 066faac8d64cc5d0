"""`muniment verify --bundle FOLDER`: an export's rows are what proven events say, cell by cell."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from adapters.avro.codec import decode_entry
from adapters.exports.job import FILES, Job
from api.cli.commands import app
from domain.ids import TenantId
from tests.domain.evidence.deployment import Deployment, History, small
from tests.domain.examples import EXAMPLES
from tests.golden import make

TENANT = TenantId("ten_acme")
DEPLOYMENT = Deployment()
VKEY = DEPLOYMENT.signer.key.text


def real_history() -> History:
    """An event of every kind, as the ledger keeps them."""
    history = History(TENANT)
    for event in EXAMPLES.values():
        tags = [f"actor:{make.META.actor_id}", *dict.fromkeys(event.subject_tags())]
        position = len(history.stored) + 1
        nth = {tag: history.counts.get(tag, (0, 0))[0] + 1 for tag in tags}
        history.keep(make.encode(event, make.META, position, history.instant(position), tags, [*nth.values()]), nth)
    return history


HISTORY = real_history()
HEAD = HISTORY.head()
LEAF = DEPLOYMENT.add(HEAD)
SIZE = len(HISTORY.stored)


def exported(folder: Path, format: str, positions: list[int] | None = None, proofs: bool = True) -> Path:
    """As a node writes it."""
    wanted = positions or list(range(1, SIZE + 1))
    job = Job(folder / format, format, 0)
    for start in range(0, len(wanted), 20):
        page = wanted[start : start + 20]
        job.write([decode_entry(TENANT, HISTORY.stored[each - 1]) for each in page], page[-1])
    job.close()
    if proofs:
        job.write_proofs(DEPLOYMENT.bundle(HEAD, LEAF, [HISTORY.proof(each) for each in wanted]))
    tree = {"size": HEAD.size, "root": HEAD.root.hex()}
    job.write_manifest({"tenant": TENANT, "format": format, "count": len(wanted), "tree": tree})
    return job.folder


def listed_again(folder: Path, change: Callable[[dict[str, Any]], object] = lambda manifest: None) -> None:
    """A manifest made to fit files that were changed."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for each in manifest["files"]:
        each["sha256"] = hashlib.sha256((folder / each["name"]).read_bytes()).hexdigest()
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def verify(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["verify", "--bundle", str(folder), "--vkey", VKEY, *more], env={"COLUMNS": "200"})


@pytest.mark.parametrize("format", FILES)
def test_every_row_of_every_format_is_what_the_ledger_holds(format: str, tmp_path: Path) -> None:
    done = verify(exported(tmp_path, format))
    assert done.exit_code == 0, done.output
    assert f"{SIZE} events, and that {format} says what they say" in done.output
    assert f"All {SIZE} events of {TENANT}: the tags, their numbers and counts hold" in done.output
    assert verify(exported(tmp_path / "some", format, [3, 4, 9])).exit_code == 0


def fails(folder: Path, said: str) -> None:
    done = verify(folder)
    assert done.exit_code == 1
    assert said in done.stderr
    assert json.loads(verify(folder, "--json").stdout)["bundles"][0]["step"] == "export"


@pytest.mark.parametrize("format", ["csv", "ndjson", "ocsf"])
def test_a_changed_word_is_found_with_its_row_and_position(format: str, tmp_path: Path) -> None:
    folder = exported(tmp_path, format)
    file = folder / FILES[format][0]
    lines = file.read_bytes().split(b"\n")
    at = 6 if format != "csv" else 7
    assert b"users:manage" in lines[at]
    lines[at] = lines[at].replace(b"users:manage", b"users:remove")
    file.write_bytes(b"\n".join(lines))
    fails(folder, f"{file.name} is not the file that manifest.json lists")
    listed_again(folder)
    fails(folder, f"row 7 of {file.name}, position 7, says another")


def test_a_changed_cell_of_parquet_is_found(tmp_path: Path) -> None:
    folder = exported(tmp_path, "parquet")
    table = pq.read_table(folder / "events.parquet")
    actors = table["actor_id"].to_pylist()
    actors[4] = "usr_somebody_else"
    at = table.schema.get_field_index("actor_id")
    pq.write_table(table.set_column(at, table.schema.field(at), [actors]), folder / "events.parquet")
    listed_again(folder)
    fails(folder, "row 5 of events.parquet, position 5, says another actor_id than the event")
    (folder / "events.parquet").write_bytes(b"PAR1 and nothing")
    listed_again(folder)
    fails(folder, "events.parquet is no Parquet")


@pytest.mark.parametrize("format", ["csv", "ndjson"])
def test_rows_left_out_added_or_moved_are_found(format: str, tmp_path: Path) -> None:
    folder = exported(tmp_path, format)
    file = folder / FILES[format][0]
    whole = file.read_bytes().splitlines(keepends=True)
    for lines, said in (
        (whole[:-1], "has fewer rows than there are proven events"),
        ([*whole, whole[-1]], "has more rows than there are proven events"),
        ([*whole[:3], whole[4], whole[3], *whole[5:]], "says another"),
        ([*whole[:3], *whole[4:]], "says another"),
    ):
        file.write_bytes(b"".join(lines))
        listed_again(folder)
        fails(folder, said)


def test_proofs_of_other_events_are_no_proofs(tmp_path: Path) -> None:
    folder = exported(tmp_path, "ndjson", [1, 2, 3])
    other = DEPLOYMENT.bundle(HEAD, LEAF, [HISTORY.proof(each) for each in (1, 2, 4)])
    (folder / "proofs.muniment.json").write_bytes(other)
    listed_again(folder)
    fails(folder, "row 3 of events.ndjson, position 4, says another")
    (folder / "proofs.muniment.json").write_bytes(DEPLOYMENT.bundle(HEAD, LEAF, [HISTORY.proof(1)]))
    listed_again(folder)
    fails(folder, "3 events were exported, and the proofs are of 1 others")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(format="xml"), "a format that this version does not know"),
        (lambda manifest: manifest.update(tenant="ten_other"), "the proofs are of"),
        (lambda manifest: manifest["tree"].update(root="00" * 32), "names another root"),
        (
            lambda manifest: manifest["files"].append({"name": "../x", "size": 1, "sha256": ""}),
            "does not lie beside it",
        ),
        (lambda manifest: manifest["files"].append({"name": "gone", "size": 1, "sha256": ""}), "gone is missing"),
        (lambda manifest: manifest["files"].pop(), "no proofs lie beside it"),
        (lambda manifest: manifest.clear(), "is no export's manifest"),
    ],
)
def test_a_manifest_that_was_changed_is_found(
    change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path
) -> None:
    folder = exported(tmp_path, "csv")
    listed_again(folder, change)
    fails(folder, said)


def test_without_proofs_nothing_is_proved(tmp_path: Path) -> None:
    fails(exported(tmp_path, "ndjson", proofs=False), "no proofs lie beside it")
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "there is no manifest.json")


@pytest.mark.parametrize("format", ["csv", "ndjson", "ocsf"])
def test_whatever_the_file_holds_one_sentence_is_said(format: str, tmp_path: Path) -> None:
    folder = exported(tmp_path, format, [1, 2])
    for data in (b"", b"\xff\xfe\n", b"[" * 100_000, b'"' + b"x" * 200_000, b"{}\n", b"\x00\n", b"a,b\n1\n1,2,3\n"):
        (folder / FILES[format][0]).write_bytes(data)
        listed_again(folder)
        fails(folder, "Error: ")


def test_histories_that_differ_are_named_when_two_are_compared(tmp_path: Path) -> None:
    other, history = Deployment(), real_history()
    history.record("user:new")
    for each in DEPLOYMENT.entries[:-1]:
        other.entries.append(each)
    forked = other.bundle(history.head(), other.add(history.head()), [])
    ours, theirs = tmp_path / "ours.muniment.json", tmp_path / "theirs.muniment.json"
    ours.write_bytes(DEPLOYMENT.bundle(HEAD, LEAF, []))
    theirs.write_bytes(forked)
    done = verify(ours, "--bundle", str(theirs))
    assert done.exit_code == 1
    assert f"{ours} and {theirs} contradict each other about the log muniment.example/log of 1 leaves" in done.stderr


def told_wrong(folder: Path, history: History, counts: bytes | None = None) -> str:
    """Of a whole history that a dishonest log has committed to."""
    head = history.head()
    head = head if counts is None else head._replace(counts=counts)
    log = Deployment()
    whole = log.bundle(head, log.add(head), [history.proof(each + 1) for each in range(len(history.stored))])
    file = folder / "whole.muniment.json"
    file.write_bytes(whole)
    done = verify(file)
    assert done.exit_code == 1
    assert f"{file} holds" in done.stdout
    return done.stderr


def test_a_tag_that_was_left_out_is_found_by_who_has_everything(tmp_path: Path) -> None:
    history = real_history()
    event = next(each for each in EXAMPLES.values() if any(tag.startswith("user:") for tag in each.subject_tags()))
    hidden = next(tag for tag in event.subject_tags() if tag.startswith("user:"))
    tags = {f"actor:{make.META.actor_id}": SIZE + 1, "user:usr_decoy": 1}
    stored = make.encode(event, make.META, SIZE + 1, history.instant(SIZE + 1), [*tags], [*tags.values()])
    history.keep(stored, tags)
    said = told_wrong(tmp_path, history)
    assert f"position {SIZE + 1}: the event is about " in said
    assert hidden.split(":")[0] in said


def test_counts_that_hide_an_event_are_found_by_who_has_everything(tmp_path: Path) -> None:
    assert "commits to other counts of tags" in told_wrong(tmp_path, real_history(), bytes(32))


def test_bytes_that_no_version_can_read_are_audited_by_what_they_begin_with(tmp_path: Path) -> None:
    deployment, history, head, index = small()
    file = tmp_path / "whole.muniment.json"
    file.write_bytes(deployment.bundle(head, index, [history.proof(each) for each in range(1, 41)]))
    assert verify(file).exit_code == 0
