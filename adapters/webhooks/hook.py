"""A webhook as a node delivers it: how it is set, what it is told next, and what it is to be told out of order."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from adapters.webhooks.book import Place
from adapters.webhooks.kinds import BOOKKEEPING, ON_REQUEST, Kind, KnownReceiver, ReceiverId
from domain.audit_actions.recording import ActionRecorded
from domain.event import Entry, Event, Recorded
from domain.ids import TenantId

ACTION: Final = "action:"
"""Before the name of a product's action, where types are named."""
FAR: Final = 10_000
"""Positions that can be passed over before it is said, where nothing of them is told."""


class Errand(msgspec.Struct):
    """Something to deliver once, out of order: `kind` is retry or test."""

    kind: str
    position: int
    due: int = 0


class Progress(msgspec.Struct, frozen=True):
    """How a webhook is doing on this node. Times in microseconds."""

    reached: int
    behind: int
    """Positions that are still to be looked at; not all of them may matter to it."""
    attempts: int
    """How often what comes next has failed."""
    failing_since: int | None
    next_attempt_at: int | None
    trouble: str | None = None
    """Why the last attempt failed, if it did."""
    oldest: int | None = None
    """When the first event was recorded that is still to be looked at."""


class Connection(Protocol):
    """What is kept open while there is something to send."""

    async def aclose(self) -> None: ...


class Hook:
    """A webhook, or a sink. Lives on the event loop. Only the turn that runs changes `place`, or a replay."""

    def __init__(
        self, tenant: TenantId, id: ReceiverId, kind: Kind, known: KnownReceiver, place: Place, now: int
    ) -> None:
        self.tenant = tenant
        self.id = id
        self.kind = kind
        self.known = known
        self.place = place
        self.pending: deque[Entry] = deque()
        self.read = place.reached
        """How far history has been read: what of it matters is pending."""
        self.noted = place.reached
        self.errands: deque[Errand] = deque()
        self.dead: set[int] = set()
        """Positions of dead letters, the newest at least."""
        self.unsaid = False
        """Whether the ledger should be told how far it has come."""
        self.said_at = now
        self.task: asyncio.Task[None] | None = None
        """Its step, while one is under way."""
        self.stirred = False
        """Whether something has happened since its turn began."""
        self.timer = 0
        self.trouble: str | None = None
        """Why the last attempt failed, if it did."""
        self.fewer: int | None = None
        """How many events go at once while a target refuses more."""
        self.kept: Any = None
        """What its kind remembers of it between attempts."""
        self._line: Connection | None = None

    def follow(self, recorded: Recorded) -> None:
        """What the tenant's history says about it."""
        self.known.evolve(recorded)
        event: Any = recorded.event
        match self.kind.parts.get(type(event)):
            case "replay":
                self.place = Place(self.known.turn, self.known.reached)
                self._read_again()
            case "changed":
                self.place.due = 0
                self._read_again()
            case "resumed":
                self.place = Place(self.place.turn, self.place.reached)
            case "test":
                self.errands.append(Errand("test", recorded.position))
            case "retry":
                self.errands.append(Errand("retry", event.failed_position))
            case "failed":
                self.dead.add(event.failed_position)
            case "delivered":
                self.dead.discard(event.failed_position)

    def _read_again(self) -> None:
        self.pending.clear()
        self.read = self.place.reached

    def progress(self, head: int, instant_of: Callable[[int], int]) -> Progress:
        """How it is doing, in a history that ends at `head`; `instant_of` says when a position was recorded."""
        place = self.place
        return Progress(
            reached=place.reached,
            behind=max(0, head - place.reached),
            attempts=place.attempts,
            failing_since=place.failing_since or None,
            next_attempt_at=place.due or None if self.known.life == "active" else None,
            trouble=self.trouble,
            oldest=instant_of(place.reached + 1) if place.reached < head else None,
        )

    def has_cause(self, now: int) -> bool:
        """Whether a turn would come to anything, as far as can be seen from here."""
        if self.errands:
            return True
        return self.place.due <= now if self.known.life == "active" else self.unsaid or self._line is not None

    def wants(self, event: Event) -> bool:
        """Whether it is told this, in order."""
        kind = type(event)
        if kind in BOOKKEEPING:
            return False
        named = event.type_name in self.known.types
        if kind in ON_REQUEST:
            return named and self.id not in (getattr(event, "webhook", None), getattr(event, "sink", None))
        if isinstance(event, ActionRecorded) and not named:
            named = ACTION + event.action in self.known.types
        return named or not self.known.types

    @property
    def asked(self) -> tuple[str, ...]:
        """The types of events of which it may want some; none for all."""
        named = (ActionRecorded.__name__ if each.startswith(ACTION) else each for each in self.known.types)
        return tuple(dict.fromkeys(named))

    def passes_over(self, recorded: Sequence[Recorded]) -> bool:
        """Whether it is told nothing of what was recorded just now, and has nothing else to do: then no turn is spent.

        It must have come to the end of what was there before.
        """
        is_at_rest = self.task is None and not self.pending and not self.errands and self.known.life == "active"
        if not is_at_rest or not recorded or self.read != recorded[0].position - 1:
            return False
        if any(self.wants(each.event) for each in recorded):
            return False
        self.read = self.place.reached = recorded[-1].position
        if self.read - self.noted >= FAR:
            self.noted, self.unsaid = self.read, True
        return True

    def passed(self, position: int) -> None:
        """Everything up to there is dealt with, one way or another."""
        self.place = Place(self.place.turn, position, failing_since=self.place.failing_since)
        self.read = max(self.read, position)
        while self.pending and self.pending[0].position <= position:
            self.pending.popleft()
        self.unsaid = True

    def connection(self, make: Callable[[], Any]) -> Any:
        """Its connection, for as long as there is something to send."""
        if self._line is None:
            self._line = make()
        return self._line

    async def hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.aclose()
