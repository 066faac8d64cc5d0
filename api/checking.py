"""The check that never ends: tenant after tenant, stored and resident rows against the history folded again."""

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from api.acting import resident
from domain.ids import TenantId
from domain.view import ViewUnavailable
from replay.verify import CopiedRows, Kept, Verified, verify_kept

if TYPE_CHECKING:
    from api.wiring import Node

MOST_EVENTS: Final = 20_000
"""A longer history is left to `muniment verify`, which takes its time in the foreground."""
PATIENCE: Final = 5.0
SHARE: Final = 20
"""The check rests this many times as long as a tenant took."""


class Checking:
    """Takes the tenants in turn, on a thread, a small share of the time."""

    def __init__(self, node: "Node", metrics: CollectorRegistry) -> None:
        self._node = node
        self._turn = 0
        self._checked = Counter("muniment_checked_tenants", "Tenants whose views were compared.", registry=metrics)
        self._left = Counter("muniment_unchecked_tenants", "Tenants passed over, too long for it.", registry=metrics)
        self._differences = Gauge(
            "muniment_view_differences", "Rows that are not what the history folds to, ever found.", registry=metrics
        )
        self._last = Gauge("muniment_last_check_seconds", "When a tenant was compared last.", registry=metrics)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            began = time.monotonic()
            try:
                await self.step()
            except ViewUnavailable:
                pass
            except Exception as problem:
                structlog.get_logger().error("checking failed", exc_info=problem)
            await asyncio.sleep(1.0 + SHARE * (time.monotonic() - began))

    async def step(self) -> None:
        """The next tenant."""
        node = self._node
        tenants = await asyncio.to_thread(node.history.tenants)
        if not tenants:
            return
        self._turn = (self._turn + 1) % len(tenants)
        tenant = tenants[self._turn]
        if node.feed.head(tenant) > MOST_EVENTS:
            self._left.inc()
            return
        in_memory = resident(node, tenant)
        copied = CopiedRows(in_memory.rows, in_memory.position)
        found = await asyncio.to_thread(compare, node, tenant, copied)
        self._checked.inc()
        self._last.set(time.time())
        for verified in found:
            for difference in verified.differences:
                self._differences.inc()
                structlog.get_logger().error(
                    "a view differs from the history", tenant=tenant, view=difference.view, problem=difference.what
                )


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
