"""Deliveries to webhooks over REST: how far each has come, its attempts, dead letters, tests and replays."""

from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from pydantic import Field

from api.acting import Acting, Reading
from api.bodies import Answer, Body, Changed, Cursor, Limit, changed, page_of, place_of, router, time_text, time_text_if
from api.http.paging import Page
from api.permitted import may, may_read
from api.webhooks import WebhookInPath, must_exist_in
from domain.ids import SinkId, WebhookId
from domain.view import Versioned
from domain.webhooks import deliveries
from projections.webhooks import DEAD_LETTERS, WEBHOOKS, key_of

MayReadDeliveries = Annotated[Reading, may_read("webhooks:read")]
MayManageDeliveries = Annotated[Acting, may("webhooks:manage")]
PositionInPath = Annotated[int, Path(ge=1, le=2**53)]
LONGEST_WAIT: Final = 20.0
_NEWEST: Final = 1 << 62

routes = router("webhooks")


class Progress(Answer):
    """How far a webhook is. `here` is false on a node that does not deliver to it: then another one knows."""

    here: bool
    reached: int | None = None
    behind: int | None = Field(None, description="Positions still to be looked at; not all may matter to it.")
    attempts: int | None = Field(None, description="How often what comes next has failed.")
    failing_since: str | None = None
    next_attempt_at: str | None = None


class Delivery(Answer):
    """One attempt. `kind`: event, in its order; retry, of a dead letter; or test."""

    position: int
    event_id: str
    event_type: str
    kind: Literal["event", "retry", "test"]
    attempt: int
    at: str
    took_ms: float
    delivered: bool
    status: int | None
    reason: str
    next_attempt_at: str | None
    events: int = Field(1, description="How many were sent at once, the first of which is named here.")


class Deliveries(Answer):
    """The newest first, of those that this node made in the last days."""

    items: list[Delivery]
    next: str | None


class DeadLetter(Answer):
    """An event that could not be delivered, and was passed over."""

    position: int
    event_id: str
    event_type: str
    attempts: int
    status: int | None
    reason: str
    first_tried_at: str
    failed_at: str
    state: Literal["dead", "retrying"]
    since: int


class Replay(Body):
    from_position: Annotated[int, Field(ge=1, le=2**53)]
    """The first event to tell again; one that is later than what comes next skips what is between."""


class Tested(Answer):
    """`delivery` is null if it was not made within the wait."""

    position: int
    delivery: Delivery | None


@routes.get("/tenants/{tenant}/webhooks/{webhook}/progress")
async def read_webhook_progress(webhook: WebhookInPath, reading: MayReadDeliveries) -> Progress:
    """How far it is now, whatever `as_of` says."""
    await reading.must_get(WEBHOOKS, webhook, "webhook")
    found = reading.node.webhooks.progress(reading.tenant, WebhookId(webhook))
    if found is None:
        return Progress(here=False)
    return Progress(
        here=True,
        reached=found.reached,
        behind=found.behind,
        attempts=found.attempts,
        failing_since=time_text_if(found.failing_since),
        next_attempt_at=time_text_if(found.next_attempt_at),
    )


@routes.get("/tenants/{tenant}/webhooks/{webhook}/deliveries")
async def list_deliveries(
    webhook: WebhookInPath,
    reading: MayReadDeliveries,
    position: Annotated[int | None, Query(ge=1, le=2**53, description="Only those of this event.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Deliveries:
    """Every attempt with its outcome: when, how long it took, what was answered, and when the next one is due."""
    await reading.must_get(WEBHOOKS, webhook, "webhook")
    return await attempts_of(reading, WebhookId(webhook), position, limit, cursor)


async def attempts_of(
    reading: Reading, id: WebhookId | SinkId, position: int | None, limit: int, cursor: str | None
) -> Deliveries:
    """A page of the attempts that this node made."""
    of = f"deliveries of {id} in {reading.tenant} at {position}"
    cursors = reading.node.cursors
    before = _NEWEST if cursor is None else cursors.decode(cursor, dict[str, int], of=of)["before"]
    found = await reading.node.webhooks.attempts(reading.tenant, id, position=position, before=before, limit=limit + 1)
    more = cursors.encode({"before": found[limit - 1].number}, of=of) if len(found) > limit else None
    return Deliveries(items=[delivery_body(each) for each in found[:limit]], next=more)


def delivery_body(attempt: Any) -> Delivery:
    return Delivery(
        position=attempt.position,
        event_id=attempt.event_id,
        event_type=attempt.event_type,
        kind=attempt.kind,
        attempt=attempt.attempt,
        at=time_text(attempt.began_at),
        took_ms=attempt.took / 1000,
        delivered=attempt.delivered,
        status=attempt.status,
        reason=attempt.reason,
        next_attempt_at=time_text_if(attempt.next_at),
        events=attempt.events,
    )


@routes.get("/tenants/{tenant}/webhooks/{webhook}/dead_letters")
async def list_dead_letters(
    webhook: WebhookInPath, reading: MayReadDeliveries, limit: Limit = 100, cursor: Cursor = None
) -> Page[DeadLetter]:
    """What could not be delivered, in the order of positions."""
    await reading.must_get(WEBHOOKS, webhook, "webhook")
    of = f"dead letters of {webhook}"
    after = place_of(reading, cursor, of)
    found = await reading.node.views.find(
        DEAD_LETTERS, reading.tenant, reading.at, "webhook", webhook, after=after, limit=limit + 1
    )
    return page_of(reading, found, limit, of, letter_body)


@routes.get("/tenants/{tenant}/webhooks/{webhook}/dead_letters/{position}")
async def read_dead_letter(webhook: WebhookInPath, position: PositionInPath, reading: MayReadDeliveries) -> DeadLetter:
    return letter_body(await reading.must_get(DEAD_LETTERS, key_of(webhook, position), "dead letter"))


def letter_body(found: Versioned[Any]) -> DeadLetter:
    row = found.row
    return DeadLetter(
        position=row.position,
        event_id=row.event_id,
        event_type=row.event_type,
        attempts=row.attempts,
        status=row.status,
        reason=row.reason,
        first_tried_at=time_text(row.since),
        failed_at=time_text(row.failed_at),
        state=row.state,
        since=found.since,
    )


@routes.post("/tenants/{tenant}/webhooks/{webhook}/dead_letters/{position}/retry", status_code=202)
async def retry_dead_letter(webhook: WebhookInPath, position: PositionInPath, caller: MayManageDeliveries) -> Changed:
    """One attempt, out of order, also while the webhook is paused; it stays a dead letter until one arrives."""
    return changed(await caller.execute(deliveries.RetryDeadLetter(WebhookId(webhook), position)))


@routes.post("/tenants/{tenant}/webhooks/{webhook}/replay", status_code=202)
async def replay_webhook(webhook: WebhookInPath, body: Replay, caller: MayManageDeliveries) -> Changed:
    """Tell everything again from a position on, in order, under the same ids."""
    must_exist_in(caller, body.from_position)
    return changed(await caller.execute(deliveries.ReplayWebhook(WebhookId(webhook), body.from_position)))


@routes.post("/tenants/{tenant}/webhooks/{webhook}/test")
async def send_test_event(
    webhook: WebhookInPath,
    caller: MayManageDeliveries,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the outcome.")] = 10.0,
) -> Tested:
    """Send an event that says it is a test, once, out of order, also while the webhook is paused."""
    id = WebhookId(webhook)
    outcome = await caller.execute(deliveries.RequestWebhookTest(id))
    made = await caller.node.webhooks.attempt_of(caller.tenant, id, outcome.position, wait)
    return Tested(position=outcome.position, delivery=delivery_body(made) if made else None)
