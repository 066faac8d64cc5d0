"""Webhooks as they are at a moment, and the dead letters of each."""

from collections.abc import Sequence

import msgspec

from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import WebhookId
from domain.view import Close, View
from domain.webhooks import deliveries, life


class WebhookRow(msgspec.Struct, frozen=True):
    """`state` is active, paused or disabled; `secret` and `former_secret` are sealed, and stay bytes."""

    webhook: WebhookId
    url: Sealed
    types: tuple[str, ...]
    personal: bool
    patience: int
    state: str
    secret: bytes
    created_at: Instant
    changed_at: Instant
    name: Sealed | None = None
    from_position: int | None = None
    """Where it was told to begin last; None: after it was made."""
    reached: int | None = None
    """Everything up to here was dealt with when it was said last; None: nothing was said since it was told to begin."""
    former_secret: bytes | None = None
    former_until: Instant | None = None
    disabled_because: str | None = None
    failing_since: Instant | None = None
    tested_at: Instant | None = None


class Webhooks(View[WebhookRow]):
    name = "webhooks"
    row = WebhookRow
    follows = (*life.LIFE, deliveries.WebhookTestRequested)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.webhook,)  # type: ignore[attr-defined]

    def evolve(self, row: WebhookRow | None, recorded: Recorded) -> WebhookRow | None:
        at = recorded.instant
        match recorded.event:
            case life.WebhookCreated(_, webhook, url, secret, types, personal, patience, from_position, name):
                return WebhookRow(
                    webhook, url, types, personal, patience, "active", secret, at, at, name, from_position
                )
            case life.WebhookRemoved():
                return None
        return None if row is None else msgspec.structs.replace(row, **_changes(recorded.event, at))


def _changes(event: Event, at: Instant) -> dict[str, object]:
    match event:
        case life.WebhookChanged(_, url, types, personal, patience, name):
            settings = {"url": url, "types": types, "personal": personal, "patience": patience, "name": name}
            return {**settings, "changed_at": at}
        case life.WebhookSecretRotated(_, secret, former_secret, former_until):
            return {
                "secret": secret,
                "former_secret": former_secret,
                "former_until": former_until,
                "changed_at": at,
            }
        case life.WebhookPaused():
            return {"state": "paused", "disabled_because": None, "failing_since": None, "changed_at": at}
        case life.WebhookResumed():
            return {"state": "active", "disabled_because": None, "failing_since": None, "changed_at": at}
        case life.WebhookDisabled(_, reason, since):
            return {"state": "disabled", "disabled_because": reason, "failing_since": since, "changed_at": at}
        case life.WebhookReplayRequested(_, from_position):
            return {"from_position": from_position, "reached": None, "changed_at": at}
        case life.WebhookAdvanced(_, reached):
            return {"reached": reached}
        case deliveries.WebhookTestRequested():
            return {"tested_at": at}
    return {}


class DeadLetterRow(msgspec.Struct, frozen=True):
    """`state` is dead or, once somebody has asked for it, retrying."""

    webhook: WebhookId
    position: int
    event_id: str
    event_type: str
    attempts: int
    status: int | None
    reason: str
    since: Instant
    failed_at: Instant
    state: str


class DeadLetters(View[DeadLetterRow]):
    """Keyed `webhook/position`, the position in 20 digits, so that they are paged in their order."""

    name = "webhook_dead_letters"
    row = DeadLetterRow
    follows = (*deliveries.LETTERS, life.WebhookRemoved)
    indexes = ("webhook",)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        match event:
            case life.WebhookRemoved(_, webhook):
                return (Close("webhook", webhook),)
        return (key_of(event.webhook, event.failed_position),)  # type: ignore[attr-defined]

    def evolve(self, row: DeadLetterRow | None, recorded: Recorded) -> DeadLetterRow | None:
        match recorded.event:
            case deliveries.WebhookDeliveryFailed(webhook, position, id, type, attempts, status, reason, since):
                at = recorded.instant
                return DeadLetterRow(webhook, position, id, type, attempts, status, reason, since, at, "dead")
            case deliveries.WebhookRetryRequested() if row:
                return msgspec.structs.replace(row, state="retrying")
            case deliveries.WebhookDeadLetterDelivered():
                return None
        return row


def key_of(webhook: str, position: int) -> str:
    return f"{webhook}/{position:020d}"


WEBHOOKS, DEAD_LETTERS = Webhooks(), DeadLetters()
