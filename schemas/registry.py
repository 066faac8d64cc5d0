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
    control: bool = False
    """Of a record that is no event: no tenant has it, it has no position, and no proof covers it."""

    @property
    def avro(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed

    @property
    def full_name(self) -> str:
        """With its namespace, as Avro's readers and CloudEvents' types have it: muniment.flags.FlagDefined."""
        avro = self.avro
        return f"{avro['namespace']}.{avro['name']}"

    @property
    def canonical(self) -> str:
        """Avro's Parsing Canonical Form: what of the schema matters to whoever reads bytes."""
        return to_parsing_canonical_form(self.avro)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()


@cache
def published() -> tuple[Schema, ...]:
    """Every schema that a reader of the ledger's records can meet, by id: of events, and of control records."""
    listed = json.loads((FOLDER / "ids.json").read_text())
    return tuple(
        Schema(
            each["id"],
            each["event"],
            each["revision"],
            each["file"],
            (FOLDER / each["file"]).read_text(),
            each.get("control", False),
        )
        for each in listed
    )


@cache
def released() -> tuple[Schema, ...]:
    """The schemas of all events, oldest first."""
    return tuple(schema for schema in published() if not schema.control)


@cache
def control() -> dict[str, Schema]:
    """The newest revision of each control record."""
    return {schema.event: schema for schema in _by_revision() if schema.control}


@cache
def by_id() -> dict[int, Schema]:
    """Each schema by its id, those of control records included."""
    return {schema.id: schema for schema in published()}


@cache
def current() -> dict[str, Schema]:
    """The newest revision of each event."""
    return {schema.event: schema for schema in _by_revision() if not schema.control}


def _by_revision() -> list[Schema]:
    return sorted(published(), key=lambda each: each.revision)
