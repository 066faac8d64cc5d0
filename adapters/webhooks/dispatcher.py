"""The dispatcher of a node: delivers to the webhooks and sinks of the tenants that are its, fairly and side by side.

Each has at most one step under way, so its events keep their order. It follows commits as they come and reads
what it tells from history; a tenant that changes hands is loaded again by the node that gets it.
"""

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Collection, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from adapters.sinks.sending import Sinks
from adapters.sinks.targets import objection as sink_objection
from adapters.webhooks.addresses import Resolver
from adapters.webhooks.book import Attempt, Book
from adapters.webhooks.clerk import Clerk
from adapters.webhooks.courier import Courier
from adapters.webhooks.delivering import SECOND, Delivering, Policy
from adapters.webhooks.hook import Hook, Progress
from adapters.webhooks.kinds import Kind, ReceiverId
from adapters.webhooks.loading import Readers
from adapters.webhooks.measures import Measures
from adapters.webhooks.message import Open
from adapters.webhooks.roster import Roster
from adapters.webhooks.telling import Webhooks
from adapters.webhooks.turns import Turns
from domain.event import Recorded
from domain.ids import TenantId
from domain.ledger import History, Ledger

MOST_AT_ONCE: Final = 256
MOST_EACH: Final = 8
"""Deliveries of one tenant that are under way at once."""
LOOK: Final = 1.0
LOOK_FOR_TENANTS: Final = 30.0
"""Seconds between looks at which tenants are this node's, where nobody says that it has changed."""
PRUNE: Final = 600.0
GRACE: Final = 3.0
"""Seconds that attempts under way get when the node stops."""
AFTER_A_DEFECT: Final = 60 * SECOND


class Dispatcher:
    """`start` and `stop` it on the event loop of the ledger; tell it of every commit, and of changes in what is its."""

    def __init__(
        self,
        *,
        history: History,
        head: Callable[[TenantId], int],
        ledger: Ledger,
        unseal: Open,
        clock: Callable[[], int],
        book: Path | None,
        metrics: CollectorRegistry,
        private: bool = False,
        mine: Callable[[TenantId], bool] = lambda _: True,
        courier: Courier | None = None,
        policy: Policy | None = None,
    ) -> None:
        """`mine` says whether this node delivers for a tenant. `private` allows plain HTTP and addresses near us."""
        self._head = head
        self._history = history
        self._clock = clock
        self._resolver = Resolver()
        self._courier = courier or Courier(self._resolver, private=private)
        self._book = Book(book)
        self._readers = Readers()
        self._delivering = Delivering(
            history=history,
            readers=self._readers,
            clerk=Clerk(ledger),
            book=self._book,
            clock=clock,
            policy=policy or Policy(),
            attempted=self._attempted,
        )
        kinds: tuple[Kind, ...] = (Webhooks(unseal, self._courier, clock), Sinks(unseal, self._courier, clock))
        self._roster = Roster(history, self._readers, self._book, kinds, clock, mine, self._stir)
        self._turns: Turns[tuple[TenantId, ReceiverId]] = Turns(MOST_AT_ONCE, MOST_EACH)
        self._timers: list[tuple[int, int, Hook]] = []
        self._ties = count()
        self._wake = asyncio.Event()
        self._has_turns = asyncio.Event()
        self._roster_wanted = asyncio.Event()
        self._has_changed = True
        """Whether other tenants may be this node's than when they were looked at last."""
        self._tasks: list[asyncio.Task[None]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._awaited: dict[tuple[ReceiverId, int], asyncio.Future[Attempt]] = {}
        self._measures = Measures(metrics, self._roster.all, head)

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._give_turns()),
            loop.create_task(self._keep_time()),
            loop.create_task(self._keep_roster()),
            loop.create_task(self._prune()),
        ]

    async def stop(self) -> None:
        """Begin nothing more, let attempts end that end soon, and say how far everything has come."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=GRACE)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, *self._roster.partings, return_exceptions=True)
        hooks = self._roster.all()
        await asyncio.gather(*(hook.hang_up() for hook in hooks), *(self._delivering.say(hook) for hook in hooks))
        await self._readers.close()
        await self._book.close()
        self._resolver.close()

    def committed(self, recorded: Collection[Recorded], heads: Mapping[TenantId, int]) -> None:
        """What a commit brought; on the event loop."""
        if self._roster.follow(recorded):
            self._roster_wanted.set()
        grown: dict[TenantId, list[Recorded]] = {tenant: [] for tenant in heads if self._roster.of(tenant)}
        if not grown:
            return
        for each in recorded:
            if each.tenant in grown:
                grown[each.tenant].append(each)
        for tenant, events in grown.items():
            for hook in self._roster.of(tenant):
                if not hook.passes_over(events):
                    self._stir(hook)

    def ownership_changed(self) -> None:
        """Other tenants are this node's than before."""
        self._roster.drop_others()
        self._has_changed = True
        self._roster_wanted.set()

    def look(self) -> None:
        """Look at the clock now."""
        self._wake.set()

    def objection(self, url: str) -> str | None:
        """Why a URL can't be a webhook's; None if it can."""
        return self._courier.objection(url)

    def sink_objection(self, target: str, settings: str, secrets: str | None) -> str | None:
        """Why a sink can't be set so; None if it can. `secrets` None: those that it has."""
        return sink_objection(target, settings, secrets, self._courier)

    def progress(self, tenant: TenantId, webhook: ReceiverId) -> Progress | None:
        """None if another node delivers to it."""
        hook = self._roster.get(tenant, webhook)
        return hook.progress(self._head(tenant), partial(self._history.instant_of, tenant)) if hook else None

    async def attempts(
        self, tenant: TenantId, webhook: ReceiverId, *, position: int | None, before: int, limit: int
    ) -> list[Attempt]:
        """Those that this node made, the newest first."""
        return await self._book.attempts(tenant, webhook, position=position, before=before, limit=limit)

    async def attempt_of(self, tenant: TenantId, webhook: ReceiverId, position: int, timeout: float) -> Attempt | None:
        """The attempt of a position, as soon as this node has made it; None after `timeout` seconds."""
        awaited = self._awaited.setdefault((webhook, position), asyncio.get_running_loop().create_future())
        try:
            made = await self.attempts(tenant, webhook, position=position, before=1 << 62, limit=1)
            if made:
                return made[0]
            async with asyncio.timeout(timeout):
                return await asyncio.shield(awaited)
        except TimeoutError:
            return None
        finally:
            self._awaited.pop((webhook, position), None)

    def _attempted(self, hook: Hook, attempt: Attempt) -> None:
        self._measures.attempted(hook, attempt)
        awaited = self._awaited.get((hook.id, attempt.position))
        if awaited is not None and not awaited.done():
            awaited.set_result(attempt)

    def _stir(self, hook: Hook) -> None:
        """Something has happened that may give it something to do."""
        hook.stirred = True
        if hook.task is not None:
            return
        if hook.has_cause(self._clock()):
            self._line_up(hook)
        elif hook.known.life == "active" and hook.place.due:
            self._wake_up(hook, hook.place.due)

    def _line_up(self, hook: Hook) -> None:
        self._turns.add(hook.tenant, (hook.tenant, hook.id))
        self._has_turns.set()

    async def _give_turns(self) -> None:
        while True:
            await self._has_turns.wait()
            self._has_turns.clear()
            while taken := self._turns.take():
                hook = self._roster.get(*taken[1])
                if hook is None or hook.task:
                    self._turns.over(taken[0])
                elif not self._roster.may_be_told(hook.tenant):
                    self._turns.over(taken[0])
                    self._roster.leave(hook)
                else:
                    hook.stirred = False
                    hook.task = asyncio.get_running_loop().create_task(self._turn(hook))
                    self._running.add(hook.task)
                    hook.task.add_done_callback(self._running.discard)

    async def _turn(self, hook: Hook) -> None:
        due: int | None = self._clock() + AFTER_A_DEFECT
        try:
            due = await self._delivering.step(hook, self._head(hook.tenant))
        except Exception as problem:
            structlog.get_logger().error("a delivery failed unexpectedly", tenant=hook.tenant, exc_info=problem)
        finally:
            hook.task = None
            self._turns.over(hook.tenant)
            self._has_turns.set()
            if self._roster.get(hook.tenant, hook.id) is not hook:
                await self._roster.see_off(hook)
        if due == 0:
            self._line_up(hook)
        elif due is None and hook.stirred:
            self._stir(hook)
        elif due is not None:
            self._wake_up(hook, due)

    def _wake_up(self, hook: Hook, due: int) -> None:
        if hook.timer != due:
            hook.timer = due
            heapq.heappush(self._timers, (due, next(self._ties), hook))
            self._wake.set()

    async def _keep_time(self) -> None:
        """Timers, and progress that the ledger should be told of."""
        loop = asyncio.get_running_loop()
        said = loop.time()
        while True:
            now = self._clock()
            while self._timers and self._timers[0][0] <= now:
                _, _, hook = heapq.heappop(self._timers)
                hook.timer = 0
                self._stir(hook)
            if loop.time() >= said + LOOK:
                said = loop.time()
                await self._say_what_is_due()
            until = (self._timers[0][0] - self._clock()) / SECOND if self._timers else LOOK
            await _set_within(self._wake, min(max(until, 0.01), LOOK))

    async def _say_what_is_due(self) -> None:
        due = [hook for hook in self._roster.all() if not hook.task and self._delivering.is_to_be_said(hook)]
        await asyncio.gather(*(self._delivering.say(hook) for hook in due))

    async def _keep_roster(self) -> None:
        """Loads what is this node's: at the start, when it changes, and now and then in case nobody said so."""
        loop = asyncio.get_running_loop()
        looked = -LOOK_FOR_TENANTS
        while True:
            try:
                for tenant in tuple(self._roster.to_load):
                    await self._roster.load(tenant)
                if self._has_changed or loop.time() >= looked + LOOK_FOR_TENANTS:
                    self._has_changed, looked = False, loop.time()
                    await self._roster.look()
            except Exception as problem:
                self._has_changed = True
                structlog.get_logger().error("webhooks can't be loaded", exc_info=problem)
                await asyncio.sleep(LOOK)
            await _set_within(self._roster_wanted, LOOK_FOR_TENANTS)

    async def _prune(self) -> None:
        while True:
            await self._book.prune(self._clock())
            await asyncio.sleep(PRUNE)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Wait until it is set, or for so many seconds. `wait_for` of Python 3.11 can lose a cancellation; this can't."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
