"""The checks that never end: tenant after tenant and stretch after stretch, what is kept against what was recorded."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from api.acting import resident
from api.findings import Check, Findings
from domain.ids import TenantId
from domain.view import ViewUnavailable
from replay.verify import CopiedRows, Kept, Verified, verify_kept

if TYPE_CHECKING:
    from api.wiring import Node

MOST_EVENTS: Final = 20_000
"""A longer history is left to `muniment verify`, which takes its time in the foreground."""
STRETCH: Final = 5_000
"""Events of a chain in one step."""
PATIENCE: Final = 5.0
SHARE: Final = 20
"""A check rests this many times as long as its step took."""
SAMPLE: Final = 30.0
"""Seconds between samples of a log elsewhere."""


class Checking:
    """Takes its steps on a thread, a small share of the time."""

    def __init__(self, node: "Node", findings: Findings, metrics: CollectorRegistry) -> None:
        self._node = node
        self._findings = findings
        self._turn = -1
        self._part = 0
        self._checked_to: dict[int, Any] = {}
        self._checked = Counter("muniment_checked_tenants", "Tenants whose views were compared.", registry=metrics)
        self._last = Gauge("muniment_last_check_seconds", "When a tenant was compared last.", registry=metrics)
        self._left = Counter("muniment_unchecked_tenants", "Tenants passed over, too long for it.", registry=metrics)
        self._differences = Gauge(
            "muniment_view_differences", "Rows that are not what the history folds to, ever found.", registry=metrics
        )

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.gather(
            self._forever(self.step, 1.0), self._forever(self.follow, 1.0), self._forever(self.sample, SAMPLE)
        )

    async def _forever(self, step: Callable[[], Awaitable[None]], rest: float) -> None:
        while True:
            began = time.monotonic()
            try:
                await step()
            except ViewUnavailable:
                pass
            except Exception as problem:
                structlog.get_logger().error("checking failed", exc_info=problem)
            await asyncio.sleep(rest + SHARE * (time.monotonic() - began))

    async def step(self) -> None:
        """The next tenant: its rows, its tree, and what checkpoints say of it."""
        node = self._node
        tenants = await asyncio.to_thread(node.history.tenants)
        if not tenants:
            return
        self._turn = (self._turn + 1) % len(tenants)
        if self._turn == 0:
            await self._compare("checkpoints", "the deployment's log", node.checkpoints.check_log)
        tenant = tenants[self._turn]
        if node.feed.head(tenant) > MOST_EVENTS:
            self._left.inc()
            return
        await self._compare("index", tenant, lambda: node.evidence.tree(tenant).problem)
        await self._compare("checkpoints", tenant, lambda: node.checkpoints.check_tenant(tenant))
        in_memory = resident(node, tenant)
        copied = CopiedRows(in_memory.rows, in_memory.position)
        found = await asyncio.to_thread(compare, node, tenant, copied)
        different = [f"{each.place}: {each.view}: {each.what}" for kept in found for each in kept.differences]
        self._checked.inc()
        self._last.set(time.time())
        self._differences.inc(len(different))
        self._note("views", tenant, different)

    async def follow(self) -> None:
        """The next stretch of the next chain; from its beginning once more at its end."""
        parts = self._node.evidence.parts()
        self._part = (self._part + 1) % len(parts)
        part, evidence = self._part, parts[self._part]
        try:
            since = self._checked_to.get(part)
            found = await asyncio.to_thread(evidence.check_on, since, STRETCH)
        except self._node.evidence.failures as problem:
            self._checked_to[part] = None
            self._note("index", f"the chain of partition {part}", [str(problem)])
            return
        self._checked_to[part] = None if found == since else found
        if found == since:
            self._note("index", f"the chain of partition {part}", [])

    async def sample(self) -> None:
        """A stretch of the log itself, where that is elsewhere."""
        await self._compare("index", "a sample of the log", self._node.log.sample)

    async def _compare(self, check: Check, subject: str, find: Callable[[], str | None]) -> None:
        problem = await asyncio.to_thread(find)
        self._note(check, subject, [] if problem is None else [problem])

    def _note(self, check: Check, subject: str, problems: Sequence[str]) -> None:
        if self._findings.looked(check, subject, problems):
            for problem in problems:
                structlog.get_logger().error("a check found something", check=check, subject=subject, problem=problem)


def compare(node: "Node", tenant: TenantId, copied: Kept) -> list[Verified]:
    """A tenant's stored rows, and a copy of its resident ones, against its history folded again. Takes its time."""
    with node.stored.place as place, place.of(tenant) as kept:
        if kept is not None:
            _must_have_read(node, tenant, kept.position)
        stored = [] if kept is None else [verify_kept(node.history, tenant, place.name, kept)]
    return [*stored, verify_kept(node.history, tenant, "resident", copied)]


def _must_have_read(node: "Node", tenant: TenantId, position: int) -> None:
    """Views that another node keeps may be a moment ahead of what this one has read. Raises ViewUnavailable."""
    deadline = time.monotonic() + PATIENCE
    while node.history.head(tenant)[0] < position:
        if time.monotonic() > deadline:
            raise ViewUnavailable
        time.sleep(0.01)
