"""Webhooks over REST: set up, paused, tested and replayed; and what became of each delivery."""

import os
from typing import Annotated, Final, Literal

from fastapi import Path
from pydantic import Field

from api.acting import Acting, Reading
from api.bodies import (
    Answer,
    Body,
    Changed,
    Cursor,
    Limit,
    ShortText,
    changed,
    page_of,
    place_of,
    router,
    time_text,
    time_text_if,
)
from api.http import problems
from api.http.paging import Page
from api.permitted import may, may_read
from domain.access.handing import Given, Handing
from domain.boundary import Item
from domain.capabilities import EVENTS
from domain.event import Code, Instant
from domain.ids import WebhookId
from domain.ledger import Outcome
from domain.view import Versioned
from domain.webhooks import hooks, life
from domain.webhooks.secrets import FIELD, kept, secret_from
from projections.webhooks import WEBHOOKS, WebhookRow

MayReadWebhooks = Annotated[Reading, may_read("webhooks:read")]
MayManageWebhooks = Annotated[Acting, may("webhooks:manage")]
WebhookInPath = Annotated[str, Path(pattern=r"^whk_[0-9a-f]{32}$")]
Url = Annotated[str, Field(min_length=1, max_length=2000)]
EventType = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9:_.-]{0,120}$")]
Types = Annotated[list[EventType], Field(max_length=100)]
Patience = Annotated[int, Field(ge=0, le=7 * 86_400)]

BEYOND_MAKER: Final = (
    "a webhook tells its receiver what happens in the tenant: only who has audit:read may say where to, and only who"
    " has people:unseal too if it is told personal values"
)
CONFIGURES: Final = (life.WebhookCreated, life.WebhookChanged, life.WebhookSecretRotated, life.WebhookRemoved)
"""What makes a webhook another version, for If-Match; how far it has come does not."""

routes = router("webhooks")


class NewWebhook(Body):
    """Without `types` it is told everything. `from_position` begins in the past; without it, with what comes now."""

    url: Url
    types: Types = Field(default_factory=list)
    name: ShortText | None = None
    personal: bool = False
    """Whether it is told personal values; without it they are null, and named in `sealed`."""
    patience_seconds: Patience = 3 * 86_400
    """How long an event is tried before it is dead-lettered; 0: once."""
    from_position: Annotated[int, Field(ge=1, le=2**53)] | None = None


class WebhookChanges(Body):
    """What is left out stays as it is; a name is taken away with null."""

    url: Url | None = None
    types: Types | None = None
    name: ShortText | None = None
    personal: bool | None = None
    patience_seconds: Patience | None = None


class SecretRotation(Body):
    overlap_seconds: Annotated[int, Field(ge=0, le=30 * 86_400)] = 86_400
    """How long deliveries are signed with the former secret too."""


class Webhook(Answer):
    """`reached` is what the ledger was told last; `progress` of a webhook tells how far it is now."""

    id: str
    url: str | None
    name: str | None
    types: list[str]
    personal: bool
    patience_seconds: int
    state: Literal["active", "paused", "disabled"]
    disabled_because: str | None
    failing_since: str | None
    created_at: str
    changed_at: str
    former_secret_until: str | None
    from_position: int | None
    reached: int | None
    tested_at: str | None
    since: int


class ToldSecret(Answer):
    """The signing secret is told this once; it is kept sealed, and nobody is shown it again."""

    id: str
    secret: str
    position: int


def _webhook_body(acting: Acting, found: Versioned[WebhookRow]) -> Webhook:
    row = found.row
    return Webhook(
        id=row.webhook,
        url=acting.open("url", row.url),
        name=acting.open("name", row.name),
        types=list(row.types),
        personal=row.personal,
        patience_seconds=row.patience,
        state=row.state,
        disabled_because=row.disabled_because,
        failing_since=time_text_if(row.failing_since),
        created_at=time_text(row.created_at),
        changed_at=time_text(row.changed_at),
        former_secret_until=time_text_if(row.former_until),
        from_position=row.from_position,
        reached=row.reached,
        tested_at=time_text_if(row.tested_at),
        since=found.since,
    )


def _must_be_sendable(acting: Acting, url: str) -> None:
    if because := acting.node.webhooks.objection(url):
        raise problems.unprocessable(because)


def _types(types: list[str]) -> tuple[Code, ...]:
    for each in types:
        if each not in EVENTS and not each.startswith("opaque:"):
            raise problems.unprocessable("types names no event; the documentation lists them")
    return tuple(Code(each) for each in dict.fromkeys(types))


def _told(personal: bool, *depends: Item) -> Handing:
    """What whoever receives the deliveries gets."""
    permissions = {"audit:read", "people:unseal"} if personal else {"audit:read"}
    return Handing((Given(frozenset(permissions)),), BEYOND_MAKER, depends=depends)


def must_exist_in(acting: Acting, position: int | None) -> None:
    """Raises Problem 422 for a place that the history has not come to."""
    head = acting.node.feed.head(acting.tenant)
    if position is not None and position > head + 1:
        raise problems.unprocessable(f"the tenant's history ends at position {head}: begin there or earlier")


@routes.post("/tenants/{tenant}/webhooks", status_code=201)
async def create_webhook(body: NewWebhook, caller: MayManageWebhooks) -> ToldSecret:
    _must_be_sendable(caller, body.url)
    must_exist_in(caller, body.from_position)
    types = _types(body.types)
    await caller.hands_on(lambda: _told(body.personal))
    webhook, secret = WebhookId(caller.new_subject("whk")), secret_from(os.urandom(32))
    command = hooks.CreateWebhook(
        caller.tenant,
        webhook,
        caller.seal(webhook, "url", body.url),
        kept(caller.seal(webhook, FIELD, secret)),
        types,
        body.personal,
        body.patience_seconds,
        body.from_position,
        caller.seal_if(webhook, "name", body.name),
    )
    return _secret_told(webhook, secret, await caller.execute(command))


def _secret_told(webhook: str, secret: str, outcome: Outcome) -> ToldSecret:
    if outcome.repeated:
        made = next(
            each.webhook
            for each in outcome.events
            if isinstance(each, (life.WebhookCreated, life.WebhookSecretRotated))
        )
        raise problems.conflict(
            "the secret of the webhook that `id` names was told when this request came first; rotate it to get another",
            id=made,
        )
    return ToldSecret(id=webhook, secret=secret, position=outcome.position)


@routes.get("/tenants/{tenant}/webhooks")
async def list_webhooks(reading: MayReadWebhooks, limit: Limit = 100, cursor: Cursor = None) -> Page[Webhook]:
    after = place_of(reading, cursor, "webhooks")
    found = await reading.node.views.page(WEBHOOKS, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "webhooks", lambda each: _webhook_body(reading, each))


@routes.get("/tenants/{tenant}/webhooks/{webhook}")
async def read_webhook(webhook: WebhookInPath, reading: MayReadWebhooks) -> Webhook:
    found = await reading.must_get(WEBHOOKS, webhook, "webhook")
    reading.etag_of(found.since)
    return _webhook_body(reading, found)


@routes.patch("/tenants/{tenant}/webhooks/{webhook}")
async def change_webhook(webhook: WebhookInPath, body: WebhookChanges, caller: MayManageWebhooks) -> Changed:
    """Holds from the next delivery on, also for what has failed so far."""
    tag, sent = f"webhook:{webhook}", body.model_fields_set
    expected = caller.expects_unchanged(tag, CONFIGURES)
    row = caller.current(WEBHOOKS, tag, webhook, "webhook").row
    personal = row.personal if body.personal is None else body.personal
    if sent & {"url", "types", "personal"}:
        await caller.hands_on(lambda: _told(personal, caller.version(tag, (life.WebhookChanged,))))
    if body.url is not None:
        _must_be_sendable(caller, body.url)
    command = hooks.ChangeWebhook(
        WebhookId(webhook),
        row.url if body.url is None else caller.seal(webhook, "url", body.url),
        tuple(Code(each) for each in row.types) if body.types is None else _types(body.types),
        personal,
        row.patience if body.patience_seconds is None else body.patience_seconds,
        caller.seal_if(webhook, "name", body.name) if "name" in sent else row.name,
    )
    return changed(await caller.execute(command, expected))


@routes.post("/tenants/{tenant}/webhooks/{webhook}/pause")
async def pause_webhook(webhook: WebhookInPath, caller: MayManageWebhooks) -> Changed:
    """It is told nothing until it is resumed, and then everything it missed."""
    return changed(await caller.execute(hooks.PauseWebhook(WebhookId(webhook))))


@routes.post("/tenants/{tenant}/webhooks/{webhook}/resume")
async def resume_webhook(webhook: WebhookInPath, caller: MayManageWebhooks) -> Changed:
    """It goes on where it was, whether it was paused or disabled."""
    return changed(await caller.execute(hooks.ResumeWebhook(WebhookId(webhook))))


@routes.post("/tenants/{tenant}/webhooks/{webhook}/rotate_secret")
async def rotate_webhook_secret(webhook: WebhookInPath, body: SecretRotation, caller: MayManageWebhooks) -> ToldSecret:
    """A new secret. Until the overlap is over each delivery has a signature of either."""
    secret = secret_from(os.urandom(32))
    until = Instant(caller.node.clock() + body.overlap_seconds * 1_000_000)
    sealed = kept(caller.seal(webhook, FIELD, secret))
    outcome = await caller.execute(hooks.RotateWebhookSecret(WebhookId(webhook), sealed, until))
    return _secret_told(webhook, secret, outcome)


@routes.delete("/tenants/{tenant}/webhooks/{webhook}")
async def remove_webhook(webhook: WebhookInPath, caller: MayManageWebhooks) -> Changed:
    return changed(await caller.execute(hooks.RemoveWebhook(caller.tenant, WebhookId(webhook))))
