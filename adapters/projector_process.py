"""The projector as a process of its own, seen from its parent: started, poked, listened to, started again, ended.

The child is told through its standard input that the log has grown, by a full stop, and which partitions are its own
from now on, by a line like `=1,3,5`; it ends when that closes: a parent that is killed leaves no projector behind. It
says on its standard output how far it has come, a line of JSON for each partition in each batch. Secrets reach it in
its environment, never in its arguments; of ours it gets nothing but how to reach PostgreSQL.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from adapters.postgres.progress import Progress
from domain.ids import TenantId

POSTGRES: Final = "MUNIMENT_POSTGRES"
"""The environment variable in which the child finds the conninfo."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
PATIENCE: Final = 10.0
"""Seconds that a batch may take to end before the child is killed."""
LONGEST_LINE: Final = 1 << 24
_SOURCES: Final = Path(__file__).parent.parent


class Told(msgspec.Struct, omit_defaults=True):
    """A line of the child's. An empty one says that nothing is in the way."""

    partition: int | None = None
    """Which one the line is about; None if it is about all."""
    sequence: int | None = None
    """How far its log was read."""
    heads: dict[TenantId, int] | None = None
    """Where the tenants in the batch are now; None if all may have changed."""
    problem: str | None = None
    """What is in the way, if anything."""
    step: str | None = None
    """Of a rebuild: applied (events) or compared (tenants)."""
    done: int = 0
    total: int = 0


encode_told: Final = msgspec.json.Encoder().encode
_decode_told: Final = msgspec.json.Decoder(Told).decode


class RebuildFailed(Exception):
    """The live views are as they were; the message says why."""


class Child:
    """One run of a command, which listens to us and tells."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def spawn(cls, command: Sequence[str], environment: Mapping[str, str]) -> "Child":
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            limit=LONGEST_LINE,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def lines(self) -> AsyncIterator[Told]:
        """Until it ends. Raises ValueError for what is no line of ours."""
        pipe = self._process.stdout
        while pipe is not None and (line := await pipe.readline()):
            yield _decode_told(line)

    def poke(self) -> None:
        pipe = self._process.stdin
        if pipe is not None and not pipe.is_closing() and not pipe.transport.get_write_buffer_size():
            pipe.write(b".")

    def assign(self, partitions: Iterable[int]) -> None:
        pipe = self._process.stdin
        if pipe is not None and not pipe.is_closing():
            pipe.write(b"=%s\n" % ",".join(map(str, sorted(partitions))).encode())

    async def end(self, patience: float) -> int:
        """Let it end what it is at, for so many seconds; answers its code."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._process.wait(), patience)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        return await self._process.wait()


class ProjectorProcess:
    """Runs `command` until it is stopped; feeds `progress`. Lives on one event loop."""

    def __init__(self, command: Sequence[str], conninfo: str, progress: Progress) -> None:
        self._command = tuple(command)
        self._environment = environment_of(conninfo)
        self._progress = progress
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._pause = FIRST_PAUSE
        self._assigned: frozenset[int] | None = None
        self._problems: dict[int | None, str] = {None: "the projector is starting"}
        self.sequences: dict[int, int] = {}
        """How far the log of each partition that the child projects has been read."""
        self.restarts = 0

    @property
    def sequence(self) -> int:
        """How many events have been read."""
        return sum(self.sequences.values())

    @property
    def problem(self) -> str | None:
        """What is in the way, if anything: of all partitions, or of one."""
        return self._problems.get(None) or next(iter(self._problems.values()), None)

    @property
    def pid(self) -> int | None:
        """The child's, while it runs."""
        return self._child.pid if self._child is not None and self._child.is_running else None

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_running())

    def poke(self) -> None:
        """The log has grown. Never blocks; pokes that the child has not read yet are one."""
        if self._child is not None:
            self._child.poke()

    def assign(self, partitions: frozenset[int]) -> None:
        """From now on the child projects these, and lets go of others once the batch under way is stored.

        A child whose log is a single file needs not be told.
        """
        self._assigned = partitions
        self.sequences = {number: sequence for number, sequence in self.sequences.items() if number in partitions}
        for lost in self._problems.keys() - {None, *partitions}:
            del self._problems[lost]
        if self._child is not None:
            self._child.assign(partitions)

    async def stop(self) -> None:
        """Once the batch under way is stored."""
        self._stopping.set()
        if self._child is not None:
            await self._child.end(PATIENCE)
        if self._task is not None:
            await self._task

    async def _keep_running(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._run_once()
            except OSError as problem:
                self._problems[None] = f"the projector can't be started: {problem.strerror}"
            self._progress.forget()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._pause)
                return
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self.restarts += 1

    async def _run_once(self) -> None:
        child = self._child = await Child.spawn(self._command, self._environment)
        if self._stopping.is_set():
            await child.end(PATIENCE)
        elif self._assigned is not None:
            child.assign(self._assigned)
        try:
            async for told in child.lines():
                self._hear(told)
        except ValueError:
            problem = "the projector said something that was not understood; it is started again"
        else:
            problem = self._problems.get(None, "the projector ended; it is started again")
        self._problems = {None: problem}
        await child.end(PATIENCE if self._stopping.is_set() else 0)

    def _hear(self, told: Told) -> None:
        if told.problem is not None:
            self._problems[told.partition] = told.problem
            return
        self._problems.pop(None, None)
        number = told.partition
        if number is None or told.sequence is None:
            return
        self._pause = FIRST_PAUSE
        self._problems.pop(number, None)
        if self._assigned is None or number in self._assigned:
            self.sequences[number] = told.sequence
        if told.heads is None:
            self._progress.forget()
        else:
            self._progress.advance(told.heads)


async def run_rebuild(command: Sequence[str], conninfo: str, progress: Callable[[str, int, int], None]) -> None:
    """Rebuild the views in a child, telling steps, and done of total. Raises RebuildFailed; cancelled, it is undone."""
    child = await Child.spawn(command, environment_of(conninfo))
    problem = "the rebuild ended before it was done"
    try:
        async for told in child.lines():
            problem = told.problem or problem
            if told.step is not None:
                progress(told.step, told.done, told.total)
    finally:
        code = await child.end(PATIENCE)
    if code != 0:
        raise RebuildFailed(problem)


def environment_of(conninfo: str) -> dict[str, str]:
    """The child's: ours without our settings and secrets, and with the way to PostgreSQL."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUNIMENT_")}
    sources = [str(_SOURCES), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, POSTGRES: conninfo, "PYTHONPATH": os.pathsep.join(sources)}
