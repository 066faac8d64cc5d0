"""Upkeep: what a node does by itself, on timers. Each thing is done again if it was interrupted."""

import asyncio
import contextlib
import heapq
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

import structlog

from api.checking import Checking
from api.operator_key import system
from api.tenant_names import settle_names
from domain.access.owners import RoleAssigned
from domain.access.roles import ExpireAssignment
from domain.command import Refused
from domain.event import Recorded
from domain.ids import DEPLOYMENT, TenantId, id_from
from domain.ledger import Actor, Authority, Caller, NotReady, Query, QueueFull

if TYPE_CHECKING:
    from api.wiring import Node

_PAGE: Final = 5_000


class Upkeep:
    """The timers of a node; start and stop them with it."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._expiring: list[tuple[int, TenantId, str, str]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._checking = Checking(node, node.findings, node.metrics)
        self._owned: frozenset[int] = frozenset()
        self._look_again = asyncio.Event()
        self._look_again.set()

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        for every, task in (
            (5.0, self._settle),
            (1.0, self._expire),
            (10.0, self._summarise),
            (6 * 3600.0, self._node.destroy_old_purposes),
        ):
            self._tasks.append(loop.create_task(self._repeat(every, task)))
        self._tasks.append(loop.create_task(self._keep_finding()))
        self._tasks.append(loop.create_task(self._checking.run()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def committed(self, recorded: Iterable[Recorded]) -> None:
        """Notes what will expire."""
        for each in recorded:
            self._note(each)

    def owns(self, partitions: frozenset[int]) -> None:
        """What other nodes have noted of these so far is this node's to do now."""
        if not partitions <= self._owned:
            self._look_again.set()
        self._owned = partitions

    def _note(self, recorded: Recorded) -> None:
        match recorded.event:
            case RoleAssigned(role, subject, expires_at) if expires_at is not None:
                heapq.heappush(self._expiring, (expires_at, recorded.tenant, role, subject))

    async def _repeat(self, every: float, task: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(every)
            try:
                await task()
            except (NotReady, QueueFull):
                continue
            except Exception as problem:
                structlog.get_logger().error("upkeep failed", exc_info=problem)

    async def _settle(self) -> None:
        if self._node.log.decides(DEPLOYMENT):
            await settle_names(self._node, system(self._node, "upkeep"))

    async def _summarise(self) -> None:
        await self._node.ledger.summarise()

    async def _keep_finding(self) -> None:
        while True:
            await self._look_again.wait()
            self._look_again.clear()
            self._expiring.clear()
            try:
                await self._find_expiring()
            except Exception as problem:
                structlog.get_logger().error("looking for what expires failed", exc_info=problem)

    async def _find_expiring(self) -> None:
        """Those of before this start, or before this node decided for them: a tenant at a time, behind all else."""
        for tenant in await asyncio.to_thread(self._node.history.tenants):
            query = Query(types=(RoleAssigned.__name__,))
            for recorded in await asyncio.to_thread(self._node.history.recorded, tenant, query, _PAGE):
                self._note(recorded)
            await asyncio.sleep(0)

    async def _expire(self) -> None:
        """Say that ends have come. Decisions don't wait for it: they judge the end itself."""
        node = self._node
        while self._expiring and self._expiring[0][0] <= node.clock():
            entry = heapq.heappop(self._expiring)
            _, tenant, role, subject = entry
            if not node.log.decides(tenant):
                continue
            authority = Authority("roles:assign", id_from("dec", node.clock(), os.urandom(10)), ("system",))
            correlation = id_from("cor", node.clock(), os.urandom(10))
            by = Caller(tenant, Actor("system", "expiry"), authority, correlation)
            try:
                with contextlib.suppress(Refused):
                    await node.ledger.execute(ExpireAssignment(role, subject), by)  # type: ignore[arg-type]
            except (NotReady, QueueFull):
                heapq.heappush(self._expiring, entry)
                raise
