"""An incident over REST: what a credential was used for, all that followed, before and after, why, and the proofs."""

import asyncio
import base64
from typing import Annotated, Any, Final

import msgspec
from fastapi import Response
from pydantic import Field

from api.acting import Reading
from api.blast_radius import OF, BlastRadius, radius_body, radius_of, range_of
from api.bodies import Answer, Body, router, time_text
from api.http import problems
from api.http.problems import Problem
from api.incident_page import page_of_incident
from api.permitted import may_read
from api.replay import Difference, difference_body
from api.trail_access import told
from api.what_if import OpensBody, opens_body
from api.why import WhyAnswer, why_of
from domain.event import Instant
from domain.ids import is_id
from domain.view import Moment
from projections.every import EVERY_VIEW
from replay.diff import Change, Place, TooMuchBetween, diff
from replay.parted import opened
from replay.reached import Radius
from replay.standing import TooMuchAbout, standing_of

MayReport = Annotated[Reading, may_read("replay:read")]
MOST_EVENTS: Final = 2_000
MOST_CHANGES: Final = 2_000
MOST_WHYS: Final = 50
MOST_PROVED: Final = 500
_HTML: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "One page, to read or to print.", "content": {"text/html": {"schema": {"type": "string"}}}}
}

routes = router("replay")


class Suspicion(Body):
    """From what, and within which range (positions, or times as RFC 3339; `to` left out: until now)."""

    of: Annotated[str, Field(pattern=OF, description="A credential, user, directory, operator, or an `address:` tag.")]
    start: Annotated[str | None, Field(alias="from", max_length=64)] = None
    end: Annotated[str | None, Field(alias="to", max_length=64)] = None


class End(Answer):
    """One end of the range. `opened` is what the credential opened then; null for what is no credential."""

    position: int
    time: str
    opened: OpensBody | None


class Changes(Answer):
    """What is different at the end because of the radius; `others` counts what changed by something else alone."""

    items: list[Difference]
    others: int
    complete: bool


class Whys(Answer):
    """Of the first event of each command of the radius; `left` more were not asked."""

    items: list[WhyAnswer]
    left: int


class Proofs(Answer):
    """By which the events can be checked offline: `muniment verify --bundle`. `bundle` is the file, in base64."""

    positions: list[int]
    link: str
    bundle: str | None
    missing: str | None
    """Why there is none, if so."""


class Incident(Answer):
    """All that is known of an incident, as of `made_at`."""

    tenant: str
    of: str
    made_at: str
    position: int
    before: End
    after: End
    radius: BlastRadius
    changes: Changes
    whys: Whys
    proofs: Proofs


@routes.post("/tenants/{tenant}/incident")
async def report(body: Suspicion, reading: MayReport) -> Incident:
    """The timeline, the radius, the state before and after, why each thing was allowed, and the proofs."""
    return await incident_of(reading, body.of, body.start, body.end)


@routes.post("/tenants/{tenant}/incident.html", response_class=Response, responses=_HTML)
async def print_report(body: Suspicion, reading: MayReport) -> Response:
    """The same as one page, without scripts or anything from elsewhere, to read or to print."""
    page = page_of_incident(await incident_of(reading, body.of, body.start, body.end))
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
    return Response(page, media_type="text/html", headers=headers)


async def incident_of(reading: Reading, of: str, start: str | None, end: str | None) -> Incident:
    """Raises Problem 400 or 422."""
    first, last = range_of(reading, start, end)
    found = await radius_of(reading, of, first, last, MOST_EVENTS)
    positions = [each.entry.position for each in found.events]
    before, after = _moment(reading, first), _moment(reading, last)
    await reading.node.accesses.note(reading, "incident", f"of {of}", told(positions))
    return Incident(
        tenant=reading.tenant,
        of=of,
        made_at=time_text(reading.node.clock()),
        position=reading.at.position,
        before=await _end(reading, of, before),
        after=await _end(reading, of, after),
        radius=radius_body(reading, found, first, last),
        changes=await _changes(reading, before, after, frozenset(positions)),
        whys=await _whys(reading, found),
        proofs=await _proofs(reading, positions[:MOST_PROVED]),
    )


def _moment(reading: Reading, position: int) -> Moment:
    if position >= reading.at.position:
        return reading.at
    instant = reading.node.history.instant_of(reading.tenant, position) if position else Instant(0)
    return Moment(position, instant)


async def _end(reading: Reading, of: str, at: Moment) -> End:
    opens = None
    if is_id(of, "key", "tok"):
        opens = await asyncio.to_thread(_opened, reading, of, at)
    return End(position=at.position, time=time_text(at.instant), opened=opens)


def _opened(reading: Reading, credential: str, at: Moment) -> OpensBody:
    try:
        standing = standing_of(reading.node.history, reading.tenant, credential, at.position)
    except TooMuchAbout as problem:
        raise problems.unprocessable(str(problem)) from problem
    return opens_body(opened(standing, credential, at.instant))


async def _changes(reading: Reading, before: Moment, after: Moment, reached: frozenset[int]) -> Changes:
    """Those of the range that an event of the radius had a part in."""
    mine: list[Change] = []
    others, place, complete = 0, None, True
    while complete:
        try:
            page = await _page(reading, before, after, place)
        except TooMuchBetween:
            return Changes(items=[], others=0, complete=False)
        for change in page.items:
            if any(each.position in reached for each in change.causes):
                mine.append(change)
            else:
                others += 1
        place, complete = page.next, len(mine) <= MOST_CHANGES
        if place is None:
            break
    items = [difference_body(reading, each) for each in mine[:MOST_CHANGES]]
    return Changes(items=items, others=others, complete=complete)


async def _page(reading: Reading, before: Moment, after: Moment, place: Place | None) -> Any:
    node = reading.node
    return await diff(node.history, node.views, EVERY_VIEW, reading.tenant, before, after, after=place, limit=500)


async def _whys(reading: Reading, found: Radius) -> Whys:
    firsts: dict[str, int] = {}
    for each in found.events:
        firsts.setdefault(each.entry.meta.command_id, each.entry.position)
    asked = list(firsts.values())[:MOST_WHYS]
    return Whys(items=[await why_of(reading, each) for each in asked], left=len(firsts) - len(asked))


async def _proofs(reading: Reading, positions: list[int]) -> Proofs:
    tenant, bundle, missing = reading.tenant, None, None
    if not positions:
        missing = "nothing was reached"
    else:
        try:
            made = await reading.node.checkpoints.ask(lambda proving: proving.bundle(tenant, positions))
            bundle = base64.b64encode(made).decode()
        except Problem as problem:
            missing = str(problem.detail)
    query = "&".join(f"position={each}" for each in positions[:100])
    return Proofs(
        positions=positions,
        link=f"/v1/tenants/{tenant}/evidence/bundle?{query}",
        bundle=bundle,
        missing=missing,
    )


def plain(incident: Incident) -> bytes:
    """The report as JSON, to lie beside the page."""
    return msgspec.json.format(incident.model_dump_json(by_alias=True).encode())
