"""The files of an export: whole, the same however often they were interrupted, and safe to open."""

import csv
import hashlib
import io
import json
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from adapters.exports.job import FILES, MANIFEST, Job
from domain.event import Code, Entry, Event
from domain.flags import FlagDefined
from domain.ids import FlagId
from domain.ledger import CommandRefused
from tests.adapters.exports.test_ocsf import entry


def flag(number: int) -> Event:
    id = FlagId(f"flg_{number:032x}")
    return FlagDefined(id, Code(f"key.{number}"), Code("boolean"), Code("{}"), Code("on"), Code("off"), None)


def entries(first: int, last: int) -> list[Entry]:
    return [msgspec.structs.replace(entry(flag(each)), position=each) for each in range(first, last + 1)]


@pytest.mark.parametrize("format", sorted(FILES))
def test_an_interrupted_job_comes_out_as_one_that_was_not(tmp_path: Path, format: str) -> None:
    whole = Job(tmp_path / "whole", format, 0)
    whole.write(entries(1, 10), 10)
    whole.write(entries(11, 20), 25)
    whole.close()

    first = Job(tmp_path / "broken", format, 0)
    first.write(entries(1, 10), 10)
    if format == "parquet":
        (tmp_path / "broken" / "parts" / "00000002.parquet").write_bytes(b"half of a pa")
    else:
        with first.file.open("ab") as file:
            file.write(b"half a li")
    again = Job(tmp_path / "broken", format, 0)
    assert again.place.position == 10
    again.write(entries(11, 20), 25)
    again.close()
    assert again.file.read_bytes() == whole.file.read_bytes()
    assert (again.place.count, again.place.first, again.place.last, again.place.position) == (20, 1, 20, 25)


@pytest.mark.parametrize("format", sorted(FILES))
def test_an_export_of_nothing_is_a_file_too(tmp_path: Path, format: str) -> None:
    job = Job(tmp_path / "nothing", format, 7)
    assert job.place.position == 7
    job.write([], 9)
    job.close()
    assert job.file.exists()
    assert job.place.count == 0


def test_the_manifest_names_the_file_by_its_hash(tmp_path: Path) -> None:
    job = Job(tmp_path / "export", "ndjson", 0)
    job.write(entries(1, 3), 3)
    job.close()
    digest = job.write_manifest({"count": job.place.count})
    manifest = (job.folder / MANIFEST).read_bytes()
    assert hashlib.sha256(manifest).digest() == digest
    (file,) = json.loads(manifest)["files"]
    assert file["sha256"] == hashlib.sha256(job.file.read_bytes()).hexdigest() == job.digest().hex()
    assert [json.loads(line)["position"] for line in job.file.read_text().splitlines()] == [1, 2, 3]


def test_a_cell_that_looks_like_a_formula_is_shown_and_not_run(tmp_path: Path) -> None:
    job = Job(tmp_path / "export", "csv", 0)
    for place, start in enumerate("=+-@\t\r", 1):
        event = CommandRefused(Code("x"), Code("Refused"), Code("y"))
        hostile = entry(event)
        meta = msgspec.structs.replace(hostile.meta, actor_id=start + "cmd|'/c calc'!A0")
        job.write([msgspec.structs.replace(hostile, position=place, meta=meta)], place)
    job.close()
    rows = list(csv.DictReader(io.StringIO(job.file.read_text(), newline="")))
    assert len(rows) == 6
    for row in rows:
        assert row["actor_id"].startswith("'")
        assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row.values() if value)


def test_parquet_holds_the_columns_it_promises(tmp_path: Path) -> None:
    job = Job(tmp_path / "export", "parquet", 0)
    job.write(entries(1, 5), 5)
    job.close()
    table = pq.read_table(job.file)
    assert table.column("position").to_pylist() == [1, 2, 3, 4, 5]
    assert table.column("sealed")[0].as_py() == []
    assert json.loads(table.column("data")[0].as_py())["key"] == "key.1"
