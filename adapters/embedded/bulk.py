"""Many rows in few statements: each step of SQLite's needs Python's lock again, which a busy event loop is slow to give."""

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

_CHUNKS: Final = (128, 16, 1)


def insert(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]], then: str = "") -> None:
    """Insert rows of one width; `into` is the table (and its columns), `then` what follows the values."""
    start = 0
    for size in _CHUNKS:
        while len(rows) - start >= size:
            chunk = rows[start : start + size]
            connection.execute(_statement(into, size, len(rows[0]), then), tuple(chain.from_iterable(chunk)))
            start += size


@cache
def _statement(into: str, rows: int, width: int, then: str) -> str:
    row = f"({', '.join('?' * width)})"
    return f"INSERT INTO {into} VALUES {', '.join([row] * rows)} {then}"  # noqa: S608: no part comes from outside


def marks(count: int) -> str:
    """Placeholders for an IN list."""
    return ", ".join("?" * count)
