"""Verification: a changed byte is found wherever it is, with the file and the position; and what is right holds."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.archive.columns import ARCHIVED
from adapters.archive.manifest import ManifestBroken, decode, key_of
from adapters.archive.parquet import FileWriter, digest_of
from adapters.archive.verification import Verification
from domain.evidence.tree import Frontier, leaf_hash
from tests.adapters.archive.past import ACME, OTHER, Past, past


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Past]:
    """Sixty events in three files of a folder."""
    with past(tmp_path) as made:
        for _ in range(3):
            made.append(20)
            made.archive.take_in(ACME)
        yield made


def path_of(acme: Past, number: int) -> Path:
    return acme.folder / "archive" / f"tenant={ACME}" / names(acme)[number]


def names(acme: Past) -> list[str]:
    return [each.name for each in acme.archive._shelf.read(ACME).manifest.files]


def flipped(path: Path, place: int) -> bytes:
    """Change a byte; what the file was."""
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
    return whole


def test_an_archive_that_is_the_log_holds_and_notes_it(acme: Past) -> None:
    verified = acme.archive.verify(ACME)
    assert (verified.problems, verified.last, verified.files, verified.events) == ((), 60, 3, 60)
    status = acme.archive.status(ACME)
    assert status.checked is not None
    assert status.trimmable_below(held=False) == 61
    assert status.trimmable_below(held=True) == 1


def test_nothing_may_be_trimmed_that_was_not_verified_from_the_beginning(acme: Past) -> None:
    assert acme.archive.verify(ACME, after=20).problems == ()
    assert acme.archive.status(ACME).trimmable_below(held=False) == 1
    assert acme.archive.verify(ACME, most=1).last == 20
    assert acme.archive.status(ACME).trimmable_below(held=False) == 21
    assert acme.archive.verify(ACME, after=20, most=25).last == 40
    rest = acme.archive.verify(ACME, after=40)
    assert (rest.whole, rest.first, rest.last) == (True, 41, 60)
    assert (acme.archive.verify(ACME, after=60).first, acme.archive.verify(ACME, after=60).files) == (61, 0)
    assert acme.archive.status(ACME).trimmable_below(held=False) == 61


def test_a_changed_byte_anywhere_in_a_file_is_found_and_the_file_named(acme: Past) -> None:
    file = path_of(acme, 1)
    size = len(file.read_bytes())
    named = 0
    for place in range(0, size, size // 50):
        whole = flipped(file, place)
        verified = acme.archive.verify(ACME)
        assert {each.file for each in verified.problems} == {names(acme)[1]}, place
        for each in verified.problems:
            assert each.first is not None
            assert each.last is not None
            assert 21 <= each.first <= each.last <= 40
            named += each.first == each.last
        file.write_bytes(whole)
    assert named, "where the events can be read, the position is named exactly"
    assert acme.archive.verify(ACME).problems == ()


def test_a_changed_byte_anywhere_in_a_manifest_is_found(acme: Past) -> None:
    file = acme.folder / "archive" / key_of(ACME)
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        flipped(file, place)
        (problem,) = acme.archive.verify(ACME).problems
        assert problem.file == "manifest.json"
        with pytest.raises(ManifestBroken):
            acme.archive.take_in(ACME)
        file.write_bytes(whole)
    assert acme.archive.verify(ACME).problems == ()


def test_another_tenants_manifest_is_not_taken(acme: Past) -> None:
    found = acme.storage.read(key_of(ACME))
    assert found is not None
    with pytest.raises(ManifestBroken, match="another tenant"):
        decode(OTHER, found.data)


def rewrite(acme: Past, number: int, change: dict[str, tuple[int, object]]) -> None:
    """Whoever can write to the storage forges a file, and a manifest that fits it."""
    held = acme.archive._shelf.read(ACME)
    file = held.manifest.files[number]
    table = pq.read_table(path_of(acme, number))
    columns = []
    for field in ARCHIVED:
        values = table.column(field.name).to_pylist()
        if field.name in change:
            row, value = change[field.name]
            values[row] = value
        columns.append(pa.array(values, field.type))
    forged = acme.folder / "forged.parquet"
    writer = FileWriter(forged, table.num_rows)
    writer.write(pa.RecordBatch.from_arrays(columns, schema=ARCHIVED))
    writer.close()
    document = json.loads(held.manifest.encode())
    document["files"][number]["sha256"] = digest_of(forged)
    document["files"][number]["bytes"] = forged.stat().st_size
    path_of(acme, number).write_bytes(forged.read_bytes())
    newer = msgspec.convert(document, type(held.manifest))
    acme.storage.replace(key_of(ACME), newer.encode(), held.version)
    assert file.name == names(acme)[number]


def test_a_column_that_does_not_say_what_its_event_says_is_found(acme: Past) -> None:
    rewrite(acme, 1, {"actor_id": (4, "opr_another")})
    (problem,) = acme.archive.verify(ACME).problems
    assert (problem.first, problem.what) == (25, "actor_id is not what the event says")


def test_an_event_that_is_not_the_logs_is_found(acme: Past) -> None:
    stored = dict(acme.history.stored(ACME, 0, 60))
    rewrite(acme, 1, {"stored": (4, stored[24])})
    found = acme.archive.verify(ACME).problems
    assert (found[0].first, found[0].what) == (25, "the event is not the one in the log")
    assert any("tree" in each.what for each in found)


def test_where_the_log_was_trimmed_the_trees_of_the_manifest_are_held_against_it(acme: Past) -> None:
    stored = dict(acme.history.stored(ACME, 0, 60))
    acme.database.writer.execute("DELETE FROM events WHERE position <= 40")
    assert acme.archive.verify(ACME).problems == ()
    rewrite(acme, 1, {"stored": (4, stored[25][:-1] + b"\x07")})
    found = acme.archive.verify(ACME).problems
    assert [(each.first, each.last) for each in found if "tree" in each.what] == [(21, 40)]


def test_where_everything_was_forged_the_checkpoints_are_held_against_it(acme: Past) -> None:
    roots = {}
    tree = Frontier()
    for position, stored in acme.history.stored(ACME, 0, 60):
        tree.append(leaf_hash(stored))
        roots[position] = tree.root()
    committed = {10: roots[10], 30: roots[30], 55: bytes(32), 70: bytes(32)}
    verification = Verification(acme.archive._shelf, acme.history, lambda _: committed.items())
    (problem,) = verification.verify(ACME).problems
    assert (problem.file, problem.first) == (names(acme)[2], 55)
    assert problem.what == "the tree up to here is not the one that a checkpoint committed to"


def test_a_missing_file_is_named(acme: Past) -> None:
    name = names(acme)[2]
    path_of(acme, 2).unlink()
    (problem,) = acme.archive.verify(ACME).problems
    assert (problem.file, problem.first, problem.last, problem.what) == (name, 41, 60, "is missing")


def test_a_log_that_is_shorter_or_was_changed_is_found(acme: Past) -> None:
    acme.database.writer.execute("UPDATE events SET stored = x'000000000b02' WHERE position = 30")
    (problem,) = acme.archive.verify(ACME).problems
    assert (problem.first, problem.what) == (30, "the event is not the one in the log")
    acme.database.writer.execute("UPDATE tenants SET position = 55")
    assert any(each.what == "the log does not have these events" for each in acme.archive.verify(ACME).problems)
