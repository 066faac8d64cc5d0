"""The blast radius over REST: everything that follows from a credential, a person, an operator or an address."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Response

from api.acting import Reading
from api.audit import Who
from api.bodies import Answer, router, time_text
from api.http import problems
from api.http.moments import AtPosition, parse_moment
from api.permitted import may_read
from api.trail_access import told
from api.why import is_refusal
from domain.event import Instant
from replay.graph import dot_of
from replay.radius import MOST_EVENTS, blast_radius
from replay.reached import Radius, Reached, subjects_of

MayFollow = Annotated[Reading, may_read("replay:read", stored=False)]
OF: Final = r"^((key|tok|usr|dir|agt)_[0-9a-f]{32}|opr_[a-z0-9_]{1,60}|key_[a-z0-9_]{1,60}|address:[0-9a-f]{24})$"
_DOT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The graph in the DOT language.", "content": {"text/vnd.graphviz": {}}}
}

routes = router("replay")
Bound = Annotated[str | None, Query(max_length=64, description="A position, or a time as RFC 3339.")]


@dataclass(frozen=True)
class RadiusQuery:
    """From what, and within which range; `limit` events at most."""

    of: Annotated[str, Query(pattern=OF, description="A credential, user, directory, operator, or an `address:` tag.")]
    start: Annotated[Bound, Query(alias="from")] = None
    end: Annotated[Bound, Query(alias="to")] = None
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS, description="How many events at most.")] = 1_000


class ReachedEvent(Answer):
    """An event of the radius: by what it was done, and how that came into reach."""

    position: int
    recorded_at: str
    type: str
    actor: Who
    on_behalf_of: list[str]
    credential: str | None
    permission: str
    refused: bool
    subjects: list[str]
    correlation: str
    through: str
    because: str


class NodeBody(Answer):
    """A thing that was reached; `since` is the first event that reached it, 0 where it began."""

    id: str
    kind: str
    since: int


class EdgeBody(Answer):
    """What one did to another: `count` events of a type, the first of them by position."""

    source: str
    target: str
    what: str
    positions: list[int]
    count: int


class CutBody(Answer):
    """What was left out: beyond this position there may be more."""

    position: int
    because: str


class BlastRadius(Answer):
    """As a table (`events`, in order, and `counts` by type) and as a graph. `complete` is false if anything was cut."""

    tenant: str
    of: str
    start: int
    end: int
    complete: bool
    cuts: list[CutBody]
    counts: dict[str, int]
    events: list[ReachedEvent]
    nodes: list[NodeBody]
    edges: list[EdgeBody]


@routes.get("/tenants/{tenant}/blast-radius")
async def follow(reading: MayFollow, query: Annotated[RadiusQuery, Depends()]) -> BlastRadius:
    """What was done with a credential (or by somebody, or from an address), and by whatever that brought about."""
    first, last = range_of(reading, query.start, query.end)
    found = await _told(reading, query, first, last)
    return radius_body(reading, found, first, last)


@routes.get("/tenants/{tenant}/blast-radius.dot", response_class=Response, responses=_DOT)
async def draw(reading: MayFollow, query: Annotated[RadiusQuery, Depends()]) -> Response:
    """The same as a graph in the DOT language."""
    first, last = range_of(reading, query.start, query.end)
    return Response(dot_of(await _told(reading, query, first, last)), media_type="text/vnd.graphviz")


async def _told(reading: Reading, query: RadiusQuery, first: int, last: int) -> Radius:
    """The radius, once it is recorded that it was read: it tells events, as the trail does."""
    found = await radius_of(reading, query.of, first, last, query.limit)
    positions = [each.entry.position for each in found.events]
    await reading.node.accesses.note(reading, "radius", f"of {query.of}", told(positions))
    return found


async def radius_of(reading: Reading, of: str, first: int, last: int, limit: int) -> Radius:
    """The radius of what happened beyond `first`, up to `last`."""
    return await asyncio.to_thread(blast_radius, reading.node.history, reading.tenant, of, first, last, limit)


def range_of(reading: Reading, start: str | None, end: str | None) -> tuple[int, int]:
    """The position before the range's first event, and its last. Raises Problem 400 or 422."""
    first, last = _bound(reading, start, first=True), _bound(reading, end, first=False)
    if first > last:
        raise problems.unprocessable("`from` is later than `to`: exchange them")
    return first, last


def _bound(reading: Reading, text: str | None, *, first: bool) -> int:
    if text is None:
        return 0 if first else reading.at.position
    moment = parse_moment(text)
    if isinstance(moment, AtPosition):
        position = moment.position - first
    else:
        position = reading.node.history.position_at(reading.tenant, Instant(moment.instant - first))
    return min(position, reading.at.position)


def radius_body(reading: Reading, found: Radius, first: int, last: int) -> BlastRadius:
    return BlastRadius(
        tenant=reading.tenant,
        of=found.of,
        start=first + 1,
        end=last,
        complete=not found.cuts,
        cuts=[CutBody(position=each.position, because=each.because) for each in found.cuts],
        counts=dict(Counter(each.entry.event.type_name for each in found.events).most_common()),
        events=[_event_body(each) for each in found.events],
        nodes=[NodeBody(id=each.id, kind=each.kind, since=each.since) for each in found.nodes],
        edges=[
            EdgeBody(
                source=each.source,
                target=each.target,
                what=each.what,
                positions=list(each.positions),
                count=each.count,
            )
            for each in found.edges
        ],
    )


def _event_body(reached: Reached) -> ReachedEvent:
    entry, meta = reached.entry, reached.entry.meta
    return ReachedEvent(
        position=entry.position,
        recorded_at=time_text(entry.instant),
        type=entry.event.type_name,
        actor=Who(kind=meta.actor_kind, id=meta.actor_id),
        on_behalf_of=list(meta.on_behalf_of),
        credential=meta.credential_id,
        permission=meta.authority_permission,
        refused=is_refusal(entry),
        subjects=subjects_of(entry.event),
        correlation=meta.correlation_id,
        through=reached.through,
        because=reached.because,
    )
