"""The events of a tenant in order, to read, wait for and follow: what happened, who did it, under what authority."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, Query, Response

from api.acting import Reading
from api.bodies import Answer, Limit, router, time_text
from api.http import problems, server_sent_events
from api.http.server_sent_events import EventStream, Sent
from api.permitted import may_read, may_read_own
from api.trail_access import Told, tells_only_accesses, told
from api.trail_filters import AnyId, Tag, TrailFilters, Type, sealed_of, tags_of, types_of
from domain.access.check import decide_access
from domain.command import Refused
from domain.event import Entry, Sealed
from domain.ledger import AuthorityChanged, NotReady, QueueFull
from domain.ledger import Query as Asked

MayReadTrail = Annotated[Reading, may_read("audit:read", stored=False)]
MayReadOwnTrail = Annotated[Reading, may_read_own("audit:read")]
UNSEAL: Final = "people:unseal"
MOST_WAIT: Final = 30.0
PATIENCE: Final = 5.0
"""Seconds after which a stream that says nothing asks again whether it still may."""
routes = router("audit")


class Who(Answer):
    kind: str
    id: str


class Allowed(Answer):
    permission: str
    decision: str
    policies: list[str]
    position: int


class Event(Answer):
    """One event. `data` holds its own fields.

    Personal values are null for who may not unseal them, and named in `sealed`; what an erased person's keys sealed is
    null for everybody, and named in `erased`.
    """

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
    sealed: list[str]
    erased: list[str]

    def opened(self, entry: Entry) -> int:
        """How many personal values of the event it shows."""
        return sum(1 for name, _ in sealed_of(entry) if name not in self.erased and name not in self.sealed)


class Events(Answer):
    """`next` is the position to send as `after` for what follows; the same as was sent if nothing did."""

    items: list[Event]
    next: int
    head: int


def may_unseal(reading: Reading) -> bool:
    """Whether the caller may see personal values."""
    return decide_access(reading.credential.subject, UNSEAL, reading.node.clock()).allowed


def event_body(reading: Reading, entry: Entry, *, unseals: bool = True) -> Event:
    meta, erased, sealed = entry.meta, list[str](), list[str]()

    def plain(name: str, value: Any) -> Any:
        if isinstance(value, Sealed):
            opened = reading.open(name, value) if unseals else None
            if opened is None:
                (erased if unseals else sealed).append(name)
            return opened
        if isinstance(value, bytes):
            return value.hex()
        return list(value) if isinstance(value, tuple) else value

    data = {name: plain(name, getattr(entry.event, name)) for name in entry.event.__struct_fields__}
    request = plain("request", meta.request)
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
        sealed=sealed,
        erased=erased,
    )


def bodies_of(reading: Reading, entries: Sequence[Entry]) -> tuple[list[Event], Told]:
    """The events as the caller may see them, and what that tells."""
    unseals = may_unseal(reading)
    bodies = [event_body(reading, each, unseals=unseals) for each in entries]
    opened = sum(body.opened(entry) for body, entry in zip(bodies, entries, strict=True)) if unseals else 0
    return bodies, told((each.position for each in entries), opened)


@dataclass(frozen=True)
class EventsQuery:
    """Events beyond a position, that carry the tag, by the actor, of any of the types."""

    after: Annotated[int, Query(ge=0, le=2**53, description="Events beyond this position.")] = 0
    tag: Tag | None = None
    actor: AnyId | None = None
    type: Annotated[list[Type] | None, Query(max_length=50)] = None

    def asked(self, after: int) -> Asked:
        return Asked(tags_of(None, self.tag, self.actor, None), types_of(self.type), after)

    def told(self) -> str:
        return TrailFilters(actor=self.actor, tag=self.tag, type=self.type).told()


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
    items, answer = bodies_of(reading, found)
    if not tells_only_accesses(found):
        await reading.node.accesses.note(reading, "events", query.told(), answer)
    return Events(items=items, next=following, head=head)


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
    return EventStream(_sent(reading, query.asked(after), query.told()), stopping=reading.node.stopping, lasts=lasts)


async def _sent(reading: Reading, query: Asked, question: str) -> AsyncGenerator[Sent, None]:
    """Until the caller may not any more: asked again for every page."""
    while reading.is_permitted():
        head = reading.node.feed.head(reading.tenant)
        query = msgspec.structs.replace(query, until=head)
        found = await asyncio.to_thread(reading.node.history.entries, reading.tenant, query, 100)
        items, answer = bodies_of(reading, found)
        try:
            if not tells_only_accesses(found):
                await reading.node.accesses.note(reading, "stream", question, answer)
        except (problems.Problem, Refused, AuthorityChanged, NotReady, QueueFull):
            return  # what can't be recorded is not told; the client comes back
        for body in items:
            yield Sent(body.model_dump_json(), str(body.position), body.type)
        if found:
            query = msgspec.structs.replace(query, after=found[-1].position)
        if len(found) < 100:
            query = msgspec.structs.replace(query, after=max(query.after, head))
            await reading.node.feed.wait(reading.tenant, head, PATIENCE)
