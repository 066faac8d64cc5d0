"""Watches the clock that stamps events: one that jumps, or is far from what was stamped last, is not to be believed."""

import time
from collections.abc import Callable
from typing import Final

from domain.event import Instant

SECOND: Final = 1_000_000
MOST_OFF: Final = 5 * SECOND
MOST_ASLEEP: Final = 30 * 86_400 * SECOND


def steady_clock() -> int:
    """Microseconds since some moment, counting also while the machine sleeps; nobody can set it."""
    which = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(which) // 1000


class ClockWatch:
    """Compares the wall clock with a steady one, and at the start with the last stamped instant."""

    def __init__(
        self,
        clock: Callable[[], int],
        last: Instant,
        *,
        steady: Callable[[], int] = steady_clock,
        accept_gap: bool = False,
    ) -> None:
        self._clock = clock
        self._steady = steady
        self._last = last
        self._offset = clock() - steady()
        self._gap = 0 if accept_gap or not last else max(0, clock() - last)

    def trouble(self) -> str | None:
        """Why the clock is not to be believed, and what to do; None if it is. Cheap enough to ask for each batch."""
        now = self._clock()
        offset = now - self._steady()
        jump = offset - self._offset
        if abs(jump) > MOST_OFF:
            way = "forward" if jump > 0 else "back"
            return (
                f"the clock was set {way} by {abs(jump) // SECOND} s while the node ran: set it right, "
                "or if it is right now, restart the node"
            )
        self._offset = offset  # small steps are a clock being disciplined, so follow them
        if self._last - now > MOST_OFF:
            return (
                f"the clock is {(self._last - now) // SECOND} s behind what was recorded last: set it right; "
                "the node is ready once it has passed that moment"
            )
        if self._gap > MOST_ASLEEP:
            return (
                f"the clock is {self._gap // (86_400 * SECOND)} days after what was recorded last: set it right and "
                "restart the node, or if nothing was recorded for so long, start it with MUNIMENT_ACCEPT_CLOCK=1"
            )
        return None
