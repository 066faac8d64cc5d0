"""Columns of values as PostgreSQL's binary arrays: one parameter for each column of a batch, packed at once.

psycopg's own arrays dump one element after another in Python; these cost a fraction of it.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from adapters.postgres.tables import Column, pack_sealed, storable

_HEADER: Final = struct.Struct(">iiiii")  # dimensions, whether any is null, type of the elements, how many, from 1
_LENGTH: Final = struct.Struct(">i")
_LENGTHS: Final = tuple(_LENGTH.pack(length) for length in range(2048))
_NULL: Final = _LENGTH.pack(-1)
_BIGINT: Final = struct.Struct(">iq")
_BOOLEANS: Final = {False: b"\0\0\0\1\0", True: b"\0\0\0\1\1", None: _NULL}
_TEXT, _BIGINTS, _BOOLEAN, _BYTEA = 25, 20, 16, 17


class Packed:
    """The bytes of an array; a subclass for each type."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Texts(Packed):
    __slots__ = ()


class Bigints(Packed):
    __slots__ = ()


class Booleans(Packed):
    __slots__ = ()


class Byteas(Packed):
    __slots__ = ()


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        data: bytes = obj.data
        return data


class _TextsDumper(_Dumper):
    oid = 1009


class _BigintsDumper(_Dumper):
    oid = 1016


class _BooleansDumper(_Dumper):
    oid = 1000


class _ByteasDumper(_Dumper):
    oid = 1001


def register(connection: psycopg.Connection[Any]) -> None:
    """Teach a connection to send these arrays."""
    connection.adapters.register_dumper(Texts, _TextsDumper)
    connection.adapters.register_dumper(Bigints, _BigintsDumper)
    connection.adapters.register_dumper(Booleans, _BooleansDumper)
    connection.adapters.register_dumper(Byteas, _ByteasDumper)


def texts(values: Sequence[str | None]) -> Texts:
    if None not in values:
        # Encoded in one go where no value holds a NUL, which almost always is so.
        encoded = "\0".join(values).encode().split(b"\0")  # type: ignore[arg-type]
        if len(encoded) == len(values):
            return Texts(_variable(_TEXT, encoded))
    return Texts(_variable(_TEXT, [None if each is None else storable(each).encode() for each in values]))


def byteas(values: Sequence[bytes | None]) -> Byteas:
    return Byteas(_variable(_BYTEA, values))


def bigints(values: Sequence[int | None]) -> Bigints:
    parts = [_NULL if each is None else _BIGINT.pack(8, each) for each in values]
    return Bigints(_HEADER.pack(1, 1, _BIGINTS, len(values), 1) + b"".join(parts))


def booleans(values: Sequence[bool | None]) -> Booleans:
    parts = [_BOOLEANS[each] for each in values]
    return Booleans(_HEADER.pack(1, 1, _BOOLEAN, len(values), 1) + b"".join(parts))


def sealed(values: Sequence[Any]) -> Byteas:
    return byteas([None if each is None else pack_sealed(each) for each in values])


def text_arrays(values: Sequence[tuple[str, ...] | None]) -> Texts:
    """Arrays as elements, each in PostgreSQL's text form: cast them in the statement."""
    return texts([None if each is None else _array_literal(each) for each in values])


def packer_for(column: Column) -> Callable[[Sequence[Any]], Packed]:
    """What packs a column's values."""
    if column.sealed:
        return sealed
    return _PACKERS[column.kind]


_PACKERS: Final[dict[str, Callable[[Sequence[Any]], Packed]]] = {
    "text": texts,
    "bigint": bigints,
    "boolean": booleans,
    "bytea": byteas,
    "text[]": text_arrays,
}


def _variable(element: int, values: Sequence[bytes | None]) -> bytes:
    parts = [_HEADER.pack(1, 1, element, len(values), 1)]
    for each in values:
        if each is None:
            parts.append(_NULL)
        else:
            length = len(each)
            parts.append(_LENGTHS[length] if length < 2048 else _LENGTH.pack(length))
            parts.append(each)
    return b"".join(parts)


def _array_literal(values: tuple[str, ...]) -> str:
    escaped = (each.replace("\\", "\\\\").replace('"', '\\"') for each in values)
    return "{" + ",".join(f'"{each}"' for each in escaped) + "}"
