"""The projector: follows the log and keeps the stored views current, batch after batch, each exactly once.

Nodes that share a PostgreSQL project each its own partitions of the one live generation. Who holds a partition's lock
is its only writer, and goes on from the cursor that the one before has committed.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final, Protocol, TypeVar

import psycopg

from adapters.index.batches import Turns, UnlikeTheLog
from adapters.index.partitions import Partitions
from adapters.postgres.applying import Applying, Batch, Diverged, Superseded, connect
from adapters.postgres.generations import Cursor, Generations, NotPrepared
from domain.ids import TenantId
from domain.view import View

T = TypeVar("T")

POLL: Final = 0.1
"""Seconds after which the log is looked at even if nobody said that it has grown."""
LINGER: Final = 0.02
"""Seconds between the beginnings of two small batches: under load fewer and larger ones cost less."""
LOOK: Final = 1.0
"""Seconds after which an idle projector looks whether PostgreSQL and its generation are still there."""
LONGEST_PAUSE: Final = 2.0
HANDING_OVER: Final = 5.0
"""Seconds in which another node lets go of a partition; what takes longer is told."""
CATCHING_UP: Final = 30.0
"""Seconds in which an index comes as far as another node's was; what takes longer is told."""
AWAY: Final = "PostgreSQL can't be reached or written; the views wait for it"
ANOTHER: Final = "another projector is at work; this one waits for it to end"
ANOTHER_NODE: Final = "another node still projects partition {}; this one waits for it to let go"
BEHIND: Final = "the views show more of partition {} than this node has read of it; they wait for that"
ANOTHER_VERSION: Final = "another version of Muniment makes the views now; this one waits: upgrade this node too"


class Parent(Protocol):
    """Who started the projector: says what it is to do, and is told how far it is."""

    @property
    def assigned(self) -> frozenset[int]:
        """The partitions that are this projector's, as of the last `wait`."""
        ...

    def wait(self, seconds: float) -> bool:
        """Until something was said, the log has grown, or for so many seconds; False once this is to end."""
        ...

    def ready(self) -> None:
        """Nothing is in the way."""
        ...

    def advanced(self, partition: int, sequence: int, heads: Mapping[TenantId, int] | None) -> None:
        """A partition is shown up to a sequence; the heads of what was new, or None where all are to be asked for."""
        ...

    def troubled(self, problem: str, partition: int | None = None) -> None:
        """What is in the way: of one partition, or of all."""
        ...


class Projector:
    """Keeps the partitions that are assigned at the end of their log, in the live generation.

    A generation that is unlike the log, or ahead of a log that only this node writes, is dropped and built again from
    zero; other projectors notice, and go on with the new one.
    """

    def __init__(
        self, partitions: Partitions, conninfo: str, views: Iterable[View[Any]], tables: str, parent: Parent
    ) -> None:
        self._partitions = partitions
        self._conninfo = conninfo
        self._views = tuple(views)
        self._tables = tables
        self._parent = parent

    def run(self) -> None:
        """Until the parent wants it to end. While PostgreSQL is away, it tries again and again."""
        parent, pause = self._parent, POLL
        while parent.wait(0):
            try:
                with closing(connect(self._conninfo, lapses=True)) as connection:
                    pause = POLL
                    self._project(Generations(connection, self._tables), connection)
            except (psycopg.OperationalError, psycopg.InterfaceError) as problem:
                parent.troubled(f"{AWAY} ({type(problem).__name__})")
            except NotPrepared as problem:
                parent.troubled(str(problem))
            parent.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _project(self, generations: Generations, connection: psycopg.Connection[Any]) -> None:
        parent = self._parent
        generations.prepare()
        while parent.wait(0):
            generation = generations.live() or generations.prepare()
            if not generations.has_our_shape(generation):
                parent.troubled(ANOTHER_VERSION)
                parent.wait(LOOK)
                continue
            if not generations.enter(generation):  # it is being made or dropped
                parent.wait(POLL)
                continue
            announces = not self._partitions.is_embedded
            applying = Applying(connection, generations, generation, self._views, announces=announces)
            try:
                _Following(parent, self._partitions, generations, applying, self._views).run()
            except (UnlikeTheLog, Diverged) as problem:
                parent.troubled(f"{problem}: they are built again")
                generations.leave()
                generations.start_over(generation)
            except Superseded:
                generations.leave()
                generations.drop_leftovers()


class _Following:
    """One generation, for as long as it is the live one. The indexes are read by a thread of its own."""

    def __init__(
        self,
        parent: Parent,
        partitions: Partitions,
        generations: Generations,
        applying: Applying,
        views: Iterable[View[Any]],
    ) -> None:
        self._parent = parent
        self._partitions = partitions
        self._generations = generations
        self._applying = applying
        self._turns = Turns(partitions, {event for view in views for event in view.follows})
        self._reader = ThreadPoolExecutor(1, "log")
        self._ahead: Future[Batch | None] | None = None
        self._held: dict[int, Cursor] = {}
        self._try_at = self._look_at = 0.0
        self._waiting: dict[int, float] = {}
        """Since when the partitions that can't be read or written yet are waited for."""
        self._told: set[int] = set()
        """Those of them that the parent knows of."""

    def run(self) -> None:
        """Raises UnlikeTheLog, Diverged, Superseded, or what psycopg raises."""
        try:
            self._parent.ready()
            while self._parent.wait(0):
                self._step(time.monotonic())
        finally:
            self._reader.shutdown()
            self._partitions.close()

    def _step(self, now: float) -> None:
        self._follow_assignment(now)
        batch = self._next()
        if batch is None:
            if now > self._look_at + LOOK:
                self._applying.check()
                if self._generations.has_leftovers:
                    self._generations.drop_leftovers()
                self._look_at = now
            self._parent.wait(POLL)
            return
        after = self._held | {part.partition: part.cursor for part in batch.parts}
        if batch.is_full:  # there is more: decode it while PostgreSQL works
            self._ahead = self._reader.submit(self._turns.next, after)
        self._applying.apply(batch)
        self._held = after
        for part in batch.parts:
            heads = {tenant: position for tenant, (position, _) in part.heads.items()}
            self._parent.advanced(part.partition, part.cursor.sequence, heads)
        if not batch.is_full:
            time.sleep(max(0.0, now + LINGER - time.monotonic()))

    def _next(self) -> Batch | None:
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            return ahead.result()
        return self._read(self._turns.next, self._held) if self._held else None

    def _read(self, ask: Callable[..., T], *parameters: Any) -> T:
        return self._reader.submit(ask, *parameters).result()

    def _follow_assignment(self, now: float) -> None:
        assigned = self._parent.assigned
        if lost := self._held.keys() - assigned:
            self._let_go(lost)
        wanted = assigned - self._held.keys()
        if wanted and (now >= self._try_at or wanted - self._waiting.keys()):
            self._take(wanted)
            self._try_at = now + POLL
        if wanted or self._turns.behind or self._waiting:
            self._tell_waiting(assigned, now)

    def _let_go(self, lost: Collection[int]) -> None:
        """What is remembered of them would be wrong when they come back."""
        self._ahead = None
        self._applying.forget()
        self._generations.let_go(self._applying.generation, lost)
        for number in lost:
            del self._held[number]
            self._read(self._turns.drop, number)

    def _take(self, wanted: Collection[int]) -> None:
        for number, cursor in self._generations.take(self._applying.generation, wanted).items():
            self._read(self._turns.stands, number, cursor)
            self._held[number] = cursor
            self._parent.advanced(number, cursor.sequence, None)

    def _tell_waiting(self, assigned: Collection[int], now: float) -> None:
        for number in assigned | self._waiting.keys():
            problem, patience = self._what_is_waited_for(number, assigned)
            if problem is None:
                self._waiting.pop(number, None)
                if number in self._told:
                    self._told.discard(number)
                    if number in self._held:
                        self._parent.advanced(number, self._held[number].sequence, None)
            elif now >= self._waiting.setdefault(number, now) + patience and number not in self._told:
                self._told.add(number)
                self._parent.troubled(problem.format(number), number)

    def _what_is_waited_for(self, number: int, assigned: Collection[int]) -> tuple[str | None, float]:
        """In the way of a partition, if anything, and after how many seconds it is to be told."""
        if number not in assigned:
            return None, 0
        if number not in self._held:
            return (ANOTHER, 0) if self._partitions.is_embedded else (ANOTHER_NODE, HANDING_OVER)
        return (BEHIND, CATCHING_UP) if number in self._turns.behind else (None, 0)
