"""The trail and the events of a tenant: what happened, who did it, on whose behalf and under what authority."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Query, Response

from api.acting import Reading
from api.bodies import Answer, Cursor, Limit, place_of, router, time_text
from api.http import problems, server_sent_events
from api.http.moments import AtPosition, parse_moment
from api.http.server_sent_events import EventStream, Sent
from api.permitted import may_read
from domain.capabilities import EVENTS
from domain.event import Entry, Instant, Sealed
from domain.ids import KINDS, kind_of
from domain.ledger import Query as Asked

MayReadTrail = Annotated[Reading, may_read("audit:read", stored=False)]
MOST_WAIT: Final = 30.0
routes = router("audit")

Type = Annotated[str, Query(pattern=r"^[A-Za-z][A-Za-z0-9:_.-]{0,120}$")]
Tag = Annotated[str, Query(pattern=r"^[a-z_]{1,30}:[!-~]{1,300}$")]
AnyId = Annotated[str, Query(pattern=r"^[a-z]{3}_[a-z0-9_]{1,60}$")]


class Who(Answer):
    kind: str
    id: str


class Allowed(Answer):
    permission: str
    decision: str
    policies: list[str]
    position: int


class Event(Answer):
    """One event. `data` holds its own fields; what an erased person's keys sealed is null, and named in `erased`."""

    position: int
    recorded_at: str
    type: str
    id: str
    actor: Who
    on_behalf_of: list[str]
    credential: str | None
    authority: Allowed
    command: str
    causation: str | None
    correlation: str
    request: dict[str, Any] | None
    tags: list[str]
    nth: list[int]
    schema_id: int
    data: dict[str, Any]
    erased: list[str]


class Trail(Answer):
    items: list[Event]
    next: str | None = None
    position: int


class Events(Answer):
    """`next` is the position to send as `after` for what follows; the same as was sent if nothing did."""

    items: list[Event]
    next: int
    head: int


def event_body(reading: Reading, entry: Entry) -> Event:
    meta, erased = entry.meta, list[str]()
    data = {name: _plain(reading, name, getattr(entry.event, name), erased) for name in entry.event.__struct_fields__}
    request = _plain(reading, "request", meta.request, erased)
    return Event(
        position=entry.position,
        recorded_at=time_text(entry.instant),
        type=entry.event.type_name,
        id=meta.event_id,
        actor=Who(kind=meta.actor_kind, id=meta.actor_id),
        on_behalf_of=list(meta.on_behalf_of),
        credential=meta.credential_id,
        authority=Allowed(
            permission=meta.authority_permission,
            decision=meta.authority_decision,
            policies=list(meta.authority_policies),
            position=meta.authority_position,
        ),
        command=meta.command_id,
        causation=meta.causation_id,
        correlation=meta.correlation_id,
        request=json.loads(request) if request else None,
        tags=list(meta.tags),
        nth=list(entry.nth),
        schema_id=entry.schema,
        data=data,
        erased=erased,
    )


def _plain(reading: Reading, name: str, value: Any, erased: list[str]) -> Any:
    if isinstance(value, Sealed):
        opened = reading.open(name, value)
        if opened is None:
            erased.append(name)
        return opened
    if isinstance(value, bytes):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value


def _tags(subject: str | None, tag: str | None, actor: str | None, correlation: str | None) -> tuple[str, ...]:
    tags = []
    if subject:
        if subject[:3] not in KINDS and subject != "_deployment":
            raise problems.unprocessable("subject is no id of ours: send an id, or a tag as `tag`")
        tags.append(f"{kind_of(subject)}:{subject}")
    if tag:
        tags.append(tag)
    if actor:
        tags.append(f"actor:{actor}")
    if correlation:
        tags.append(f"correlation:{correlation}")
    return tuple(tags)


def _types(types: list[str]) -> tuple[str, ...]:
    for each in types:
        if each not in EVENTS and not each.startswith("opaque:"):
            raise problems.unprocessable("type names no event; the documentation lists them")
    return tuple(types)


def _bound(reading: Reading, text: str | None, *, first: bool) -> int:
    """The position that a moment means: as the first of a range, the one before it."""
    if text is None:
        return 0 if first else reading.at.position
    moment = parse_moment(text)
    if isinstance(moment, AtPosition):
        position = moment.position - first
    else:
        position = reading.node.history.position_at(reading.tenant, Instant(moment.instant - first))
    return min(position, reading.at.position)


Bound = Annotated[str | None, Query(max_length=64, description="A position, or a time as RFC 3339.")]


@routes.get("/tenants/{tenant}/trail")
async def search_trail(
    reading: MayReadTrail,
    actor: AnyId | None = None,
    subject: AnyId | None = None,
    tag: Tag | None = None,
    type: Annotated[list[Type], Query(max_length=50)] = [],  # noqa: B006
    correlation: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{8,64}$")] = None,
    start: Annotated[Bound, Query(alias="from")] = None,
    end: Annotated[Bound, Query(alias="to")] = None,
    order: Literal["newest", "oldest"] = "newest",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Trail:
    """Events that carry everything asked for, of any of the types, in a range of positions or times."""
    after, until = _bound(reading, start, first=True), _bound(reading, end, first=False)
    tags = _tags(subject, tag, actor, correlation)
    of = f"trail {tags} {sorted(type)} {order}"
    if place := place_of(reading, cursor, of):
        if order == "newest":
            until = min(until, int(place) - 1)
        else:
            after = max(after, int(place))
    query = Asked(tags, _types(type), after, until)
    newest = order == "newest"
    found = await asyncio.to_thread(reading.node.history.entries, reading.tenant, query, limit + 1, newest)
    more = None
    if len(found) > limit:
        more = reading.node.cursors.encode({"after": str(found[limit - 1].position)}, of=f"{of} of {reading.tenant}")
    return Trail(items=[event_body(reading, each) for each in found[:limit]], next=more, position=reading.at.position)


After = Annotated[int, Query(ge=0, le=2**53, description="Events beyond this position.")]


@routes.get("/tenants/{tenant}/events")
async def read_events(
    reading: MayReadTrail,
    after: After = 0,
    tag: Tag | None = None,
    actor: AnyId | None = None,
    type: Annotated[list[Type], Query(max_length=50)] = [],  # noqa: B006
    limit: Limit = 100,
    wait: Annotated[float, Query(ge=0, le=MOST_WAIT, description="Seconds to wait if nothing is there yet.")] = 0,
) -> Events:
    """A tenant's events in order, from a position: send `next` as `after` to go on."""
    query = Asked(_tags(None, tag, actor, None), _types(type), after)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (0 if reading.as_of else wait)
    while True:
        head = reading.at.position if reading.as_of else reading.node.feed.head(reading.tenant)
        query = msgspec.structs.replace(query, until=head)
        found = await asyncio.to_thread(reading.node.history.entries, reading.tenant, query, limit)
        left = deadline - loop.time()
        if found or left <= 0 or reading.node.stopping.is_set():
            break
        query = msgspec.structs.replace(query, after=max(query.after, head))
        await reading.node.feed.wait(reading.tenant, head, left)
    following = found[-1].position if len(found) == limit else max(head, after)
    return Events(items=[event_body(reading, each) for each in found], next=following, head=head)


@routes.get(
    "/tenants/{tenant}/events/stream",
    response_class=Response,
    responses=server_sent_events.RESPONSES,
)
async def stream_events(
    reading: MayReadTrail,
    after: After = 0,
    tag: Tag | None = None,
    actor: AnyId | None = None,
    type: Annotated[list[Type], Query(max_length=50)] = [],  # noqa: B006
    lasts: Annotated[float, Query(gt=0, le=3600, description="Seconds after which the stream ends.")] = 3600,
) -> Response:
    """The same as server-sent events; the id of each is its position, so Last-Event-ID goes on where it broke off."""
    resumed = reading.header("last-event-id")
    if resumed is not None and resumed.isascii() and resumed.isdigit() and len(resumed) < 17:
        after = max(after, int(resumed))
    query = Asked(_tags(None, tag, actor, None), _types(type), after)
    return EventStream(_sent(reading, query), stopping=reading.node.stopping, lasts=lasts)


async def _sent(reading: Reading, query: Asked) -> AsyncGenerator[Sent, None]:
    while True:
        head = reading.node.feed.head(reading.tenant)
        query = msgspec.structs.replace(query, until=head)
        found = await asyncio.to_thread(reading.node.history.entries, reading.tenant, query, 100)
        for entry in found:
            body = event_body(reading, entry)
            yield Sent(body.model_dump_json(), str(entry.position), body.type)
        if found:
            query = msgspec.structs.replace(query, after=found[-1].position)
        if len(found) < 100:
            query = msgspec.structs.replace(query, after=max(query.after, head))
            await reading.node.feed.wait(reading.tenant, head, MOST_WAIT)
            reading.still_permitted()
