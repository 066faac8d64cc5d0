"""The archive and the ledger's tail as one view, in a DuckDB of its own for every question."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from adapters.archive.cache import Cache
from adapters.archive.columns import ARCHIVED, SEARCHED, batch_of, without_bytes
from adapters.archive.manifest import ArchivedFile, Manifest
from adapters.archive.parquet import batches_of
from adapters.archive.reading import TailTooLong
from adapters.archive.shelf import Shelf
from domain.event import Instant
from domain.ids import TenantId
from domain.ledger import History

MOST_TAIL: Final = 200_000
"""Events of a tail that are read into memory for `open_events`."""
MOST_KEPT: Final = 400_000
"""Events of all tenants' tails that stay in memory for the next question."""
_PAGE: Final = 4_096
_COLUMNS: Final = ", ".join(SEARCHED.names)
_LOCK: Final = (
    "SET TimeZone = 'UTC'",
    "SET python_enable_replacements = false",
    "SET autoload_known_extensions = false",
    "SET autoinstall_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class ArchiveView:
    """See adapters.archive.reading.Events."""

    def __init__(self, shelf: Shelf, cache: Cache, history: History, *, memory_mb: int = 512, threads: int = 2) -> None:
        self._shelf = shelf
        self._cache = cache
        self._history = history
        self._settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": "",
        }
        self._tails = _Tails(history)

    def open_events(
        self, tenant: TenantId, until: int | None, *, since: Instant | None = None, before: Instant | None = None
    ) -> duckdb.DuckDBPyConnection:
        manifest = self._shelf.read(tenant).manifest
        last = self._history.head(tenant)[0] if until is None else until
        files = [each for each in manifest.files if _overlaps(each, last, since, before)]
        paths = self._cache.paths(tenant, files)
        tail = self._tails.table(tenant, manifest.reached.last, last)
        connection = duckdb.connect(":memory:", config=self._settings)
        try:
            _make_view(connection, paths, tail, last)
        except BaseException:
            connection.close()
            raise
        return connection

    def arrow_batches(
        self, tenant: TenantId, after: int, until: int | None, *, stored: bool = False
    ) -> Iterator[pa.RecordBatch]:
        manifest = self._shelf.read(tenant).manifest
        last = self._history.head(tenant)[0] if until is None else until
        columns = (ARCHIVED if stored else SEARCHED).names
        for file in manifest.files:
            if file.last > after and file.first <= last:
                (path,) = self._cache.paths(tenant, [file])
                yield from _between(batches_of(path, columns), after, last)
        yield from self._beyond(manifest, after, last, stored)

    def _beyond(self, manifest: Manifest, after: int, last: int, stored: bool) -> Iterator[pa.RecordBatch]:
        for batch in _tail(self._history, manifest.tenant, max(after, manifest.reached.last), last):
            yield batch if stored else without_bytes(batch)


def _overlaps(file: ArchivedFile, last: int, since: Instant | None, before: Instant | None) -> bool:
    if file.first > last or (since is not None and file.until.last_at < since):
        return False
    return before is None or file.first_at < before


def _between(batches: Iterator[pa.RecordBatch], after: int, last: int) -> Iterator[pa.RecordBatch]:
    """Positions are dense, so the place of each is known."""
    for batch in batches:
        if not batch.num_rows:
            continue
        first = batch.column(0)[0].as_py()
        start, end = max(0, after + 1 - first), min(batch.num_rows, last + 1 - first)
        if start < end:
            yield batch.slice(start, end - start)


def _tail(history: History, tenant: TenantId, after: int, last: int) -> Iterator[pa.RecordBatch]:
    while after < last:
        rows = history.stored(tenant, after, min(_PAGE, last - after))
        if not rows:
            return
        yield batch_of(tenant, rows)
        after = rows[-1][0]


class _Tails:
    """The tails that were asked for last, which only grow until they are archived."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._kept: OrderedDict[TenantId, tuple[int, pa.Table]] = OrderedDict()
        self._lock = threading.Lock()

    def table(self, tenant: TenantId, after: int, last: int) -> pa.Table:
        """Raises TailTooLong."""
        if last - after > MOST_TAIL:
            raise TailTooLong(
                f"{last - after} events are not archived yet, and {MOST_TAIL} can be searched before they are: "
                "see to the archive's metrics, or archive the tenant now"
            )
        with self._lock:
            began, kept = self._kept.get(tenant, (after, SEARCHED.empty_table()))
        if not began <= after <= began + kept.num_rows:
            began, kept = after, SEARCHED.empty_table()
        kept = kept.slice(after - began)
        more = [without_bytes(each) for each in _tail(self._history, tenant, after + kept.num_rows, last)]
        whole = pa.concat_tables([kept, pa.Table.from_batches(more, SEARCHED)]) if more else kept
        with self._lock:
            self._kept[tenant] = (after, whole)
            self._kept.move_to_end(tenant)
            while sum(table.num_rows for _, table in self._kept.values()) > MOST_KEPT:
                self._kept.popitem(last=False)
        return whole.slice(0, max(0, last - after))


def _make_view(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], tail: pa.Table, last: int) -> None:
    """Files alone are seen directly: DuckDB reads less of them than under a union."""
    parts = []
    if paths:
        names = ", ".join(_quoted(str(each)) for each in paths)
        parts.append(f"SELECT {_COLUMNS} FROM read_parquet([{names}]) WHERE position <= {last:d}")  # noqa: S608
        connection.execute(f"SET allowed_paths = [{names}]")
    if tail.num_rows or not paths:
        connection.register("recent", tail)
        parts.append(f"SELECT {_COLUMNS} FROM recent")  # noqa: S608
    connection.execute("CREATE VIEW events AS " + " UNION ALL ".join(parts))
    for statement in _LOCK:
        connection.execute(statement)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
