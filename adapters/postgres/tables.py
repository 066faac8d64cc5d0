"""The tables of a view: what its row's fields are in SQL, and how values cross over.

A view has two. In the first, named after it, every row is one version of a view's row, valid in
[from_position, to_position). The second, its spans, says from when to when a row existed (field and value empty), and
had a value in an indexed column: however often a row changes, what it is found by is one index entry, so that
a page as of any position costs what the page of now costs.
"""

import hashlib
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec

from domain.event import Sealed
from domain.view import View

OPEN: Final = (1 << 63) - 1
"""The `to_position` of what still holds."""

TAKEN: Final = frozenset({"tenant", "key", "from_position", "to_position"})
"""Columns of every table; a field of the same name gets an underscore."""

LONGEST_FOUND_BY: Final = 256

_KINDS: Final[dict[Any, str]] = {str: "text", int: "bigint", bool: "boolean", bytes: "bytea", Sealed: "bytea"}
_IDENTITY: Final = '    tenant text COLLATE "C" NOT NULL,\n'
_KEY: Final = '    key text COLLATE "C" NOT NULL,\n'
_INTERVAL: Final = "    from_position bigint NOT NULL,\n    to_position bigint NOT NULL,\n"

pack_sealed: Final = msgspec.msgpack.Encoder().encode
_unpack_sealed: Final = msgspec.msgpack.Decoder(Sealed).decode


class Column(NamedTuple):
    """A field of the row as a column."""

    field: str
    name: str
    kind: str
    sealed: bool
    optional: bool

    @property
    def quoted(self) -> str:
        return f'"{self.name}"'


@cache
def columns_of(row: type[msgspec.Struct]) -> tuple[Column, ...]:
    """The columns of a row, in the order of its fields."""
    hints = typing.get_type_hints(row)
    return tuple(_column(name, hints[name]) for name in row.__struct_fields__)


def _column(field: str, annotation: Any) -> Column:
    optional = False
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        inner = {_plain(each) for each in typing.get_args(annotation)}
        optional = type(None) in inner
        inner.discard(type(None))
        if len(inner) != 1:
            raise TypeError(f"{field} would have more than one type in SQL")
        (annotation,) = inner
    plain = _plain(annotation)
    kind = "text[]" if plain == tuple[str, ...] else _KINDS.get(plain)
    if kind is None:
        raise TypeError(f"{field} has no type in SQL: {annotation}")
    return Column(field, f"{field}_" if field in TAKEN else field, kind, plain is Sealed, optional)


def _plain(annotation: Any) -> Any:
    while hasattr(annotation, "__supertype__"):
        annotation = annotation.__supertype__
    if typing.get_origin(annotation) is tuple:
        return tuple[tuple(_plain(each) for each in typing.get_args(annotation))]  # type: ignore[misc]
    return annotation


def found_by(value: str) -> str:
    """An indexed value as the spans spell it: what is too long for an index is hashed, and NUL pictured."""
    if len(value) <= LONGEST_FOUND_BY:
        return storable(value)
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()


def storable(text: str) -> str:
    """PostgreSQL's text can't hold NUL; its picture stands for it, so that no event can stop the projector."""
    return text.replace("\0", "␀")


@cache
def builder_of(row: type[msgspec.Struct]) -> Callable[[Sequence[Any]], Any]:
    """A function that makes the row of its columns' values, as psycopg loads them."""
    lifts: list[tuple[int, Callable[[Any], Any]]] = []
    for place, column in enumerate(columns_of(row)):
        if column.sealed:
            lifts.append((place, _unpack_sealed))
        elif column.kind == "text[]":
            lifts.append((place, tuple))

    def build(values: Sequence[Any]) -> Any:
        fields = list(values)
        for place, lift in lifts:
            if fields[place] is not None:
                fields[place] = lift(fields[place])
        return row(*fields)

    return build


def tables_of(views: Iterable[View[Any]]) -> str:
    """The SQL that makes the tables of some views: what the `.sql` beside their projection must say."""
    return "\n".join(_versions_table(view) + "\n" + _spans_table(view) for view in views)


def _versions_table(view: View[Any]) -> str:
    columns = "".join(
        f"    {column.quoted} {column.kind}{'' if column.optional else ' NOT NULL'},\n"
        for column in columns_of(view.row)
    )
    primary = "    PRIMARY KEY (tenant, key, from_position)\n"
    return f"CREATE TABLE {view.name} (\n{_IDENTITY}{_KEY}{_INTERVAL}{columns}{primary}) WITH (fillfactor = 90);\n"


def _spans_table(view: View[Any]) -> str:
    found_by = '    field text COLLATE "C" NOT NULL,\n    value text COLLATE "C" NOT NULL,\n'
    primary = "    PRIMARY KEY (tenant, field, value, key, from_position) INCLUDE (to_position)\n"
    return f"CREATE TABLE {view.name}_spans (\n{_IDENTITY}{found_by}{_KEY}{_INTERVAL}{primary});\n"
