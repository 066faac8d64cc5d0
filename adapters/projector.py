"""The projector: follows the log and keeps the stored views current, batch after batch, each exactly once."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final

import psycopg

from adapters.index.batches import LogBatches, UnlikeTheLog
from adapters.index.database import Database
from adapters.postgres.applying import Applying, Batch, Diverged, Superseded, connect
from adapters.postgres.generations import Cursor, Generations, NotPrepared
from domain.ids import TenantId
from domain.view import View

POLL: Final = 0.1
"""Seconds after which the log is looked at even if nobody said that it has grown."""
LINGER: Final = 0.02
"""Seconds between the beginnings of two small batches: under load fewer and larger ones cost less."""
LOOK: Final = 1.0
"""Seconds after which an idle projector looks whether PostgreSQL and its generation are still there."""
LONGEST_PAUSE: Final = 2.0
AWAY: Final = "PostgreSQL can't be reached or written; the views wait for it"


class Projector:
    """Keeps the live generation at the end of the log.

    An advisory lock lets one projector write at a time. A generation that is ahead of the log, or unlike it, is dropped
    and built again from zero.
    """

    def __init__(
        self,
        database: Database,
        conninfo: str,
        views: Iterable[View[Any]],
        tables: str,
        *,
        wait: Callable[[float], bool],
        advanced: Callable[[int, Mapping[TenantId, int] | None], None],
        troubled: Callable[[str], None],
    ) -> None:
        """`wait` sleeps so many seconds, or until the log has grown, and answers False once this is to end.

        `advanced` is told each sequence that was reached, and the heads of the tenants in the batch, or None where they
        are to be asked for anew; `troubled`, what is in the way.
        """
        self._views = tuple(views)
        self._log = LogBatches(database, {event for view in self._views for event in view.follows})
        self._conninfo = conninfo
        self._tables = tables
        self._wait = wait
        self._advanced = advanced
        self._troubled = troubled

    def run(self) -> None:
        """Until `wait` says to end. While PostgreSQL is away, it tries again and again."""
        pause = POLL
        while self._wait(0):
            try:
                with closing(connect(self._conninfo)) as connection:
                    pause = POLL
                    self._project(Generations(connection, self._tables), connection)
            except (psycopg.OperationalError, psycopg.InterfaceError) as problem:
                self._troubled(f"{AWAY} ({type(problem).__name__})")
            except NotPrepared as problem:
                self._troubled(str(problem))
            self._wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _project(self, generations: Generations, connection: psycopg.Connection[Any]) -> None:
        generations.prepare()
        while self._wait(0):
            generation = generations.live() or generations.prepare()
            if not generations.lock(generation):
                self._troubled("another projector is at work; this one waits for it to end")
                self._wait(POLL)
                continue
            try:
                cursor = generations.cursor(generation)
                if not self._log.has(cursor):
                    raise UnlikeTheLog("the views have read another log, or more than there is of this one")
                self._follow(Applying(connection, generations, generation, self._views), cursor)
            except (UnlikeTheLog, Diverged) as problem:
                self._troubled(f"{problem}: they are built again")
                generations.start_over(generation)
            except Superseded:
                generations.unlock(generation)
                generations.drop_leftovers()
            else:
                generations.unlock(generation)

    def _follow(self, applying: Applying, cursor: Cursor) -> None:
        self._advanced(cursor.sequence, None)
        with ThreadPoolExecutor(1, "log") as reader:
            ahead: Future[Batch | None] | None = None
            looked = time.monotonic()
            while self._wait(0):
                began = time.monotonic()
                batch = ahead.result() if ahead else self._log.after(cursor)
                ahead = None
                if batch is None:
                    if began > looked + LOOK:
                        applying.check()
                        looked = began
                    self._wait(POLL)
                    continue
                if batch.is_full:  # there is more: decode it while PostgreSQL works
                    ahead = reader.submit(self._log.after, batch.cursor)
                applying.apply(batch)
                cursor = batch.cursor
                self._advanced(cursor.sequence, {tenant: position for tenant, (position, _) in batch.heads.items()})
                if not batch.is_full:
                    time.sleep(max(0.0, began + LINGER - time.monotonic()))
