"""The registry: every schema that was ever released, by its id; ids are global and never given twice."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fastavro.schema import to_parsing_canonical_form

FOLDER = Path(__file__).parent


class Schema(NamedTuple):
    """One revision of one event's schema, as released."""

    id: int
    event: str
    revision: int
    file: str
    text: str

    @property
    def avro(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed

    @property
    def canonical(self) -> str:
        """Avro's Parsing Canonical Form: what of the schema matters to whoever reads bytes."""
        return to_parsing_canonical_form(self.avro)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()


@cache
def released() -> tuple[Schema, ...]:
    """All schemas, oldest first."""
    listed = json.loads((FOLDER / "ids.json").read_text())
    return tuple(
        Schema(each["id"], each["event"], each["revision"], each["file"], (FOLDER / each["file"]).read_text())
        for each in listed
    )


@cache
def by_id() -> dict[int, Schema]:
    """Each schema by its id."""
    return {schema.id: schema for schema in released()}


@cache
def current() -> dict[str, Schema]:
    """The newest revision of each event."""
    return {schema.event: schema for schema in sorted(released(), key=lambda each: each.revision)}
