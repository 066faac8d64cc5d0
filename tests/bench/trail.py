"""The trail over years: searching and counting archived events, against DuckDB on the same columns and files."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb

from adapters.index.history import IndexHistory
from adapters.sql_sandbox.columns import TrailColumns
from api.trail_filters import Search
from tests.bench.archive import ACME, EVENTS, fabricated
from tests.bench.office import Office
from tests.bench.table import Row, versus

ROUNDS: Final = 7
_MONTH: Final = 864_000
"""Positions: events are three seconds apart."""


def rows(folder: Path, events: int = EVENTS) -> Iterator[Row]:
    archive, paths = fabricated(folder / "years", events)
    office = Office(folder / "office")
    columns = TrailColumns(archive.events, IndexHistory(office.database))
    files = f"read_parquet([{', '.join(repr(str(each)) for each in paths)}])"
    first = max(0, events // 2 - _MONTH // 2)
    last = min(events, first + _MONTH)
    whole = Search((), ("RoleAssigned",), 0, events)

    def actor(number: int) -> str:
        with duckdb.connect() as plain:
            found = plain.execute("SELECT 'usr_' || md5('a' || ?)", [number * 997]).fetchone()
        return str(found[0]) if found else ""

    def of_actor(number: int) -> Search:
        return Search((f"actor:{actor(number)}",), (), first, last)

    yield _compared(
        f"trail search by actor and time over {events:,} archived events",
        lambda number: columns.positions(ACME, of_actor(number), 100),
        lambda number: _plain(
            f"SELECT position FROM {files} WHERE actor_id = ? AND position > {first} AND position <= {last} "  # noqa: S608
            "ORDER BY position DESC LIMIT 100",
            [actor(number)],
        ),
    )
    yield _compared(
        f"counts by day of one type over {events:,} archived events",
        lambda _: columns.by_time(ACME, whole, "day"),
        lambda _: _plain(
            f"SELECT date_trunc('day', recorded_at), count(*) FROM {files} WHERE type = 'RoleAssigned' GROUP BY 1"  # noqa: S608
        ),
    )
    yield _compared(
        f"facet by actor of one type over {events:,} archived events",
        lambda _: columns.facets(ACME, whole, ["actor"], 20),
        lambda _: _plain(
            f"SELECT actor_id, count(*) AS n FROM {files} WHERE type = 'RoleAssigned' GROUP BY 1 "  # noqa: S608
            "ORDER BY n DESC LIMIT 20"
        ),
    )
    office.database.close()


def _plain(sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with duckdb.connect(config={"threads": 2}) as connection:
        return connection.execute(sql, values or []).fetchall()


def _compared(what: str, ours: Callable[[int], Any], theirs: Callable[[int], Any]) -> Row:
    mine, others = [], []
    for number in range(ROUNDS):
        began = time.perf_counter()
        theirs(number)
        between = time.perf_counter()
        ours(number)
        mine.append(time.perf_counter() - between)
        others.append(between - began)
    against = f"DuckDB on the same files: {median(others) * 1000:,.0f} ms"
    return Row(what, median(mine) * 1000, "ms", against, versus(mine, others), "≤ 1.5")
