"""The next generation of the stored views, made from the log beside the live one."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from adapters.index.batches import Turns
from adapters.index.partitions import Partitions
from adapters.postgres.applying import Applying, connect
from adapters.postgres.generations import BEGINNING, Cursor, Generations, NotPrepared
from adapters.postgres.stored_rows import StoredPlace
from domain.view import View

PATIENCE: Final = 60.0
"""Seconds in which the indexes must come as far as the live generation has."""
POLL: Final = 0.02


class NextGeneration:
    """See replay.rebuild.NextGeneration. A context: what did not go live is dropped when it ends."""

    def __init__(
        self,
        partitions: Partitions,
        conninfo: str,
        views: Iterable[View[Any]],
        tables: str,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """`wait` sleeps so many seconds, or raises what is to end this. Raises NotPrepared if a rebuild is at work."""
        self._partitions = partitions
        self._views = tuple(views)
        self._wait = wait
        self._turns = Turns(partitions, {event for view in self._views for event in view.follows})
        self._connection = connect(conninfo)
        self._generations = Generations(self._connection, tables)
        try:
            self._generations.prepare()
            self.number = self._generations.make_next()
            self._cursors: dict[int, Cursor] = self._generations.begin(self.number, partitions.numbers())
        except BaseException:
            self._connection.close()
            raise
        self._applying = Applying(self._connection, self._generations, self.number, self._views, live=False)
        self._place = StoredPlace(conninfo, self._views, self.number)

    @property
    def total(self) -> int:
        return sum(self._turns.end(number) for number in self._cursors)

    def advance(self) -> int | None:
        batch = self._turns.next(self._cursors)
        if batch is None:
            return None
        self._applying.apply(batch)
        self._cursors.update({part.partition: part.cursor for part in batch.parts})
        return sum(cursor.sequence for cursor in self._cursors.values())

    def place(self) -> StoredPlace:
        return self._place

    def go_live(self) -> None:
        """Raises NotPrepared if the live generation stays ahead of what this node has read."""
        deadline = time.monotonic() + PATIENCE
        while (ahead := self._swap()) is not None:
            if time.monotonic() > deadline:
                raise NotPrepared(
                    f"the views show more of partition {ahead} than this node has read of it: try again once it has"
                )
            self._wait(POLL)
            while self.advance() is not None:
                pass
        self._place.close()
        self._generations.leave()
        self._generations.drop_leftovers()

    def _swap(self) -> int | None:
        """Take the live generation's place; or the number of a partition of which that one shows more."""
        with self._connection.transaction(), self._generations.swapping():
            live = self._generations.live()
            while (ahead := self._behind(live)) is not None and self.advance() is not None:
                pass
            if ahead is None or self._partitions.is_embedded:
                self._generations.make_live(self.number)
                return None
            return ahead

    def _behind(self, live: int | None) -> int | None:
        cursors = {} if live is None else self._generations.cursors(live)
        for number, cursor in cursors.items():
            if self._cursors.get(number, BEGINNING).sequence < cursor.sequence:
                return number
        return None

    def __enter__(self) -> "NextGeneration":
        return self

    def __exit__(self, *_: object) -> None:
        self._place.close()
        try:
            if not self._connection.broken:
                self._generations.leave()
                self._generations.drop_leftovers()
        finally:
            self._connection.close()
            self._partitions.close()
