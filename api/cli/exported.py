"""An export's folder, checked offline: its files are those of its manifest, and its rows say what proven events say."""

import csv
import hashlib
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.avro.codec import decode_entry
from adapters.exports.job import FILES, MANIFEST, PROOFS
from adapters.exports.lines import COLUMNS, public, row
from adapters.exports.ocsf import ocsf
from adapters.exports.tables import cell, plain
from domain.event import Entry
from domain.evidence.bundles import Verified
from domain.ids import TenantId

_MOST_MANIFEST: Final = 1 << 20
_MOST_LINE: Final = 4 << 20


class ExportWrong(Exception):
    """An export's files are not what its manifest and its proofs say."""


class Listed(msgspec.Struct):
    """A file that the manifest lists."""

    name: str
    size: int
    sha256: str


class Tree(msgspec.Struct):
    """The tenant's tree when the export was finished."""

    size: int
    root: str


class Manifest(msgspec.Struct):
    """What is checked of a manifest."""

    tenant: str
    format: str
    count: int
    tree: Tree
    files: list[Listed]


def read_manifest(folder: Path) -> Manifest:
    """Raises ExportWrong."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_MANIFEST), type=Manifest)
    except FileNotFoundError:
        raise ExportWrong(f"there is no {MANIFEST}: name the folder of an export, or a bundle's file") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ExportWrong(f"{MANIFEST} is no export's manifest of this version") from None


def proofs_of(folder: Path, manifest: Manifest) -> Path:
    """The bundle beside the export. Raises ExportWrong."""
    if PROOFS not in {each.name for each in manifest.files}:
        raise ExportWrong("no proofs lie beside it: exports of too many events, or of no checkpoint yet, have none")
    return folder / PROOFS


def check_files(folder: Path, manifest: Manifest) -> None:
    """That the files are those that the manifest lists. Raises ExportWrong."""
    for each in manifest.files:
        if Path(each.name).name != each.name:
            raise ExportWrong(f"{MANIFEST} lists a file that does not lie beside it")
        try:
            with (folder / each.name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, ValueError):
            raise ExportWrong(f"{each.name} is missing") from None
        if digest != each.sha256:
            raise ExportWrong(f"{each.name} is not the file that {MANIFEST} lists")


def check_rows(folder: Path, manifest: Manifest, found: Verified) -> None:
    """That the export's rows are the proven events, in their order, and say what these say. Raises ExportWrong."""
    if manifest.format not in _READERS:
        raise ExportWrong("the export has a format that this version does not know")
    if (manifest.tenant, manifest.count) != (found.head.tenant, len(found.events)):
        raise ExportWrong(f"{manifest.count} events were exported, and the proofs are of {len(found.events)} others")
    if manifest.tree.size == found.head.size and manifest.tree.root != found.head.root.hex():
        raise ExportWrong(f"{MANIFEST} names another root of the first {found.head.size} events than the proofs")
    name, _ = FILES[manifest.format]
    read, expected = _READERS[manifest.format]
    rows, entries = read(folder / name), _entries(found)
    for number, (told, entry) in enumerate(zip_longest(rows, entries), 1):
        if told is None or entry is None:
            raise ExportWrong(f"{name} has {'fewer' if told is None else 'more'} rows than there are proven events")
        wanted = expected(entry)
        if told != wanted:
            differ = [field for field in {**wanted, **told} if told.get(field) != wanted.get(field)]
            what = ", ".join(sorted(map(str, differ))[:5])
            raise ExportWrong(f"row {number} of {name}, position {entry.position}, says another {what} than the event")


def _entries(found: Verified) -> Iterator[Entry]:
    for each in found.events:
        try:
            yield decode_entry(TenantId(found.head.tenant), each.stored)
        except KeyError:
            raise ExportWrong(f"position {each.position} is of a later version: verify with a newer muniment") from None
        except Exception as problem:  # the decoder of bytes that a dishonest log has committed to may raise anything
            raise ExportWrong(f"position {each.position} can't be read as an event") from problem


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as source:
        while line := source.readline(_MOST_LINE):
            try:
                yield msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise ExportWrong(f"{file.name} has a line that is no JSON object") from None


def _cells(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with file.open(newline="", encoding="utf-8") as source:
            yield from csv.DictReader(source)
    except (csv.Error, UnicodeDecodeError):
        raise ExportWrong(f"{file.name} is no CSV") from None


def _columns(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(file) as source:
            for batch in source.iter_batches(1_000):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError):
        raise ExportWrong(f"{file.name} is no Parquet") from None


def _as_cells(entry: Entry) -> dict[str, Any]:
    values = row(entry)
    return {name: str(cell(plain(values[name]))) for name in COLUMNS.names}


def _as_json(say: Callable[[Entry], Any]) -> Callable[[Entry], dict[str, Any]]:
    def told(entry: Entry) -> dict[str, Any]:
        return msgspec.json.decode(msgspec.json.encode(say(entry)), type=dict[str, Any])

    return told


_READERS: Final[dict[str, tuple[Callable[[Path], Iterator[dict[str, Any]]], Callable[[Entry], dict[str, Any]]]]] = {
    "ndjson": (_lines, _as_json(public)),
    "ocsf": (_lines, _as_json(ocsf)),
    "csv": (_cells, _as_cells),
    "parquet": (_columns, row),
}
