"""The next generation of the stored views, made from the log beside the live one."""

from collections.abc import Iterable
from typing import Any

from adapters.index.batches import LogBatches
from adapters.index.database import Database
from adapters.postgres.applying import Applying, connect
from adapters.postgres.generations import BEGINNING, Generations, NotPrepared
from adapters.postgres.stored_rows import StoredPlace
from domain.view import View


class NextGeneration:
    """See replay.rebuild.NextGeneration. A context: what did not go live is dropped when it ends."""

    def __init__(self, database: Database, conninfo: str, views: Iterable[View[Any]], tables: str) -> None:
        """Raises NotPrepared if a rebuild is already at work."""
        self._views = tuple(views)
        self._log = LogBatches(database, {event for view in self._views for event in view.follows})
        self._connection = connect(conninfo)
        self._generations = Generations(self._connection, tables)
        self._generations.prepare()
        if not self._generations.drop_leftovers():
            self._connection.close()
            raise NotPrepared("a rebuild is already at work, or reads of the last one still are: try again in a while")
        self.number = self._generations.make()
        self._applying = Applying(self._connection, self._generations, self.number, self._views, live=False)
        self._place = StoredPlace(conninfo, self._views, self.number)
        self._cursor = BEGINNING

    @property
    def total(self) -> int:
        return self._log.end()

    def advance(self) -> int | None:
        batch = self._log.after(self._cursor)
        if batch is None:
            return None
        self._applying.apply(batch)
        self._cursor = batch.cursor
        return self._cursor.sequence

    def place(self) -> StoredPlace:
        return self._place

    def go_live(self) -> None:
        with self._connection.transaction(), self._generations.swapping():
            live = self._generations.live()
            while live is not None and self._cursor.sequence < self._generations.cursor(live).sequence:
                if self.advance() is None:
                    break
            self._generations.make_live(self.number)
        self._place.close()
        self._generations.drop_leftovers()

    def __enter__(self) -> "NextGeneration":
        return self

    def __exit__(self, *_: object) -> None:
        self._place.close()
        try:
            if not self._connection.broken:
                self._generations.drop_leftovers()
        finally:
            self._connection.close()
