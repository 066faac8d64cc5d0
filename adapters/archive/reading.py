"""Reading a tenant's events by columns: the archived files and the recent tail of the ledger, as one."""

from collections.abc import Iterator
from typing import Protocol

import duckdb
import pyarrow as pa

from domain.event import Instant
from domain.ids import TenantId


class ArchiveTooLarge(Exception):
    """The files that a question needs do not fit the cache; the message says what to change."""


class TailTooLong(Exception):
    """More of the ledger is not archived yet than a question may read; the message says what to do."""


class Events(Protocol):
    """A tenant's events by columns (`adapters.archive.columns.SEARCHED`), each once, up to a position.

    Archived files and the ledger's tail are read as one. What retention has removed from the archive is not shown.
    Safe to use from any thread, and blocking: call it on one that may wait.
    """

    def open_events(
        self, tenant: TenantId, until: int | None, *, since: Instant | None = None, before: Instant | None = None
    ) -> duckdb.DuckDBPyConnection:
        """A connection with one view, `events`; the caller closes it.

        It is for questions of ours (others' SQL belongs in the sandbox), and can reach no other file, no network and
        no setting. `until` is the last position shown, None for the head. `since` and `before` say which instants will
        be asked for: files of others need not be fetched, so the view may lack events outside of them.
        Raises ArchiveTooLarge and TailTooLong.

        Ask for positions first where few rows are wanted (`WHERE position IN (SELECT position … LIMIT 100)`): a column
        is decompressed only where a row needs it, so this costs a third of asking for whole rows at once.
        """
        ...

    def arrow_batches(
        self, tenant: TenantId, after: int, until: int | None, *, stored: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """The events beyond `after` up to `until`, in order; with the exact stored bytes as one more column.

        Fetches one file at a time.
        """
        ...
