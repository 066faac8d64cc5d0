"""The trail and the events of a tenant: what happened, who did it, on whose behalf and under what authority."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Depends, Query, Response

from api.acting import Reading
from api.bodies import Answer, Cursor, Limit, next_cursor, place_of, router, time_text
from api.http import problems, server_sent_events
from api.http.moments import AtPosition, parse_moment
from api.http.server_sent_events import EventStream, Sent
from api.permitted import may_read, may_read_own
from domain.capabilities import EVENTS
from domain.event import Entry, Instant, Sealed
from domain.ids import KINDS, kind_of
from domain.ledger import Query as Asked

MayReadTrail = Annotated[Reading, may_read("audit:read", stored=False)]
MayReadOwnTrail = Annotated[Reading, may_read_own("audit:read")]
MOST_WAIT: Final = 30.0
PATIENCE: Final = 5.0
"""Seconds after which a stream that says nothing asks again whether it still may."""
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


def _types(types: list[str] | None) -> tuple[str, ...]:
    for each in types or ():
        if each not in EVENTS and not each.startswith("opaque:"):
            raise problems.unprocessable("type names no event; the documentation lists them")
    return tuple(types or ())


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


@dataclass(frozen=True)
class TrailQuery:
    """Events that carry everything asked for, of any of the types, in a range of positions or times."""

    actor: AnyId | None = None
    subject: AnyId | None = None
    tag: Tag | None = None
    type: Annotated[list[Type] | None, Query(max_length=50)] = None
    correlation: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{8,64}$")] = None
    start: Annotated[Bound, Query(alias="from")] = None
    end: Annotated[Bound, Query(alias="to")] = None
    order: Literal["newest", "oldest"] = "newest"
    limit: Limit = 100
    cursor: Cursor = None


@routes.get("/tenants/{tenant}/trail")
async def search_trail(reading: MayReadTrail, query: Annotated[TrailQuery, Depends()]) -> Trail:
    """What happened in a tenant: who did it, on whose behalf, under what authority, when and from where."""
    return await _search(reading, query)


@routes.get("/trail")
async def search_own_trail(reading: MayReadOwnTrail, query: Annotated[TrailQuery, Depends()]) -> Trail:
    """The same of the key's own tenant, or of the one that an operator names."""
    return await _search(reading, query)


async def _search(reading: Reading, query: TrailQuery) -> Trail:
    after, until = _bound(reading, query.start, first=True), _bound(reading, query.end, first=False)
    tags = _tags(query.subject, query.tag, query.actor, query.correlation)
    newest = query.order == "newest"
    of = f"trail {tags} {sorted(query.type or ())} {query.order}"
    if place := place_of(reading, query.cursor, of):
        if newest:
            until = min(until, int(place) - 1)
        else:
            after = max(after, int(place))
    asked = Asked(tags, _types(query.type), after, until)
    found = await asyncio.to_thread(reading.node.history.entries, reading.tenant, asked, query.limit + 1, newest)
    more = None
    if len(found) > query.limit:
        more = next_cursor(reading, str(found[query.limit - 1].position), of)
    return Trail(
        items=[event_body(reading, each) for each in found[: query.limit]], next=more, position=reading.at.position
    )


@dataclass(frozen=True)
class EventsQuery:
    """Events beyond a position, that carry the tag, by the actor, of any of the types."""

    after: Annotated[int, Query(ge=0, le=2**53, description="Events beyond this position.")] = 0
    tag: Tag | None = None
    actor: AnyId | None = None
    type: Annotated[list[Type] | None, Query(max_length=50)] = None

    def asked(self, after: int) -> Asked:
        return Asked(_tags(None, self.tag, self.actor, None), _types(self.type), after)


Wait = Annotated[float, Query(ge=0, le=MOST_WAIT, description="Seconds to wait if nothing is there yet.")]
Lasts = Annotated[float, Query(gt=0, le=3600, description="Seconds after which the stream ends.")]
EventsAsked = Annotated[EventsQuery, Depends()]


@routes.get("/tenants/{tenant}/events")
async def read_events(reading: MayReadTrail, query: EventsAsked, limit: Limit = 100, wait: Wait = 0) -> Events:
    """A tenant's events in order, from a position: send `next` as `after` to go on."""
    return await _read(reading, query, limit, wait)


@routes.get("/events")
async def read_own_events(reading: MayReadOwnTrail, query: EventsAsked, limit: Limit = 100, wait: Wait = 0) -> Events:
    """The same of the key's own tenant, or of the one that an operator names."""
    return await _read(reading, query, limit, wait)


async def _read(reading: Reading, query: EventsQuery, limit: int, wait: float) -> Events:
    asked = query.asked(query.after)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (0 if reading.as_of else wait)
    while True:
        head = reading.at.position if reading.as_of else reading.node.feed.head(reading.tenant)
        asked = msgspec.structs.replace(asked, until=head)
        found = await asyncio.to_thread(reading.node.history.entries, reading.tenant, asked, limit)
        left = deadline - loop.time()
        if found or left <= 0 or reading.node.stopping.is_set():
            break
        asked = msgspec.structs.replace(asked, after=max(asked.after, head))
        await reading.node.feed.wait(reading.tenant, head, left)
        reading.still_permitted()
    following = found[-1].position if len(found) == limit else max(head, query.after)
    return Events(items=[event_body(reading, each) for each in found], next=following, head=head)


@routes.get("/tenants/{tenant}/events/stream", response_class=Response, responses=server_sent_events.RESPONSES)
async def stream_events(reading: MayReadTrail, query: EventsAsked, lasts: Lasts = 3600) -> Response:
    """The same as server-sent events; the id of each is its position, so Last-Event-ID goes on where it broke off."""
    return _stream(reading, query, lasts)


@routes.get("/events/stream", response_class=Response, responses=server_sent_events.RESPONSES)
async def stream_own_events(reading: MayReadOwnTrail, query: EventsAsked, lasts: Lasts = 3600) -> Response:
    """The same of the key's own tenant, or of the one that an operator names."""
    return _stream(reading, query, lasts)


def _stream(reading: Reading, query: EventsQuery, lasts: float) -> Response:
    after, resumed = query.after, reading.header("last-event-id")
    if resumed is not None and resumed.isascii() and resumed.isdigit() and len(resumed) < 17:
        after = max(after, int(resumed))
    return EventStream(_sent(reading, query.asked(after)), stopping=reading.node.stopping, lasts=lasts)


async def _sent(reading: Reading, query: Asked) -> AsyncGenerator[Sent, None]:
    """Until the caller may not any more: asked again for every page."""
    while reading.is_permitted():
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
            await reading.node.feed.wait(reading.tenant, head, PATIENCE)
