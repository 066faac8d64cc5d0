"""What was released, byte for byte: each schema's id and fingerprints, and one stored event of each with its hashes.

`python -m tests.golden` adds what is missing. Nothing that is here is ever changed: bytes like these are in the logs of
everybody who runs Muniment, and their hashes in proofs.
"""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

HERE: Final = Path(__file__).parent
IDS: Final = HERE / "ids.json"
EVENTS: Final = HERE / "events.json"


class GoldenId(NamedTuple):
    """A schema as released: its number, and SHA-256 of its canonical form and of the file."""

    id: int
    event: str
    revision: int
    canonical: str
    text: str


class GoldenEvent(NamedTuple):
    """One stored event: what it says, its leaf, and the root of the tree of all from the first up to this one."""

    id: int
    event: str
    revision: int
    stored: bytes
    leaf: str
    root: str
    says: dict[str, Any]
    meta: dict[str, Any]


def golden_ids() -> list[GoldenId]:
    return [GoldenId(**row) for row in _rows(IDS)]


def golden_events() -> list[GoldenEvent]:
    """In the order of their ids."""
    return [GoldenEvent(**{**row, "stored": bytes.fromhex(row["stored"])}) for row in _rows(EVENTS)]


def plain(struct: msgspec.Struct) -> dict[str, Any]:
    """A struct's fields as JSON says them, by name; bytes in hexadecimal."""
    return {name: _plain(getattr(struct, name)) for name in struct.__struct_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return plain(value) if isinstance(value, msgspec.Struct) else value


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """One row a line, so that a change shows as what it is."""
    path.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
