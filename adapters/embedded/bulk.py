"""Many rows in one statement: each step of SQLite gives up Python’s lock, and a busy event loop returns it slowly."""

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

MOST_ROWS: Final = 512


def insert(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]], then: str = "") -> None:
    """Insert rows of one width, none of which begins with None; `into` is the table, `then` what follows the rows."""
    for start in range(0, len(rows), MOST_ROWS):
        chunk = rows[start : start + MOST_ROWS]
        size = 1 << (len(chunk) - 1).bit_length()  # few sizes, so that SQLite keeps the statements
        width = len(chunk[0])
        padding = (None,) * ((size - len(chunk)) * width)
        connection.execute(_statement(into, size, width, then), (*chain.from_iterable(chunk), *padding))


@cache
def _statement(into: str, rows: int, width: int, then: str) -> str:
    row = f"({', '.join('?' * width)})"
    values = ", ".join([row] * rows)
    return f"INSERT INTO {into} SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL {then}"  # noqa: S608
