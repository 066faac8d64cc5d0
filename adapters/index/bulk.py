"""Writes a batch in one statement, which commits by itself.

Each statement has to get Python's lock back, and an event loop that is busy returns it slowly: with a statement for
each table, commits waited longer for the lock than for the disk. The triggers of batch.sql put the rows in place.
"""

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

Written = tuple[Any, ...]
"""A row of the view `batch`: what kind it is, and nine values, the last of which may be None."""

WIDTH: Final = 10
MOST_ROWS: Final = 2_048
_STEP: Final = 32


def written(kind: str, *values: Any) -> Written:
    """A row of this kind."""
    return (kind, *values, *(None,) * (WIDTH - 1 - len(values)))


def commit(connection: sqlite3.Connection, rows: Sequence[Written]) -> None:
    """All rows, or none: on the disk when it returns."""
    if len(rows) <= MOST_ROWS:
        _insert(connection, rows)
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        write(connection, rows)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write(connection: sqlite3.Connection, rows: Sequence[Written]) -> None:
    """All rows, within a transaction that is open."""
    for start in range(0, len(rows), MOST_ROWS):
        _insert(connection, rows[start : start + MOST_ROWS])


def _insert(connection: sqlite3.Connection, rows: Sequence[Written]) -> None:
    size = -(-len(rows) // _STEP) * _STEP  # few sizes, so that SQLite keeps the statements
    padding = (None,) * ((size - len(rows)) * WIDTH)
    connection.execute(_statement(size), (*chain.from_iterable(rows), *padding))


@cache
def _statement(rows: int) -> str:
    row = f"({', '.join('?' * WIDTH)})"
    return f"INSERT INTO batch SELECT * FROM (VALUES {', '.join([row] * rows)}) WHERE column1 IS NOT NULL"  # noqa: S608
