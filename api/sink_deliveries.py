"""What is sent to sinks over REST: how far each has come and lags, its attempts, dead letters, tests and replays."""

from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import Field

from api.acting import Acting, Reading
from api.bodies import Answer, Changed, Cursor, Limit, changed, page_of, place_of, router, time_text_if
from api.http.paging import Page
from api.permitted import may, may_read
from api.sinks import SinkInPath
from api.webhook_deliveries import (
    LONGEST_WAIT,
    DeadLetter,
    Deliveries,
    PositionInPath,
    Replay,
    Tested,
    attempts_of,
    delivery_body,
    letter_body,
)
from api.webhooks import must_exist_in
from domain.ids import SinkId
from domain.sinks import sending
from projections.sinks import SINK_LETTERS, SINKS, key_of

MayReadSending = Annotated[Reading, may_read("sinks:read")]
MayManageSending = Annotated[Acting, may("sinks:manage")]
_SECOND: Final = 1_000_000

routes = router("sinks")


class Lag(Answer):
    """How far a sink is. `here` is false on a node that does not send to it: then another one knows.

    `sending`: nothing is in the way; `retrying`: the last batch failed, and is sent again at `next_attempt_at`.
    """

    here: bool
    state: Literal["sending", "retrying", "paused", "disabled"] | None = None
    reached: int | None = None
    lag_events: int | None = Field(None, description="Positions still to be looked at; not all may matter to it.")
    lag_seconds: float | None = Field(None, description="The age of the first of them.")
    attempts: int | None = Field(None, description="How often what comes next has failed.")
    failing_since: str | None = None
    next_attempt_at: str | None = None
    last_error: str | None = Field(None, description="Why the last attempt failed, if it did.")


@routes.get("/tenants/{tenant}/sinks/{sink}/progress")
async def read_sink_progress(sink: SinkInPath, reading: MayReadSending) -> Lag:
    """How far it is now, whatever `as_of` says."""
    row = (await reading.must_get(SINKS, sink, "sink")).row
    found = reading.node.webhooks.progress(reading.tenant, SinkId(sink))
    if found is None:
        return Lag(here=False)
    running: Literal["sending", "retrying"] = "retrying" if found.failing_since is not None else "sending"
    return Lag(
        here=True,
        state=running if row.state == "active" else row.state,
        reached=found.reached,
        lag_events=found.behind,
        lag_seconds=0 if found.oldest is None else max(0, reading.node.clock() - found.oldest) / _SECOND,
        attempts=found.attempts,
        failing_since=time_text_if(found.failing_since),
        next_attempt_at=time_text_if(found.next_attempt_at),
        last_error=found.trouble,
    )


@routes.get("/tenants/{tenant}/sinks/{sink}/deliveries")
async def list_sink_deliveries(
    sink: SinkInPath,
    reading: MayReadSending,
    position: Annotated[int | None, Query(ge=1, le=2**53, description="Only those that began with it.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Deliveries:
    """Every attempt with its outcome: when, how many events, how long it took, and when the next one is due."""
    await reading.must_get(SINKS, sink, "sink")
    return await attempts_of(reading, SinkId(sink), position, limit, cursor)


@routes.get("/tenants/{tenant}/sinks/{sink}/dead_letters")
async def list_sink_dead_letters(
    sink: SinkInPath, reading: MayReadSending, limit: Limit = 100, cursor: Cursor = None
) -> Page[DeadLetter]:
    """What the target refused for as long as the sink has patience."""
    await reading.must_get(SINKS, sink, "sink")
    of = f"dead letters of {sink}"
    after = place_of(reading, cursor, of)
    found = await reading.node.views.find(
        SINK_LETTERS, reading.tenant, reading.at, "sink", sink, after=after, limit=limit + 1
    )
    return page_of(reading, found, limit, of, letter_body)


@routes.get("/tenants/{tenant}/sinks/{sink}/dead_letters/{position}")
async def read_sink_dead_letter(sink: SinkInPath, position: PositionInPath, reading: MayReadSending) -> DeadLetter:
    return letter_body(await reading.must_get(SINK_LETTERS, key_of(sink, position), "dead letter"))


@routes.post("/tenants/{tenant}/sinks/{sink}/dead_letters/{position}/retry", status_code=202)
async def retry_sink_dead_letter(sink: SinkInPath, position: PositionInPath, caller: MayManageSending) -> Changed:
    """One attempt, out of order, also while the sink is paused; it stays a dead letter until one arrives."""
    return changed(await caller.execute(sending.RetrySinkLetter(SinkId(sink), position)))


@routes.post("/tenants/{tenant}/sinks/{sink}/replay", status_code=202)
async def replay_sink(sink: SinkInPath, body: Replay, caller: MayManageSending) -> Changed:
    """Send everything again from a position on, in order, under the same ids."""
    must_exist_in(caller, body.from_position)
    return changed(await caller.execute(sending.ReplaySink(SinkId(sink), body.from_position)))


@routes.post("/tenants/{tenant}/sinks/{sink}/test")
async def send_test_to_sink(
    sink: SinkInPath,
    caller: MayManageSending,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the outcome.")] = 10.0,
) -> Tested:
    """Send an event that says it is a test, once, out of order, also while the sink is paused."""
    id = SinkId(sink)
    outcome = await caller.execute(sending.RequestSinkTest(id))
    made = await caller.node.webhooks.attempt_of(caller.tenant, id, outcome.position, wait)
    return Tested(position=outcome.position, delivery=delivery_body(made) if made else None)
