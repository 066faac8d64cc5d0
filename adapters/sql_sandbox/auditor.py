"""The auditor: gives a query what it may see, has it answered in the sandbox, and opens what may be opened."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from adapters.archive.archive import Archive
from adapters.archive.reading import Events
from adapters.sql_sandbox import views as seen
from adapters.sql_sandbox.sandbox import Limits, QueryFailed, ask
from domain.event import Sealed
from domain.ids import TenantId
from domain.view import Moment, StoredViews, View

AT_ONCE: Final = 2
"""Queries on a node."""
PATIENCE: Final = 10.0
"""Seconds that a query waits for its turn."""
MOST_ROWS: Final = 200_000
"""Of one view."""
MOST_EVENTS: Final = 10_000_000
MOST_OPENED: Final = 200_000
"""Events whose own fields are decoded for a query."""
_PAGE: Final = 5_000


class Busy(Exception):
    """Too many queries are being answered; try again after `retry_after` seconds."""

    retry_after: Final = 5


class Answer(NamedTuple):
    """Rows; whether there were more; which views were asked; and how many personal values were opened."""

    table: pa.Table
    cut: bool
    asked: tuple[str, ...]
    unsealed: int


Unseal = Callable[[str, Sealed], str | None]


class Auditor:
    """Of one node; lives on its event loop."""

    def __init__(self, folder: Path, events: Callable[[], Events], views: Mapping[str, View[Any]]) -> None:
        """`folder` is where files without a name are made; `views` are those a query sees, by the names it uses."""
        self._folder = folder
        self._events = events
        self._views = views
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._asking: set[TenantId] = set()

    failures: Final = (QueryFailed, seen.TooLarge, Busy, *Archive.failures, *Archive.unanswerable)
    """What `query` raises."""
    away: Final = Archive.failures
    """Those that mean that the archive can't be read now."""

    @property
    def schemas(self) -> dict[str, pa.Schema]:
        """The columns of everything that can be asked."""
        found = {"events": seen.EVENTS, **{name: seen.schema_of(view) for name, view in self._views.items()}}
        return {**found, "view_columns": seen.DESCRIBED}

    def wants(self, sql: str) -> tuple[bool, tuple[str, ...]]:
        """Whether a query speaks of events, and of which views."""
        words = seen.Named.of(sql).words
        return "events" in words, tuple(name for name in self._views if name in words)

    async def query(
        self,
        tenant: TenantId,
        at: Moment,
        after: int,
        sql: str,
        rows: int,
        stored: Callable[[], StoredViews],
        unseal: Unseal | None,
        limits: Limits = Limits(),  # noqa: B008
    ) -> Answer:
        """Events after `after` up to the moment, and views as of it. Raises QueryFailed, TooLarge and Busy."""
        async with self._turn(tenant):
            handles = seen.Handles()
            of_events, named = self.wants(sql)
            files: dict[str, BinaryIO] = {}
            try:
                files["events"] = await asyncio.to_thread(
                    self._file_of_events, tenant, after, at.position if of_events else after, sql, handles
                )
                for name, view in self._views.items():
                    files[name] = await self._file_of_rows(
                        tenant, at, name, view, stored() if name in named else None, handles
                    )
                files["view_columns"] = await asyncio.to_thread(
                    seen.stream, self._folder, seen.DESCRIBED, [seen.described(self.schemas)]
                )
            except BaseException:
                for file in files.values():
                    file.close()
                raise
            marker = None if unseal is None else secrets.token_hex(12)
            found = await ask(files, sql, limits._replace(rows=rows), marker=marker)
            asked = (("events",) if of_events else ()) + named
            if marker is None or unseal is None:
                return Answer(found.table, found.cut, asked, 0)
            table, opened = await asyncio.to_thread(_opened, found.table, marker, handles, unseal)
            return Answer(table, found.cut, asked, opened)

    @asynccontextmanager
    async def _turn(self, tenant: TenantId) -> AsyncIterator[None]:
        if tenant in self._asking:
            raise Busy
        self._asking.add(tenant)
        try:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._turns.acquire()
            except TimeoutError:
                raise Busy from None
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._asking.discard(tenant)

    def _file_of_events(self, tenant: TenantId, after: int, until: int, sql: str, handles: seen.Handles) -> BinaryIO:
        named = seen.Named.of(sql)
        data = named.names("data") or named.names("request")
        most = MOST_OPENED if data else MOST_EVENTS
        if until - after > most:
            raise seen.TooLarge(
                f"a query can look at {most} events at once{' with their data' if data else ''}: narrow `from` and `to`"
            )
        batches = self._events().arrow_batches(tenant, after, until, stored=data) if until > after else ()
        schema = seen.events_schema(named)
        return seen.stream(self._folder, schema, seen.events(tenant, batches, handles, schema))

    async def _file_of_rows(
        self,
        tenant: TenantId,
        at: Moment,
        name: str,
        view: View[Any],
        stored: StoredViews | None,
        handles: seen.Handles,
    ) -> BinaryIO:
        batches: list[pa.RecordBatch] = []
        after, count = "", 0
        while stored is not None:
            found = await stored.page(view, tenant, at, after=after, limit=_PAGE)
            count += len(found)
            if count > MOST_ROWS:
                raise seen.TooLarge(f"{name} has more than {MOST_ROWS} rows, which is more than a query can look at")
            if found:
                batches.append(await asyncio.to_thread(seen.rows, view, found, handles))
            if len(found) < _PAGE:
                break
            after = found[-1].key
        return await asyncio.to_thread(seen.stream, self._folder, seen.schema_of(view), batches)


def _opened(table: pa.Table, marker: str, handles: seen.Handles, unseal: Unseal) -> tuple[pa.Table, int]:
    """The table with what unseal() marked opened; null where a key is destroyed. How many values were opened."""
    opened: dict[str, str | None] = {}

    def plain(text: str | None) -> str | None:
        if text is None or not text.startswith(marker):
            return text
        if text not in opened:
            found = handles.find(text[len(marker) :])
            opened[text] = unseal(*found) if found else None
        return opened[text]

    columns = []
    for column in table.columns:
        if pa.types.is_string(column.type) and pc.any(pc.starts_with(column, marker)).as_py():
            chunks = [[plain(text) for text in chunk.to_pylist()] for chunk in column.chunks]
            columns.append(pa.chunked_array(chunks, pa.string()))
        else:
            columns.append(column)
    return (
        pa.table(columns, schema=table.schema),
        sum(value is not None for value in opened.values()),
    )
