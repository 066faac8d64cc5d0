"""A kind of receiver: a webhook is one, a sink is another. All are told events in order, by the same machinery.

A kind knows how a receiver's history reads, what the ledger is told of it, and how events are carried to it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from adapters.webhooks.book import Attempt
from adapters.webhooks.courier import Answer
from domain.command import Command
from domain.event import Code, Entry, Event, Instant, Recorded
from domain.ids import SinkId, WebhookId
from domain.sinks import life as sinks
from domain.sinks import sending
from domain.webhooks import deliveries
from domain.webhooks import life as webhooks

if TYPE_CHECKING:
    from adapters.webhooks.hook import Hook

ReceiverId = WebhookId | SinkId

BOOKKEEPING: Final = frozenset(
    {webhooks.WebhookAdvanced, deliveries.WebhookTestRequested, sinks.SinkAdvanced, sending.SinkTestRequested}
)
"""What nobody is told in order."""
ON_REQUEST: Final = frozenset(
    {
        deliveries.WebhookDeliveryFailed,
        deliveries.WebhookDeadLetterDelivered,
        sending.SinkDeliveryFailed,
        sending.SinkDeadLetterDelivered,
    }
)
"""What only those are told that name it, and of others: what follows from telling must not be told for ever."""


class KnownReceiver(Protocol):
    """What the ledger says of a receiver."""

    life: str
    """none, active, paused, disabled or removed"""
    types: tuple[Code, ...]
    personal: bool
    patience: int
    turn: int
    reached: int

    @property
    def lives(self) -> bool: ...

    def evolve(self, recorded: Recorded) -> None: ...


class Carried(msgspec.Struct, frozen=True):
    """What came of carrying events: the answer, and how many of them it is about."""

    answer: Answer
    count: int


class Kind(Protocol):
    """One kind of receiver."""

    word: str
    """What it is called; the field of its events that names the receiver."""
    created: type[Event]
    life: tuple[type[Event], ...]
    letters: tuple[type[Event], ...]
    parts: Mapping[type[Event], str]
    """What an event is to a receiver: created, changed, resumed, replay, test, retry, failed or delivered."""

    def known(self) -> KnownReceiver: ...

    def advance(self, id: Any, turn: int, reached: int) -> Command: ...

    def give_up(self, id: Any, turn: int | None, attempt: Attempt, since: int) -> Command:
        """`turn` None: it was tried out of order."""
        ...

    def settle(self, id: Any, position: int) -> Command: ...

    def disable(self, id: Any, reason: str, since: int) -> Command: ...

    def gives_up_on(self, answer: Answer) -> bool:
        """Whether an event that is answered so is dead-lettered once patience is at an end."""
        ...

    def most(self, hook: "Hook") -> int:
        """How many events are carried at once, at most."""
        ...

    def goes_at(self, hook: "Hook", entries: Sequence[Entry]) -> int:
        """When these should go; 0 for at once. It may be worth while to wait for more."""
        ...

    async def carry(self, hook: "Hook", entries: Sequence[Entry]) -> Carried:
        """Carry some of the events, from the first on. Raises nothing that an answer can say."""
        ...


class WebhookWords:
    """How a webhook's history reads."""

    word = "webhook"
    created: type[Event] = webhooks.WebhookCreated
    life: tuple[type[Event], ...] = webhooks.LIFE
    letters: tuple[type[Event], ...] = deliveries.LETTERS
    parts: Mapping[type[Event], str] = {
        webhooks.WebhookCreated: "created",
        webhooks.WebhookChanged: "changed",
        webhooks.WebhookResumed: "resumed",
        webhooks.WebhookReplayRequested: "replay",
        deliveries.WebhookTestRequested: "test",
        deliveries.WebhookRetryRequested: "retry",
        deliveries.WebhookDeliveryFailed: "failed",
        deliveries.WebhookDeadLetterDelivered: "delivered",
    }

    def known(self) -> webhooks.KnownWebhook:
        return webhooks.KnownWebhook(Instant(0))

    def advance(self, id: WebhookId, turn: int, reached: int) -> Command:
        return deliveries.AdvanceWebhook(id, turn, reached)

    def give_up(self, id: WebhookId, turn: int | None, attempt: Attempt, since: int) -> Command:
        return deliveries.GiveUpDelivery(id, turn, deliveries.WebhookDeliveryFailed(id, *_letter(attempt, since)))

    def settle(self, id: WebhookId, position: int) -> Command:
        return deliveries.SettleDeadLetter(id, position)

    def disable(self, id: WebhookId, reason: str, since: int) -> Command:
        return deliveries.DisableWebhook(id, Code(reason), Instant(since))


class SinkWords:
    """How a sink's history reads."""

    word = "sink"
    created: type[Event] = sinks.SinkCreated
    life: tuple[type[Event], ...] = sinks.LIFE
    letters: tuple[type[Event], ...] = sending.LETTERS
    parts: Mapping[type[Event], str] = {
        sinks.SinkCreated: "created",
        sinks.SinkChanged: "changed",
        sinks.SinkResumed: "resumed",
        sinks.SinkReplayRequested: "replay",
        sending.SinkTestRequested: "test",
        sending.SinkRetryRequested: "retry",
        sending.SinkDeliveryFailed: "failed",
        sending.SinkDeadLetterDelivered: "delivered",
    }

    def known(self) -> sinks.KnownSink:
        return sinks.KnownSink(Instant(0))

    def advance(self, id: SinkId, turn: int, reached: int) -> Command:
        return sending.AdvanceSink(id, turn, reached)

    def give_up(self, id: SinkId, turn: int | None, attempt: Attempt, since: int) -> Command:
        return sending.GiveUpOnEvent(id, turn, sending.SinkDeliveryFailed(id, *_letter(attempt, since)))

    def settle(self, id: SinkId, position: int) -> Command:
        return sending.SettleSinkLetter(id, position)

    def disable(self, id: SinkId, reason: str, since: int) -> Command:
        return sending.DisableSink(id, Code(reason), Instant(since))


def _letter(attempt: Attempt, since: int) -> tuple[int, Code, Code, int, int | None, Code, Instant]:
    return (
        attempt.position,
        Code(attempt.event_id),
        Code(attempt.event_type),
        attempt.attempt,
        attempt.status,
        Code(attempt.reason),
        Instant(since),
    )
