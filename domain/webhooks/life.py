"""A webhook's life: how it is set, whether it is active, and how far it has been told what happened."""

from typing import Final

from domain.boundary import Boundary, about
from domain.command import Known, Missing
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import TenantId, WebhookId


class WebhookCreated(Event):
    """`secret` is sealed, as bytes, so that nothing which opens sealed values for readers opens this one.

    No `types` means all. `patience` is how many seconds an event is tried before it is dead-lettered. Without a
    `from_position` it is told what comes after this event.
    """

    tenant: TenantId
    webhook: WebhookId
    url: Sealed
    secret: bytes
    types: tuple[Code, ...]
    personal: bool
    """Whether it is told sealed values, opened."""
    patience: int
    from_position: int | None = None
    name: Sealed | None = None


class WebhookChanged(Event):
    """All that can be changed, as it is from now on."""

    webhook: WebhookId
    url: Sealed
    types: tuple[Code, ...]
    personal: bool
    patience: int
    name: Sealed | None = None


class WebhookSecretRotated(Event):
    """Until `former_until` each delivery has two signatures."""

    webhook: WebhookId
    secret: bytes
    former_secret: bytes
    former_until: Instant


class WebhookPaused(Event):
    webhook: WebhookId


class WebhookResumed(Event):
    """It goes on where it was."""

    webhook: WebhookId


class WebhookDisabled(Event):
    """Nothing has been delivered since then; it waits for somebody to resume it."""

    webhook: WebhookId
    reason: Code
    since: Instant


class WebhookRemoved(Event):
    tenant: TenantId
    webhook: WebhookId


class WebhookReplayRequested(Event):
    """It is told again, or skips to, what begins at this position."""

    webhook: WebhookId
    from_position: int


class WebhookAdvanced(Event):
    """Everything up to the position `reached` is dealt with; said now and then, for whichever node delivers next."""

    webhook: WebhookId
    reached: int


LIFE: Final = (
    WebhookCreated,
    WebhookChanged,
    WebhookSecretRotated,
    WebhookPaused,
    WebhookResumed,
    WebhookDisabled,
    WebhookRemoved,
    WebhookReplayRequested,
    WebhookAdvanced,
)
"""What says how a webhook is: the latest of each, in order, is all there is to know."""


def life_of_webhook(webhook: WebhookId) -> Boundary:
    """Whether a webhook exists, and how it is set."""
    return about(webhook, *LIFE)


class KnownWebhook(Known):
    """A webhook, as its deciding and its delivering both know it."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.life = "none"
        """none, active, paused, disabled or removed"""
        self.url: Sealed | None = None
        self.name: Sealed | None = None
        self.types: tuple[Code, ...] = ()
        self.personal = False
        self.patience = 0
        self.secret = b""
        self.former_secret = b""
        self.former_until = Instant(0)
        self.turn = 0
        """The position of the event that said last where to begin."""
        self.reached = 0
        """Everything up to here is dealt with, as far as the ledger knows."""

    def evolve(self, recorded: Recorded) -> None:
        match recorded.event:
            case WebhookCreated(_, _, url, secret, types, personal, patience, from_position, name):
                self.life, self.secret = "active", secret
                self.url, self.types, self.personal, self.patience, self.name = url, types, personal, patience, name
                self.turn = recorded.position
                self.reached = recorded.position if from_position is None else from_position - 1
            case WebhookChanged(_, url, types, personal, patience, name):
                self.url, self.types, self.personal, self.patience, self.name = url, types, personal, patience, name
            case WebhookSecretRotated(_, secret, former_secret, former_until):
                self.secret, self.former_secret, self.former_until = secret, former_secret, former_until
            case WebhookPaused():
                self.life = "paused"
            case WebhookResumed():
                self.life = "active"
            case WebhookDisabled():
                self.life = "disabled"
            case WebhookRemoved():
                self.life = "removed"
            case WebhookReplayRequested(_, from_position):
                self.turn, self.reached = recorded.position, from_position - 1
            case WebhookAdvanced(_, reached):
                self.reached = reached

    @property
    def lives(self) -> bool:
        return self.life not in ("none", "removed")

    def exists(self) -> None:
        if not self.lives:
            raise Missing("the webhook does not exist")
