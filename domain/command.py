"""A command: a wish to change a tenant, with the boundary it must have seen; it may be refused."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, dataclass_transform

import msgspec

from domain.boundary import Boundary
from domain.event import Event, Instant, Recorded

K = TypeVar("K")
V = TypeVar("V")


class Refused(Exception):
    """The rules say no. The reason tells the caller what to do, and holds nothing personal."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Missing(Refused):
    """What the command names does not exist (any more)."""


class Taken(Refused):
    """A value that must be unique belongs to somebody else."""


class NotPermitted(Refused):
    """The caller's authority does not reach this far."""


@dataclass_transform(frozen_default=True)
class Command(msgspec.Struct, frozen=True):
    """The base of all commands."""

    permission: ClassVar[str]
    """What a caller needs to ask for it."""
    while_suspended: ClassVar[bool] = False
    """Whether a suspended tenant accepts it."""
    while_deleted: ClassVar[bool] = False
    """Whether a deleted tenant accepts it."""

    def boundary(self) -> Boundary:
        """The events that must have been seen. Nothing but the tenant's being alive, as a rule."""
        return Boundary()

    def then(self, known: Any) -> Boundary:
        """More of them, named by what the first ones said. Nothing, as a rule."""
        return Boundary()


class Known:
    """What is known when a command is decided; each capability extends it by what its rules ask."""

    def __init__(self, now: Instant) -> None:
        self.now = now
        self.tenant_deleted = False
        """Then what protects a tenant that lives on protects nothing."""
        self.tallies: dict[str, Any] = {}
        """Decision states by name."""

    def evolve(self, recorded: Recorded) -> None:
        """One step, in place. It never refuses: it happened.

        What `boundary` names comes in order; so does what `then` names, which may be older, and may come again.
        """


class Latest(dict[K, V]):
    """What the newest event says of each thing, whatever order the events are shown in."""

    def __init__(self) -> None:
        super().__init__()
        self._positions: dict[K, int] = {}

    def note(self, key: K, value: V, recorded: Recorded) -> None:
        """Take it from an event, unless a newer one has spoken."""
        if recorded.position >= self._positions.get(key, 0):
            self._positions[key] = recorded.position
            self[key] = value


class Decider(msgspec.Struct, frozen=True):
    """How one capability decides: its commands, what it knows, and its rules."""

    commands: tuple[type[Command], ...]
    begin: Callable[[Instant], Known]
    """What is known before any event, at the instant that will be stamped."""
    decide: Callable[[Any, Any], list[Event]]
    """The events that follow from a command; an empty list means nothing happens; raises Refused."""
