"""Archiving: what a node does by itself for the archives of the tenants whose commands it decides.

What is new is taken in once it has waited long enough, or is much; small files are merged, new ones verified. Slowly,
every file is read again and compared with the log. What is older than a tenant's retention is trimmed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

import structlog

from api.archive_metrics import ArchiveMetrics
from api.trimming import holds_of, trim
from domain.command import Refused
from domain.ids import DEPLOYMENT, TenantId
from domain.ledger import NotReady, QueueFull

if TYPE_CHECKING:
    from adapters.archive.archive import Archive, Status
    from adapters.archive.verification import Problem, Verified
    from api.wiring import Node

T = TypeVar("T")
MUCH: Final = 50_000
"""Events that are archived although they have not waited long."""
LOOK: Final = 1.0
KEEP: Final = 3_600.0
"""Seconds between looks at what is older than a retention, and at what was left lying around."""
SHARE: Final = 10
"""The endless verification rests this many times as long as a file took."""
AUDIT: Final = 86_400.0
AUDIT_FAR: Final = 7 * AUDIT
"""Seconds between two rounds of it; reading a bucket costs something."""
AFTER_TROUBLE: Final = 60.0
QUIET: Final = 10.0
"""Seconds between two failures that are logged; all are counted."""
PATIENCE: Final = 20.0
"""Seconds that a request waits for other work on the same archive."""
MOST_VERIFIED: Final = 500_000
"""Events that one request for verification reads, give or take a file."""


class Busy(Exception):
    """The tenant's archive is being worked on; try again in a moment."""


class Archiving:
    """Start and stop it on the event loop of the ledger; tell it of every commit, and of changes in what is its."""

    def __init__(
        self,
        node: "Node",
        archive: "Archive",
        seconds: float,
        *,
        on: bool,
        checkpoint: Callable[[TenantId], str | None] = lambda _: None,
    ) -> None:
        """`checkpoint` gives the newest signed one of the deployment."""
        self.archive = archive
        self._node = node
        self._seconds = seconds
        self._on = on
        self._checkpoint = checkpoint
        self._heads: dict[TenantId, int] = {}
        """Of tenants that may have something new."""
        self._since: dict[TenantId, float] = {}
        """When they began to have it."""
        self._not_before: dict[TenantId, float] = {}
        """When those that failed are tried again."""
        self._untidy: set[TenantId] = set()
        """Where files have left the manifest since they were deleted last."""
        self._looked_through: set[TenantId] = set()
        """Where what a crash left was looked for."""
        self._said = 0.0
        self._reached: dict[TenantId, int] = {}
        self._locks: WeakValueDictionary[TenantId, asyncio.Lock] = WeakValueDictionary()
        self._threads = ThreadPoolExecutor(4, "archive")
        self._flying: set[asyncio.Future[Any]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._look_again = True
        self.problems: dict[TenantId, tuple[Problem, ...]] = {}
        """Where an archive was not the log when it was verified last."""
        self._metrics = ArchiveMetrics(node.metrics, self._lag, self._waiting, lambda: len(self.problems))

    def _lag(self) -> int:
        return sum(head - self._reached.get(tenant, head) for tenant, head in self._heads.items())

    def _waiting(self) -> float:
        return max((time.monotonic() - since for since in self._since.values()), default=0.0)

    def start(self) -> None:
        self.archive.start()
        for each in (self._take_in, self._keep, self._audit) if self._on else ():
            self._tasks.append(asyncio.get_running_loop().create_task(self._forever(each)))

    async def stop(self) -> None:
        """What is under way ends first; the rest is archived when the node starts again."""
        self.archive.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._flying:
            await asyncio.wait(self._flying)
        self._threads.shutdown(wait=False)

    def committed(self, heads: Mapping[TenantId, int]) -> None:
        """These tenants have grown."""
        if not self._on:
            return
        now = time.monotonic()
        for tenant, head in heads.items():
            self._heads[tenant] = head
            self._since.setdefault(tenant, now)

    def ownership_changed(self) -> None:
        """Other tenants may be this node's than when they were looked at last."""
        self._look_again = True

    async def take_in(self, tenant: TenantId) -> "Status":
        """Archive everything up to the head now. Raises Busy, and the archive's failures."""
        async with self._work_on(tenant):
            status, new = await self.on_thread(lambda: self.archive.take_in(tenant, self._checkpoint(tenant)))
            self._metrics.taken.inc(new)
            self._reached[tenant] = status.last
            if self._heads.get(tenant, 0) <= status.last:
                self._heads.pop(tenant, None)
                self._since.pop(tenant, None)
            self._not_before.pop(tenant, None)
            if new:
                if await self.on_thread(self.archive.compact, tenant):
                    self._untidy.add(tenant)
                await self._verify_new(tenant)
                status = await self.on_thread(self.archive.status, tenant)
        return status

    async def _verify_new(self, tenant: TenantId) -> None:
        status = await self.on_thread(self.archive.status, tenant)
        checked = status.checked.last if status.checked else 0
        while checked < status.last:
            verified = await self._verified_from(tenant, checked)
            if verified.problems or verified.last <= checked:
                return
            checked = verified.last

    async def verify(self, tenant: TenantId, after: int) -> "Verified":
        """A stretch of the archive against the log. Raises Busy, and the archive's failures."""
        async with self._work_on(tenant):
            return await self._verified_from(tenant, after)

    async def _verified_from(self, tenant: TenantId, after: int) -> "Verified":
        verified = await self.on_thread(lambda: self.archive.verify(tenant, after=after, most=MOST_VERIFIED))
        self._metrics.verified.inc(verified.events)
        self._note(verified)
        return verified

    def _note(self, verified: "Verified") -> None:
        tenant = verified.tenant
        others = [each for each in self.problems.get(tenant, ()) if not verified.covers(each)]
        self.problems[tenant] = (*others, *verified.problems)
        if not self.problems[tenant]:
            del self.problems[tenant]
        known = self.problems.get(tenant, ())
        self._node.findings.looked(
            "archive", tenant, [f"{each.file}, {each.first or 'all'}: {each.what}" for each in known]
        )
        for each in verified.problems:
            place = {"file": each.file, "position": each.first}
            structlog.get_logger().error("the archive differs from the log", tenant=tenant, problem=each.what, **place)

    async def status(self, tenant: TenantId) -> "Status":
        """Raises the archive's failures."""
        return await self.on_thread(self.archive.status, tenant)

    async def trim(self, tenant: TenantId) -> int:
        """Remove what is older than the tenant's retention; how many files.

        Raises Busy, Refused, and the archive's failures.
        """
        async with self._work_on(tenant):
            removed = await trim(self._node, self.archive, tenant, self.on_thread)
        if removed:
            self._metrics.trimmed.inc(removed)
            self._untidy.add(tenant)
        return removed

    @asynccontextmanager
    async def _work_on(self, tenant: TenantId) -> AsyncIterator[None]:
        lock = self._locks.setdefault(tenant, asyncio.Lock())
        try:
            async with asyncio.timeout(PATIENCE):
                await lock.acquire()
        except TimeoutError:
            raise Busy("the tenant's archive is being worked on") from None
        try:
            yield
        finally:
            lock.release()

    async def on_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """For what blocks: even if whoever waits goes away, `stop` waits for it."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        self._flying.add(future)
        future.add_done_callback(self._flying.discard)
        return await asyncio.shield(future)

    async def _forever(self, step: Callable[[], Any]) -> None:
        while True:
            try:
                await asyncio.sleep(await step())
            except (NotReady, QueueFull):
                await asyncio.sleep(LOOK)
            except Exception as problem:
                structlog.get_logger().error("archiving failed", exc_info=problem)
                await asyncio.sleep(AFTER_TROUBLE)

    async def _take_in(self) -> float:
        if self._look_again:
            self._look_again = False
            for tenant in await self.on_thread(self._node.history.tenants):
                self._heads.setdefault(tenant, self._node.feed.head(tenant))
                self._since.setdefault(tenant, time.monotonic() - self._seconds)
        for tenant in self._due():
            if not self._node.log.decides(tenant):
                self._heads.pop(tenant, None)
                self._since.pop(tenant, None)
                continue
            await self._attempt(tenant, self.take_in)
        return min(LOOK, self._seconds)

    def _due(self) -> list[TenantId]:
        now = time.monotonic()
        return [
            tenant
            for tenant, since in self._since.items()
            if self._not_before.get(tenant, 0.0) <= now
            and (now - since >= self._seconds or self._heads[tenant] - self._reached.get(tenant, 0) >= MUCH)
        ]

    async def _attempt(self, tenant: TenantId, step: Callable[[TenantId], Any]) -> Any:
        """What fails is said and tried again later, while others have their turn."""
        try:
            return await step(tenant)
        except Busy:
            return None
        except self.archive.failures as problem:
            self._metrics.failures.inc()
            now = time.monotonic()
            self._not_before[tenant] = now + AFTER_TROUBLE
            if now >= self._said + QUIET:
                self._said = now
                structlog.get_logger().warning("archiving failed", tenant=tenant, problem=str(problem))
        return None

    async def _keep(self) -> float:
        """Retention, and what is left to delete."""
        for tenant in await self.on_thread(self._node.history.tenants):
            if not self._node.log.decides(tenant):
                continue
            if tenant != DEPLOYMENT:
                await self._attempt(tenant, self._trim_quietly)
            if tenant in self._untidy or tenant not in self._looked_through:
                await self._attempt(tenant, self._tidy)
        return KEEP

    async def _trim_quietly(self, tenant: TenantId) -> None:
        with suppress(Refused):  # a hold was placed, or the period changed, in this moment
            await self.trim(tenant)

    async def _tidy(self, tenant: TenantId) -> None:
        async with self._work_on(tenant):
            if not await self.on_thread(holds_of, self._node.history, tenant):
                stray = tenant not in self._looked_through
                await self.on_thread(lambda: self.archive.tidy(tenant, stray=stray))
                self._looked_through.add(tenant)
                if not await self.on_thread(self.archive.is_untidy, tenant):
                    self._untidy.discard(tenant)

    async def _audit(self) -> float:
        """Every file of every tenant, again and again, in small steps."""
        await asyncio.sleep(self._seconds)
        for tenant in await self.on_thread(self._node.history.tenants):
            after = 0
            while self._node.log.decides(tenant):
                began = time.monotonic()
                verified = await self._attempt(tenant, lambda each, after=after: self._audit_step(each, after))  # type: ignore[misc]
                await asyncio.sleep(SHARE * (time.monotonic() - began))
                if verified is None or verified.last <= after or verified.files == 0:
                    break
                after = verified.last
        return AUDIT if self.archive.is_near else AUDIT_FAR

    async def _audit_step(self, tenant: TenantId, after: int) -> "Verified":
        async with self._work_on(tenant):
            verified = await self.on_thread(lambda: self.archive.verify(tenant, after=after, most=1))
        self._metrics.verified.inc(verified.events)
        self._note(verified)
        return verified
