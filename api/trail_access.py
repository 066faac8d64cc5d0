"""Access to the trail is recorded before it is answered, and folded: reading page after page writes one event a minute.

The first answer to a question writes TrailAccessed, which says until when the same caller's further answers to it are
covered; what they came to is written as one summary once that is over. Somebody who asks very many different questions
is covered by one event for all of them. A node that dies in between loses the sums, and never the access itself.
"""

import asyncio
import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import structlog
from prometheus_client import Counter

from domain.audit import ACCESSES, RecordAccess, SummariseAccesses
from domain.command import Refused
from domain.event import Code, Entry, Instant
from domain.ledger import AuthorityChanged, Caller, NotReady, QueueFull

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.acting import Reading
    from api.wiring import Node

WINDOW: Final = 60_000_000
"""Microseconds for which one event covers what follows it."""
SINGLY: Final = 10
"""Questions of one caller within a window that are recorded each by itself."""
MOST_WINDOWS: Final = 10_000
MOST_TEXT: Final = 500
_LOOK: Final = 5.0
_MANY: Final = "many"

Key = tuple[str, str, str | None, str, str]


class Told(NamedTuple):
    """What an answer held: so many events between two positions (0: none), and so many personal values opened."""

    events: int = 0
    first: int = 0
    last: int = 0
    unsealed: int = 0


NOTHING: Final = Told()


def told(positions: "Iterable[int]", unsealed: int = 0) -> Told:
    """What an answer with events at these positions held."""
    found = list(positions)
    return Told(len(found), min(found, default=0), max(found, default=0), unsealed)


def tells_only_accesses(entries: "Iterable[Entry]") -> bool:
    """Whether an answer holds nothing but accesses: a consumer that follows the trail would feed on itself."""
    return all(isinstance(each.event, ACCESSES) for each in entries)


class _Window:
    """What one event covers."""

    def __init__(self, since: int, kind: str, question: str, by: Caller) -> None:
        self.since, self.until = since, since + WINDOW
        self.kind, self.question, self.by = kind, question, by
        self.recorded: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether the event is in the ledger, once that is known."""
        self.accesses = self.count = self.first = self.last = self.unsealed = 0

    def add(self, more: Told) -> None:
        self.accesses += 1
        self.count += more.events
        self.unsealed += more.unsealed
        if more.events:
            self.first = min(self.first or more.first, more.first)
            self.last = max(self.last, more.last)


class Accesses:
    """Of one node; lives on its event loop."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._open: OrderedDict[Key, _Window] = OrderedDict()
        self._asked: OrderedDict[tuple[str, str, str | None], tuple[int, int]] = OrderedDict()
        """By caller: when a window began, and how many questions were recorded singly since."""
        self._over: list[_Window] = []
        self._task: asyncio.Task[None] | None = None
        self._counter = Counter(
            "muniment_trail_accesses",
            "Answers from the trail, by what was asked, and whether an event was written for it.",
            ("kind", "recorded"),
            registry=node.metrics,
        )

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_summarising())

    async def stop(self) -> None:
        """Writes the sums of what is open."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._over += self._open.values()
        self._open.clear()
        with contextlib.suppress(NotReady, QueueFull):
            await self._summarise()

    async def note(
        self, reading: "Reading", kind: str, question: str, answer: Told = NOTHING, *, singly: bool = False
    ) -> None:
        """Returns once the access is in the ledger, so that it can be answered; raises what the ledger raises.

        `question` names nobody. `singly`: an event of its own, whatever was asked before.
        """
        question = question if len(question) <= MOST_TEXT else question[: MOST_TEXT - 1] + "…"
        if singly:
            self._counter.labels(kind, "yes").inc()
            await self._record(reading, kind, question, answer, Instant(self._node.clock()))
            return
        while True:
            now = self._node.clock()
            key, window = self._covering(reading, kind, question, now)
            if window is None:
                await self._open_window(reading, key, now, answer)
                self._counter.labels(kind, "yes").inc()
                return
            if await asyncio.shield(window.recorded):
                window.add(answer)
                self._counter.labels(kind, "folded").inc()
                return

    def _covering(self, reading: "Reading", kind: str, question: str, now: int) -> tuple[Key, _Window | None]:
        who = (reading.tenant, reading.credential.actor_id, reading.credential.id)
        key = (*who, kind, question)
        window = self._current(key, now)
        if window is None:
            since, asked = self._asked.pop(who, (now, 0))
            if now - since > WINDOW:
                since, asked = now, 0
            if asked >= SINGLY:
                key = (*who, _MANY, _MANY)
                window = self._current(key, now)
            self._asked[who] = (since, asked + (window is None))
            if len(self._asked) > MOST_WINDOWS:
                self._asked.popitem(last=False)
        return key, window

    def _current(self, key: Key, now: int) -> _Window | None:
        window = self._open.get(key)
        if window is not None and now >= window.until:
            self._over.append(self._open.pop(key))
            return None
        return window

    async def _open_window(self, reading: "Reading", key: Key, now: int, answer: Told) -> None:
        _, _, _, kind, question = key
        window = self._open[key] = _Window(now, kind, question, reading.as_caller())
        if len(self._open) > MOST_WINDOWS:
            self._over.append(self._open.popitem(last=False)[1])
        try:
            await self._record(reading, kind, question, answer, Instant(window.until))
        except BaseException:
            if self._open.get(key) is window:
                del self._open[key]
            window.recorded.set_result(False)
            raise
        window.recorded.set_result(True)

    async def _record(self, reading: "Reading", kind: str, question: str, answer: Told, until: Instant) -> None:
        command = RecordAccess(
            Code(kind), Code(question), answer.events, answer.first, answer.last, answer.unsealed, until
        )
        await reading.execute(command)
        if reading.at.position:
            reading.answer_position(reading.at.position)

    async def _keep_summarising(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            now = self._node.clock()
            for key in [key for key, window in self._open.items() if now >= window.until]:
                self._over.append(self._open.pop(key))
            try:
                await self._summarise()
            except (NotReady, QueueFull):
                continue
            except Exception as problem:
                structlog.get_logger().error("summing up accesses failed", exc_info=problem)

    async def _summarise(self) -> None:
        while self._over:
            window = self._over.pop()
            try:
                if window.accesses:
                    await self._write(window)
            except (NotReady, QueueFull):
                self._over.append(window)
                raise

    async def _write(self, window: _Window) -> None:
        authority = msgspec.structs.replace(window.by.authority, holds=())
        by = msgspec.structs.replace(window.by, authority=authority, idempotency=None)
        command = SummariseAccesses(
            Code(window.kind),
            Code(window.question),
            window.accesses,
            window.count,
            window.first,
            window.last,
            window.unsealed,
            Instant(window.since),
            Instant(min(window.until, self._node.clock())),
        )
        with contextlib.suppress(Refused, AuthorityChanged):
            await self._node.ledger.execute(command, by)
