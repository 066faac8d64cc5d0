"""The stored side of a node: PostgreSQL, the projector, and how far behind the views are.

Nothing here keeps a node from writing: while PostgreSQL is away, it is started or looked for again and again.
"""

import asyncio
import contextlib
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Final, Literal

import structlog
from prometheus_client import CollectorRegistry, Gauge

from adapters.embedded_postgres import EmbeddedPostgres, PostgresUnavailable, ensure_database
from adapters.postgres.progress import Progress
from adapters.postgres.reading import PostgresViews
from adapters.postgres.stored_rows import StoredPlace
from adapters.projector_process import ProjectorProcess, RebuildFailed, run_rebuild
from domain.ids import TenantId
from domain.view import StoredViews, ViewUnavailable
from projections.every import EVERY_VIEW

LOOK_AGAIN: Final = 1.0
SLOW_DOWN_FROM: Final = 0.5
"""Seconds of lag from which the writer waits for the views."""
LONGEST_WAIT: Final = 0.25

State = Literal["current", "behind", "unavailable"]


class StoredSide:
    """Lives on the node's event loop.

    The embedded log is partition 0, and this node's. Of a ledger with many partitions, this node projects those that
    are assigned to it; lag and pace are about these.
    """

    def __init__(
        self,
        ledger: Path,
        folder: Path,
        conninfo: str | None,
        metrics: CollectorRegistry,
        partition_of: Callable[[TenantId], int] | None = None,
    ) -> None:
        """`ledger` is the embedded log's file, or the folder of the partitions' indexes, which is there already.

        `partition_of` says where tenants live; without it, reads ask a little more often how far other nodes are.
        """
        self._ledger = ledger
        self._is_embedded = not ledger.is_dir()
        self._partition_of = partition_of
        self._assigned: frozenset[int] = frozenset({0}) if self._is_embedded else frozenset()
        self._embedded = None if conninfo else EmbeddedPostgres(folder)
        self._conninfo = conninfo
        self._progress = Progress()
        self._views: PostgresViews | None = None
        self._projector: ProjectorProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self._commits: defaultdict[int, deque[tuple[float, int]]] = defaultdict(deque)
        self._sequences: dict[int, int] = {}
        self.rebuilding: RebuildProgress | None = None
        """The last rebuild since the start, if there was one."""
        self._rebuild: asyncio.Task[None] | None = None
        self._measure(metrics)

    def _measure(self, metrics: CollectorRegistry) -> None:
        gauges = (
            ("muniment_views_lag_seconds", "Since when the views lack something that is recorded.", self.lag),
            ("muniment_views_lag_events", "How many recorded events the views lack.", self._lacking),
            ("muniment_projector_restarts", "How often the projector was started again.", self._restarts),
        )
        for name, help_text, value in gauges:
            Gauge(name, help_text, registry=metrics).set_function(value)

    async def start(self, sequences: int | Mapping[int, int]) -> None:
        """`sequences`: where the log of each partition ends now; a single one is of the embedded log."""
        self._sequences |= {0: sequences} if isinstance(sequences, int) else sequences
        await self._open()
        self._watch = asyncio.get_running_loop().create_task(self._keep_open())

    async def stop(self) -> None:
        for task in (self._watch, self._rebuild):
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._projector:
            await self._projector.stop()
        if self._views:
            await self._views.aclose()
        if self._embedded:
            await asyncio.to_thread(self._embedded.stop)

    @property
    def views(self) -> StoredViews:
        """Raises ViewUnavailable before PostgreSQL could be reached for the first time."""
        if self._views is None:
            raise ViewUnavailable
        return self._views

    @property
    def conninfo(self) -> str:
        """How to reach PostgreSQL; raises ViewUnavailable before it could be reached."""
        if self._views is None or self._conninfo is None:
            raise ViewUnavailable
        return self._conninfo

    @property
    def problem(self) -> str | None:
        """What is in the way of the views, if anything."""
        return "PostgreSQL can't be reached" if self._projector is None else self._projector.problem

    @property
    def state(self) -> State:
        if self.problem:
            return "unavailable"
        return "behind" if self._lacking() else "current"

    def assign(self, partitions: frozenset[int]) -> None:
        """From now on this node projects these partitions of a ledger that has many."""
        self._assigned = partitions
        for lost in self._commits.keys() - partitions:
            del self._commits[lost]
        if self._projector:
            self._projector.assign(partitions)

    def grown(self, sequence: int, partition: int = 0) -> None:
        """A partition's log has grown to this sequence, in this node's index too."""
        self._sequences[partition] = sequence
        if partition in self._assigned:
            self._commits[partition].append((time.monotonic(), sequence))
            if self._projector:
                self._projector.poke()

    def lag(self) -> float:
        """Seconds since the oldest event that the views lack was recorded."""
        return max(map(self._lag_of, self._assigned), default=0.0)

    def _lag_of(self, partition: int) -> float:
        commits, reached = self._commits[partition], self._reached(partition)
        while commits and commits[0][1] <= reached:
            commits.popleft()
        return time.monotonic() - commits[0][0] if commits else 0.0

    def _reached(self, partition: int) -> int:
        return self._projector.sequences.get(partition, 0) if self._projector else 0

    def pace(self, partition: int = 0) -> float:
        """How many seconds a partition's writer should wait before its next batch, so that the views can follow."""
        if self._projector is None or self._projector.problem or partition not in self._assigned:
            self._commits.pop(partition, None)
            return 0.0
        behind = self._lag_of(partition) - SLOW_DOWN_FROM
        return min(LONGEST_WAIT, behind / 4) if behind > 0 else 0.0

    @property
    def place(self) -> StoredPlace:
        """The live rows, for verifying them; raises ViewUnavailable before PostgreSQL could be reached."""
        return StoredPlace(self.conninfo, EVERY_VIEW)

    def begin_rebuild(self) -> "RebuildProgress":
        """Make the views anew beside the live ones and put them in place, unless that is under way; how far it is.

        Raises ViewUnavailable.
        """
        if self.rebuilding is None or self.rebuilding.state != "running":
            progress = RebuildProgress()
            command = (sys.executable, "-m", "api.projector", str(self._ledger), "rebuild")
            work = run_rebuild(command, self.conninfo, progress.tell)
            self._rebuild = asyncio.get_running_loop().create_task(progress.of(work))
            self.rebuilding = progress
        return self.rebuilding

    def _lacking(self) -> int:
        return sum(max(0, self._sequences.get(each, 0) - self._reached(each)) for each in self._assigned)

    def _is_elsewhere(self, tenant: TenantId, partitions: frozenset[int]) -> bool:
        """Whether another node has projected the tenant, if these are the partitions that some node projected."""
        told = self._projector.sequences.keys() if self._projector else frozenset[int]()
        others = partitions - told
        return bool(others) if self._partition_of is None else self._partition_of(tenant) in others

    def _restarts(self) -> int:
        return self._projector.restarts if self._projector else 0

    async def _open(self) -> None:
        try:
            if self._embedded:
                self._conninfo = await asyncio.to_thread(self._embedded.start)
            elif self._conninfo:
                await asyncio.to_thread(ensure_database, self._conninfo)
        except PostgresUnavailable as problem:
            structlog.get_logger().warning("stored views are away", problem=str(problem))
            return
        if self._views is None and self._conninfo:
            elsewhere = None if self._is_embedded else self._is_elsewhere
            self._views = PostgresViews(self._conninfo, self._progress, elsewhere=elsewhere)
            command = (sys.executable, "-m", "api.projector", str(self._ledger))
            self._projector = ProjectorProcess(command, self._conninfo, self._progress)
            if not self._is_embedded:
                self._projector.assign(self._assigned)
            await self._projector.start()

    async def _keep_open(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            if self._views is None or (self._embedded and not self._embedded.alive()):
                with contextlib.suppress(OSError):
                    await self._open()


class RebuildProgress:
    """How far a rebuild is; `state` is running, done or failed."""

    def __init__(self) -> None:
        self.state: Literal["running", "done", "failed"] = "running"
        self.step = "starting"
        self.done = self.total = 0
        self.problem: str | None = None

    def tell(self, step: str, done: int, total: int) -> None:
        self.step, self.done, self.total = step, done, total

    async def of(self, work: Coroutine[None, None, None]) -> None:
        """Until the work is done, one way or another."""
        try:
            await work
            self.state = "done"
        except RebuildFailed as failure:
            self.state, self.problem = "failed", str(failure)
        except BaseException:
            self.state, self.problem = "failed", "the rebuild was interrupted: start it again"
            raise
