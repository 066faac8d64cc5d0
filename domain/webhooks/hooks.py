"""A webhook is set up, changed, paused and removed; its secret is rotated."""

from typing import Final, assert_never

from domain.boundary import Boundary, Tally
from domain.command import Command, Decider, Refused, Taken
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import TenantId, WebhookId
from domain.webhooks.life import (
    KnownWebhook,
    WebhookChanged,
    WebhookCreated,
    WebhookPaused,
    WebhookRemoved,
    WebhookResumed,
    WebhookSecretRotated,
    life_of_webhook,
)

MOST_WEBHOOKS: Final = 50


class CreateWebhook(Command):
    permission = "webhooks:manage"
    tenant: TenantId
    webhook: WebhookId
    url: Sealed
    secret: bytes
    types: tuple[Code, ...]
    personal: bool
    patience: int
    from_position: int | None = None
    name: Sealed | None = None

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook) | Boundary(tallies=(every_webhook_of(self.tenant),))


class ChangeWebhook(Command):
    permission = "webhooks:manage"
    webhook: WebhookId
    url: Sealed
    types: tuple[Code, ...]
    personal: bool
    patience: int
    name: Sealed | None = None

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


class RotateWebhookSecret(Command):
    permission = "webhooks:manage"
    webhook: WebhookId
    secret: bytes
    former_until: Instant

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


class PauseWebhook(Command):
    permission = "webhooks:manage"
    webhook: WebhookId

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


class ResumeWebhook(Command):
    permission = "webhooks:manage"
    webhook: WebhookId

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


class RemoveWebhook(Command):
    permission = "webhooks:manage"
    tenant: TenantId
    webhook: WebhookId

    def boundary(self) -> Boundary:
        return life_of_webhook(self.webhook)


HooksCommand = CreateWebhook | ChangeWebhook | RotateWebhookSecret | PauseWebhook | ResumeWebhook | RemoveWebhook


def _note_webhook(webhooks: set[WebhookId], recorded: Recorded) -> None:
    match recorded.event:
        case WebhookCreated(webhook=webhook):
            webhooks.add(webhook)
        case WebhookRemoved(webhook=webhook):
            webhooks.discard(webhook)


def every_webhook_of(tenant: TenantId) -> Tally:
    """The webhooks that a tenant has."""
    return Tally("webhooks", f"tenant:{tenant}", (WebhookCreated, WebhookRemoved), set, _note_webhook)


def _is_set(known: KnownWebhook, command: ChangeWebhook) -> bool:
    """Whether it is as the command wants it."""
    same_name = command.name is None if known.name is None else known.name.same_as(command.name)
    wanted = command.types, command.personal, command.patience
    return same_name and command.url.same_as(known.url) and wanted == (known.types, known.personal, known.patience)


def decide(command: HooksCommand, known: KnownWebhook) -> list[Event]:
    match command:
        case CreateWebhook(tenant, webhook, url, secret, types, personal, patience, from_position, name):
            if known.life != "none":
                raise Taken("the webhook exists already")
            if len(known.tallies["webhooks"]) >= MOST_WEBHOOKS:
                raise Refused(f"a tenant can have {MOST_WEBHOOKS} webhooks; remove one first")
            return [WebhookCreated(tenant, webhook, url, secret, types, personal, patience, from_position, name)]
        case ChangeWebhook(webhook, url, types, personal, patience, name):
            known.exists()
            return [] if _is_set(known, command) else [WebhookChanged(webhook, url, types, personal, patience, name)]
        case RotateWebhookSecret(webhook, secret, former_until):
            known.exists()
            if known.secret == secret:
                return []
            return [WebhookSecretRotated(webhook, secret, known.secret, max(former_until, known.now))]
        case PauseWebhook(webhook):
            known.exists()
            return [] if known.life == "paused" else [WebhookPaused(webhook)]
        case ResumeWebhook(webhook):
            known.exists()
            return [] if known.life == "active" else [WebhookResumed(webhook)]
        case RemoveWebhook(tenant, webhook):
            known.exists()
            return [WebhookRemoved(tenant, webhook)]
        case _:
            assert_never(command)


decider = Decider(
    commands=(CreateWebhook, ChangeWebhook, RotateWebhookSecret, PauseWebhook, ResumeWebhook, RemoveWebhook),
    begin=KnownWebhook,
    decide=decide,
)
