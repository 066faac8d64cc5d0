"""What becomes of deliveries: how far they have come, what could not be delivered, and what is to be told again."""

from typing import assert_never

from domain.boundary import Boundary, edge
from domain.command import Command, Decider, Missing
from domain.event import Code, Event, Instant, Recorded
from domain.ids import WebhookId
from domain.webhooks.life import (
    KnownWebhook,
    WebhookAdvanced,
    WebhookDisabled,
    WebhookReplayRequested,
    life_of_webhook,
)


class WebhookTestRequested(Event):
    """Delivered itself, once, out of order, also while the webhook is paused."""

    webhook: WebhookId


class WebhookDeliveryFailed(Event):
    """A dead letter: the event at this position was tried for as long as the webhook has patience, and passed over."""

    edges = (("dead_letter", "webhook", "failed_position"),)
    webhook: WebhookId
    failed_position: int
    failed_id: Code
    failed_type: Code
    attempts: int
    status: int | None
    """What the receiver answered last, if it answered."""
    reason: Code
    since: Instant


class WebhookRetryRequested(Event):
    """A dead letter is to be tried once more, out of order."""

    edges = (("dead_letter", "webhook", "failed_position"),)
    webhook: WebhookId
    failed_position: int


class WebhookDeadLetterDelivered(Event):
    """It is a dead letter no more."""

    edges = (("dead_letter", "webhook", "failed_position"),)
    webhook: WebhookId
    failed_position: int


class ReplayWebhook(Command):
    permission = "webhooks:manage"
    webhook: WebhookId
    from_position: int

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


class RequestWebhookTest(Command):
    permission = "webhooks:manage"
    webhook: WebhookId

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


class RetryDeadLetter(Command):
    permission = "webhooks:manage"
    webhook: WebhookId
    position: int

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook) | letter(self.webhook, self.position)


class AdvanceWebhook(Command):
    """The node's own. `turn` is the webhook's while it was delivered: a replay asked for since must not be undone."""

    permission = "webhooks:manage"
    while_suspended = True
    webhook: WebhookId
    turn: int
    reached: int

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


class GiveUpDelivery(Command):
    """The node's own. `turn` as in AdvanceWebhook; None: it was tried out of order."""

    permission = "webhooks:manage"
    while_suspended = True
    webhook: WebhookId
    turn: int | None
    failed: WebhookDeliveryFailed

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


class SettleDeadLetter(Command):
    """The node's own: it has been delivered after all."""

    permission = "webhooks:manage"
    while_suspended = True
    webhook: WebhookId
    position: int

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook) | letter(self.webhook, self.position)


class DisableWebhook(Command):
    """The node's own: nothing gets through, or the receiver wants no more."""

    permission = "webhooks:manage"
    while_suspended = True
    webhook: WebhookId
    reason: Code
    since: Instant

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


DeliveriesCommand = (
    ReplayWebhook
    | RequestWebhookTest
    | RetryDeadLetter
    | AdvanceWebhook
    | GiveUpDelivery
    | SettleDeadLetter
    | DisableWebhook
)

LETTERS = (WebhookDeliveryFailed, WebhookRetryRequested, WebhookDeadLetterDelivered)


def letter(webhook: WebhookId, position: int) -> Boundary:
    """Whether there is a dead letter of a position."""
    return edge("dead_letter", webhook, str(position), *LETTERS)


class KnownDelivery(KnownWebhook):
    """A webhook, and one dead letter."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.letter = "none"
        """none, dead, retrying or delivered"""

    def evolve(self, recorded: Recorded) -> None:
        super().evolve(recorded)
        match recorded.event:
            case WebhookDeliveryFailed():
                self.letter = "dead"
            case WebhookRetryRequested():
                self.letter = "retrying"
            case WebhookDeadLetterDelivered():
                self.letter = "delivered"


def decide(command: DeliveriesCommand, known: KnownDelivery) -> list[Event]:
    match command:
        case ReplayWebhook(webhook, from_position):
            known.exists()
            return [WebhookReplayRequested(webhook, from_position)]
        case RequestWebhookTest(webhook):
            known.exists()
            return [WebhookTestRequested(webhook)]
        case RetryDeadLetter(webhook, position):
            known.exists()
            if known.letter not in ("dead", "retrying"):
                raise Missing("the webhook has no dead letter of that position")
            return [] if known.letter == "retrying" else [WebhookRetryRequested(webhook, position)]
        case AdvanceWebhook(webhook, turn, reached):
            is_news = known.lives and turn == known.turn and reached > known.reached
            return [WebhookAdvanced(webhook, reached)] if is_news else []
        case GiveUpDelivery(webhook, turn, failed):
            if not known.lives or turn not in (None, known.turn):
                return []
            in_order = turn is not None and failed.failed_position > known.reached
            return [failed, WebhookAdvanced(webhook, failed.failed_position)] if in_order else [failed]
        case SettleDeadLetter(webhook, position):
            is_news = known.lives and known.letter in ("dead", "retrying")
            return [WebhookDeadLetterDelivered(webhook, position)] if is_news else []
        case DisableWebhook(webhook, reason, since):
            return [WebhookDisabled(webhook, reason, since)] if known.life == "active" else []
        case _:
            assert_never(command)


decider = Decider(
    commands=(
        ReplayWebhook,
        RequestWebhookTest,
        RetryDeadLetter,
        AdvanceWebhook,
        GiveUpDelivery,
        SettleDeadLetter,
        DisableWebhook,
    ),
    begin=KnownDelivery,
    decide=decide,
)
