"""Sinks over REST: where a tenant's events are streamed to, set up, changed, paused and removed."""

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Path, Request
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
from api.sink_settings import ADDRESSES, SECRETS, SETTINGS, checked
from api.sink_wishes import Format, NewSink, Patience, Types
from api.webhooks import must_exist_in
from domain.access.handing import Given, Handing
from domain.boundary import Item
from domain.capabilities import EVENTS
from domain.event import Code
from domain.ids import SinkId
from domain.sinks import life, sinks
from domain.view import Versioned
from domain.webhooks.secrets import FIELD, kept
from projections.sinks import SINKS, SinkRow

MayReadSinks = Annotated[Reading, may_read("sinks:read")]
MayManageSinks = Annotated[Acting, may("sinks:manage")]
SinkInPath = Annotated[str, Path(pattern=r"^snk_[0-9a-f]{32}$")]
BEYOND_MAKER: Final = (
    "a sink is sent what happens in the tenant: only who has audit:read may say where to, and only who has"
    " people:unseal too if it is sent personal values"
)
CONFIGURES: Final = (life.SinkCreated, life.SinkChanged, life.SinkRemoved)
"""What makes a sink another version, for If-Match; how far it has come does not."""

routes = router("sinks")


class SinkChanges(Body):
    """What is left out stays as it is; a name is taken away with null.

    `settings` and `secrets` are sent whole. Settings that name another place need the secrets anew.
    """

    settings: Annotated[dict[str, Any], Field(max_length=20)] | None = None
    secrets: Annotated[dict[str, Any], Field(max_length=20)] | None = None
    types: Types | None = None
    name: ShortText | None = None
    format: Format | None = None
    unsealed: bool | None = None
    patience_seconds: Patience | None = None


class Sink(Answer):
    """`reached` is what the ledger was told last; `progress` of a sink tells how far it is now."""

    id: str
    target: str
    settings: dict[str, Any] | None
    name: str | None
    types: list[str]
    format: str
    unsealed: bool
    patience_seconds: int
    state: Literal["active", "paused", "disabled"]
    disabled_because: str | None
    failing_since: str | None
    created_at: str
    changed_at: str
    from_position: int | None
    reached: int | None
    tested_at: str | None
    since: int


class Made(Answer):
    id: str
    position: int


def _sink_body(acting: Acting, found: Versioned[SinkRow]) -> Sink:
    row = found.row
    settings = acting.open("settings", row.settings)
    return Sink(
        id=row.sink,
        target=row.target,
        settings=msgspec.json.decode(settings) if settings else None,
        name=acting.open("name", row.name),
        types=list(row.types),
        format=row.format,
        unsealed=row.personal,
        patience_seconds=row.patience,
        state=row.state,
        disabled_because=row.disabled_because,
        failing_since=time_text_if(row.failing_since),
        created_at=time_text(row.created_at),
        changed_at=time_text(row.changed_at),
        from_position=row.from_position,
        reached=row.reached,
        tested_at=time_text_if(row.tested_at),
        since=found.since,
    )


def _must_be_usable(acting: Acting, target: str, settings: str, secrets: str | None) -> None:
    if because := acting.node.webhooks.sink_objection(target, settings, secrets):
        raise problems.unprocessable(because)


def _must_say_nothing_sealed(format: str, unsealed: bool) -> None:
    if format == "ocsf" and unsealed:
        raise problems.unprocessable("OCSF is told nothing that is sealed: leave unsealed out, or send CloudEvents")


def _types(types: list[str]) -> tuple[Code, ...]:
    for each in types:
        if each not in EVENTS and not each.startswith(("opaque:", "action:")):
            raise problems.unprocessable("types names no event; the documentation lists them")
    return tuple(Code(each) for each in dict.fromkeys(types))


def _sent(unsealed: bool, *depends: Item) -> Handing:
    """What whoever watches over the target gets."""
    permissions = {"audit:read", "people:unseal"} if unsealed else {"audit:read"}
    return Handing((Given(frozenset(permissions)),), BEYOND_MAKER, depends=depends)


@routes.post("/tenants/{tenant}/sinks", status_code=201)
async def create_sink(body: NewSink, caller: MayManageSinks) -> Made:
    settings, secrets = body.settings.model_dump_json(), body.secrets.model_dump_json()
    _must_be_usable(caller, body.target, settings, secrets)
    _must_say_nothing_sealed(body.format, body.unsealed)
    must_exist_in(caller, body.from_position)
    types = _types(body.types)
    await caller.hands_on(lambda: _sent(body.unsealed))
    sink = SinkId(caller.new_subject("snk"))
    command = sinks.CreateSink(
        caller.tenant,
        sink,
        Code(body.target),
        caller.seal(sink, "settings", settings),
        kept(caller.seal(sink, FIELD, secrets)),
        types,
        Code(body.format),
        body.unsealed,
        body.patience_seconds,
        body.from_position,
        caller.seal_if(sink, "name", body.name),
    )
    outcome = await caller.execute(command)
    made = next(each.sink for each in outcome.events if isinstance(each, life.SinkCreated))
    return Made(id=made, position=outcome.position)


@routes.get("/tenants/{tenant}/sinks")
async def list_sinks(reading: MayReadSinks, limit: Limit = 100, cursor: Cursor = None) -> Page[Sink]:
    after = place_of(reading, cursor, "sinks")
    found = await reading.node.views.page(SINKS, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "sinks", lambda each: _sink_body(reading, each))


@routes.get("/tenants/{tenant}/sinks/{sink}")
async def read_sink(sink: SinkInPath, reading: MayReadSinks) -> Sink:
    found = await reading.must_get(SINKS, sink, "sink")
    reading.etag_of(found.since)
    return _sink_body(reading, found)


@routes.patch("/tenants/{tenant}/sinks/{sink}")
async def change_sink(sink: SinkInPath, body: SinkChanges, caller: MayManageSinks, request: Request) -> Changed:
    """Holds from the next batch on, also for what has failed so far."""
    tag, sent = f"sink:{sink}", body.model_fields_set
    expected = caller.expects_unchanged(tag, CONFIGURES)
    row = caller.current(SINKS, tag, sink, "sink").row
    unsealed = row.personal if body.unsealed is None else body.unsealed
    if sent & {"settings", "secrets", "types", "format", "unsealed"}:
        await caller.hands_on(lambda: _sent(unsealed, caller.version(tag, (life.SinkChanged,))))
    format = row.format if body.format is None else body.format
    _must_say_nothing_sealed(format, unsealed)
    settings, secret = _set(caller, row, body, request)
    command = sinks.ChangeSink(
        SinkId(sink),
        row.settings if settings is None else caller.seal(sink, "settings", settings),
        row.secret if secret is None else kept(caller.seal(sink, FIELD, secret)),
        tuple(Code(each) for each in row.types) if body.types is None else _types(body.types),
        Code(format),
        unsealed,
        row.patience if body.patience_seconds is None else body.patience_seconds,
        caller.seal_if(sink, "name", body.name) if "name" in sent else row.name,
    )
    return changed(await caller.execute(command, expected))


def _set(caller: Acting, row: SinkRow, body: SinkChanges, request: Request) -> tuple[str | None, str | None]:
    """The new settings and secrets, where they change. Raises Problem 422."""
    before = caller.open("settings", row.settings)
    if before is None:
        raise problems.not_found("the sink does not exist")
    settings = before
    if body.settings is not None:
        settings = checked(SETTINGS, row.target, "settings", body.settings, request.app).model_dump_json()
        was, will = msgspec.json.decode(before), msgspec.json.decode(settings)
        if body.secrets is None and any(was.get(each) != will.get(each) for each in ADDRESSES):
            raise problems.unprocessable("these settings name another place: send the secrets for it too")
    if body.secrets is None:
        if body.settings is not None:
            _must_be_usable(caller, row.target, settings, None)
        return (settings if body.settings is not None else None), None
    secrets = checked(SECRETS, row.target, "secrets", body.secrets, request.app).model_dump_json()
    _must_be_usable(caller, row.target, settings, secrets)
    return (settings if body.settings is not None else None), secrets


@routes.post("/tenants/{tenant}/sinks/{sink}/pause")
async def pause_sink(sink: SinkInPath, caller: MayManageSinks) -> Changed:
    """It is sent nothing until it is resumed, and then everything it missed."""
    return changed(await caller.execute(sinks.PauseSink(SinkId(sink))))


@routes.post("/tenants/{tenant}/sinks/{sink}/resume")
async def resume_sink(sink: SinkInPath, caller: MayManageSinks) -> Changed:
    """It goes on where it was, whether it was paused or disabled."""
    return changed(await caller.execute(sinks.ResumeSink(SinkId(sink))))


@routes.delete("/tenants/{tenant}/sinks/{sink}")
async def remove_sink(sink: SinkInPath, caller: MayManageSinks) -> Changed:
    return changed(await caller.execute(sinks.RemoveSink(caller.tenant, SinkId(sink))))
