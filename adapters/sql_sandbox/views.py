"""What a query sees, as Arrow streams in files without a name: events, and rows of views; sealed values as handles."""

import dataclasses
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, get_type_hints

import pyarrow as pa

from adapters.archive.columns import SEARCHED, STORED
from adapters.avro.codec import decode_entry
from adapters.exports.lines import is_secret
from domain.event import Entry, Instant, Sealed, types_within
from domain.ids import TenantId
from domain.view import Versioned, View

HANDLE: Final = "sealed:"
MOST_BYTES: Final = 2 << 30
"""Of one view's file."""
_TIME: Final = pa.timestamp("us", tz="UTC")
_DATA: Final = [pa.field("data", pa.string()), pa.field("request", pa.string())]
_COUNTED: Final = re.compile(r"\bcount\s*\(\s*\*\s*\)", re.IGNORECASE)
_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*")

EVENTS: Final = pa.schema([*SEARCHED, *_DATA])


class TooLarge(Exception):
    """What the query would see is more than it may; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Named:
    """What a query's text speaks of, as far as that can be told by its words."""

    words: frozenset[str]
    everything: bool
    """Whether it may want all columns."""

    @classmethod
    def of(cls, sql: str) -> "Named":
        text = _COUNTED.sub(" ", sql.lower())
        words = frozenset(_WORD.findall(text))
        first = _WORD.search(text)
        return cls(words, "*" in text or "columns" in words or (first is not None and first[0] in ("from", "table")))

    def names(self, column: str) -> bool:
        return self.everything or column in self.words


class Handles:
    """Stand-ins for sealed values: equal for equal values of one subject, and meaningless to anybody else."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._known: dict[str, tuple[str, Sealed]] = {}

    def of(self, field: str, sealed: Sealed) -> str:
        digest = hashlib.blake2b(
            b"|".join((field.encode(), sealed.key.encode(), sealed.eq)), key=self._key, digest_size=12
        )
        handle = HANDLE + digest.hexdigest()
        self._known[handle] = (field, sealed)
        return handle

    def find(self, handle: str) -> tuple[str, Sealed] | None:
        """The field and value that a handle stands for."""
        return self._known.get(handle)


def stream(folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> BinaryIO:
    """Batches as an Arrow stream in a file that nobody else can open. Raises TooLarge."""
    folder.mkdir(mode=0o700, exist_ok=True)
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (the sandbox gets it open)
    try:
        with pa.ipc.new_stream(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
                if file.tell() > MOST_BYTES:
                    raise TooLarge("the events of this time are too many for one query: narrow `from` and `to`")
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def events_schema(named: Named) -> pa.Schema:
    """The columns of `events`; those that a query does not speak of are there, and empty."""
    wanted = ("position", *(name for name in EVENTS.names if named.names(name)))
    return pa.schema([field if field.name in wanted else pa.field(field.name, pa.null()) for field in EVENTS])


def events(
    tenant: TenantId, batches: Iterable[pa.RecordBatch], handles: Handles, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The view `events`; `batches` carry the stored bytes if the schema has `data` or `request`."""
    made = {"data": data_of, "request": _request}
    for batch in batches:
        entries: list[Entry] = []
        if STORED in batch.schema.names:
            entries = [decode_entry(tenant, stored.as_py()) for stored in batch.column(STORED)]
        columns = []
        for field in schema:
            if field.type == pa.null():
                columns.append(pa.nulls(batch.num_rows))
            elif field.name in made:
                columns.append(pa.array([made[field.name](each, handles) for each in entries], field.type))
            else:
                columns.append(batch.column(field.name))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def data_of(entry: Entry, handles: Handles) -> str:
    """An event's own fields as JSON."""
    event = entry.event
    fields = ((name, getattr(event, name)) for name in event.__struct_fields__)
    return json.dumps({name: _plain(name, value, handles) for name, value in fields if not is_secret(name, value)})


def _request(entry: Entry, handles: Handles) -> str | None:
    return None if entry.meta.request is None else handles.of("request", entry.meta.request)


def _plain(name: str, value: Any, handles: Handles) -> Any:
    match value:
        case Sealed():
            return handles.of(name, value)
        case bytes():
            return value.hex()
        case tuple():
            return [_plain(name, each, handles) for each in value]
    return value


def rows(view: View[Any], found: Sequence[Versioned[Any]], handles: Handles) -> pa.RecordBatch:
    """Rows of a view, with the position since when they are so."""
    columns: list[list[Any]] = [[each.key for each in found], [each.since for each in found]]
    for name in _shown(view):
        columns.append([_cell(name, getattr(each.row, name), handles) for each in found])
    schema = schema_of(view)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _cell(name: str, value: Any, handles: Handles) -> Any:
    return handles.of(name, value) if isinstance(value, Sealed) else list(value) if type(value) is tuple else value


def schema_of(view: View[Any]) -> pa.Schema:
    """Columns of a view: its fields, without hashes of secrets."""
    hints = get_type_hints(view.row)
    fields = [pa.field("key", pa.string()), pa.field("since_position", pa.int64())]
    return pa.schema(fields + [pa.field(name, _type_of(hints[name])) for name in _shown(view)])


@cache
def _shown(view: View[Any]) -> tuple[str, ...]:
    hints = get_type_hints(view.row)
    return tuple(name for name in view.row.__struct_fields__ if bytes not in types_within(hints[name]))


def _type_of(annotation: Any) -> pa.DataType:
    kinds = types_within(annotation)
    if Instant in kinds:
        return _TIME
    if "tuple" in str(annotation):
        return pa.list_(pa.string())
    if bool in kinds:
        return pa.bool_()
    return pa.int64() if int in kinds else pa.string()


def described(schemas: dict[str, pa.Schema]) -> pa.RecordBatch:
    """The view `view_columns`: what there is to ask."""
    lines = [(view, field.name, str(field.type)) for view, schema in schemas.items() for field in schema]
    return pa.RecordBatch.from_arrays(
        [pa.array([line[place] for line in lines], pa.string()) for place in range(3)], schema=DESCRIBED
    )


DESCRIBED: Final = pa.schema([("view_name", pa.string()), ("column_name", pa.string()), ("column_type", pa.string())])
