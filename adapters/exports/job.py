"""An export's folder: a file that grows by pages of events, where it has come to, and the manifest at its end.

What was written is on the disk before the place is noted, and what lies beyond the place is cut off when the job goes
on: so a node that dies in between leaves nothing twice and nothing out.
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.exports.lines import COLUMNS, public, row
from adapters.exports.ocsf import ocsf
from adapters.exports.tables import cell, harmless, plain
from domain.event import Entry

FILES: Final = {
    "csv": ("events.csv", "text/csv; charset=utf-8"),
    "ndjson": ("events.ndjson", "application/x-ndjson"),
    "parquet": ("events.parquet", "application/vnd.apache.parquet"),
    "ocsf": ("events.ocsf.ndjson", "application/x-ndjson"),
}
"""The file's name and media type by format."""
MANIFEST: Final = "manifest.json"
PROOFS: Final = "proofs.muniment.json"
_PLACE: Final = "place.json"
_PARTS: Final = "parts"


class Place(msgspec.Struct):
    """How far a job is: up to which position events were looked for, and what was written of them."""

    position: int
    count: int = 0
    first: int = 0
    last: int = 0
    size: int = 0
    parts: int = 0


class Job:
    """The files of one export. Blocks; used from one thread at a time."""

    def __init__(self, folder: Path, format: str, after: int) -> None:
        """Goes on where it was, if the folder is there already."""
        self.folder = folder
        self.format = format
        self.file = folder / FILES[format][0]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.place = self._read_place(after)
        self._cut_off()

    def _read_place(self, after: int) -> Place:
        try:
            return msgspec.json.decode((self.folder / _PLACE).read_bytes(), type=Place)
        except (FileNotFoundError, msgspec.MsgspecError):
            return Place(after)

    def _cut_off(self) -> None:
        if self.format == "parquet":
            (self.folder / _PARTS).mkdir(mode=0o700, exist_ok=True)
            return
        with self.file.open("ab") as file:
            if file.tell() < self.place.size:  # the disk has lost what it had promised to keep
                self.place = Place(self.place.position if not self.place.count else 0)
            file.truncate(self.place.size)

    def write(self, entries: Sequence[Entry], position: int) -> None:
        """Add a page of events, which is all there are up to a position."""
        place = self.place
        if entries and self.format == "parquet":
            place.parts += 1
            table = pa.Table.from_pylist([row(each) for each in entries], COLUMNS)
            with (self.folder / _PARTS / f"{place.parts:08d}.parquet").open("wb") as file:
                pq.write_table(table, file, compression="zstd")
                _to_disk(file)
        elif entries:
            with self.file.open("ab") as file:
                file.write(_text(self.format, entries, header=not place.count))
                _to_disk(file)
                place.size = file.tell()
        if entries:
            place.first = place.first or entries[0].position
            place.last = entries[-1].position
            place.count += len(entries)
        place.position = position
        replace(self.folder / _PLACE, msgspec.json.encode(place))

    def close(self) -> None:
        """The file is whole: parts are put together, and a file without events has its header."""
        if self.format == "parquet":
            self._join()
        elif self.format == "csv" and not self.place.count:
            self.file.write_bytes(_text("csv", (), header=True))

    def _join(self) -> None:
        unfinished = self.file.with_suffix(".new")
        with unfinished.open("wb") as file:
            with pq.ParquetWriter(file, COLUMNS, compression="zstd") as writer:
                for part in range(1, self.place.parts + 1):
                    writer.write_table(pq.read_table(self.folder / _PARTS / f"{part:08d}.parquet", schema=COLUMNS))
            _to_disk(file)
        unfinished.replace(self.file)
        shutil.rmtree(self.folder / _PARTS)

    def digest(self) -> bytes:
        """The SHA-256 of the file."""
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def write_proofs(self, bundle: bytes) -> None:
        replace(self.folder / PROOFS, bundle)

    def write_manifest(self, about: dict[str, Any]) -> bytes:
        """Writes what the files are, beside them; its SHA-256."""
        names = [self.file, *([self.folder / PROOFS] if (self.folder / PROOFS).exists() else [])]
        files = [{"name": each.name, "size": each.stat().st_size, "sha256": _digest_of(each)} for each in names]
        manifest = json.dumps({**about, "files": files}, indent=2).encode() + b"\n"
        replace(self.folder / MANIFEST, manifest)
        return hashlib.sha256(manifest).digest()


def _text(format: str, entries: Sequence[Entry], *, header: bool) -> bytes:
    match format:
        case "ndjson":
            return b"".join(msgspec.json.encode(public(each)) + b"\n" for each in entries)
        case "ocsf":
            return b"".join(msgspec.json.encode(ocsf(each)) + b"\n" for each in entries)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    if header:
        writer.writerow([harmless(name) for name in COLUMNS.names])
    for each in entries:
        values = row(each)
        writer.writerow([cell(plain(values[name])) for name in COLUMNS.names])
    return out.getvalue().encode()


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(file: BinaryIO | Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(path.name + ".new")
    with unfinished.open("wb") as file:
        file.write(data)
        _to_disk(file)
    unfinished.replace(path)


def remove(folder: Path) -> None:
    """The files are gone; it is no error if they were already."""
    shutil.rmtree(folder, ignore_errors=True)
