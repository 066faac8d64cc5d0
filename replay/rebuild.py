"""Rebuilding: the next generation of the stored views from zero, beside the live one, compared, then swapped."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from domain.ledger import History
from domain.view import View
from replay.verify import Difference, Place, verify


class NextGeneration(Protocol):
    """A generation in the making. The live one goes on being read and written."""

    @property
    def total(self) -> int:
        """How many events the log has."""
        ...

    def advance(self) -> int | None:
        """Apply the next batch; how many events that makes, or None at the end of the log."""
        ...

    def place(self) -> Place:
        """The rows made so far."""
        ...

    def go_live(self) -> None:
        """Catch up with the live generation and take its place; no read is refused or sees less than before."""
        ...


class Rebuilt(msgspec.Struct, frozen=True):
    events: int
    tenants: int


class RebuildDiffers(Exception):
    """What was rebuilt is not what the history folds to, so it was not put in place."""

    def __init__(self, differences: tuple[Difference, ...]) -> None:
        first = differences[0]
        super().__init__(f"{len(differences)} differences; the first: {first.tenant} {first.view} {first.key}")
        self.differences = differences


def rebuild(
    generation: NextGeneration,
    histories: Sequence[History],
    views: Iterable[View[Any]],
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Rebuilt:
    """`histories`: that of each partition.

    `progress` is told events `applied`, then tenants `compared`: how many, of how many. Raises RebuildDiffers.
    """
    events = _apply(generation, progress)
    of_each = [(history, history.tenants()) for history in histories]
    tenants, total = 0, sum(len(every) for _, every in of_each)
    progress("compared", 0, total)
    for history, every in of_each:
        for verified in verify(history, views, [generation.place()], every):
            tenants += 1
            if verified.differences:
                raise RebuildDiffers(verified.differences)
            progress("compared", tenants, total)
    while (done := generation.advance()) is not None:
        events = done
    generation.go_live()
    return Rebuilt(events, tenants)


def _apply(generation: NextGeneration, progress: Callable[[str, int, int], None]) -> int:
    events = 0
    progress("applied", 0, generation.total)
    while (done := generation.advance()) is not None:
        events = done
        progress("applied", events, max(events, generation.total))
    return events
