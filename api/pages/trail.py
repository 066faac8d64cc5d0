"""The trail on a page: filters, activity by time, and events; and one event with all that is known of it."""

from dataclasses import fields as fields_in
from dataclasses import replace
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Path, Request, Response

from api import proofs as api_proofs
from api import trail as api_trail
from api import why as api_why
from api.acting import Reading
from api.bodies import time_text
from api.http import problems
from api.http.problems import Problem
from api.pages.asking import Wrong, asked, fields_of
from api.pages.charts import Chart, bars_by_time, bucket_for
from api.pages.naming import names_of
from api.pages.rendering import around, may, show
from api.pages.route import pages
from api.pages.words import ids_within, mark_of, phrase, subject_of
from api.permitted import may_read
from api.trail_filters import TrailFilters, search_of
from domain.audit import ACCESSES
from domain.capabilities import EVENTS, EVENTS_OF

MayReadTrail = Annotated[Reading, may_read("audit:read", stored=False)]
MOST_EXCERPT: Final = 60
"""Characters."""
_FOLDED: Final = ("credential", "address", "tag", "correlation", "order")
"""Filters that are folded away until one is used."""
_TOLD: Final = (
    "reason",
    "action",
    "command",
    "setting",
    "key",
    "name",
    "url",
    "variant",
    "default_variant",
    "kind",
    "question",
)
"""Fields of events that say in a row what it is about, besides whom."""
_CHOICES: Final = tuple((capability, tuple(each.__name__ for each in of)) for capability, of in EVENTS_OF.items())
_NO_READS: Final = tuple(sorted(EVENTS.keys() - {each.__name__ for each in ACCESSES}))
"""All that is recorded, but for accesses to the trail itself."""

routes = pages()


class Line(NamedTuple):
    """An event as a row shows it."""

    event: Any
    mark: str
    subjects: list[str]
    told: list[str]
    """What it says besides whom it is about, cut short."""


def line_of(event: Any) -> Line:
    subjects = [each for each in dict.fromkeys(map(subject_of, event.tags)) if each and each != event.actor.id]
    told = [value for name in _TOLD if isinstance(value := event.data.get(name), str) and value][:2]
    shown = [each if len(each) <= MOST_EXCERPT else f"{each[:MOST_EXCERPT]}…" for each in told if each not in subjects]
    return Line(event, mark_of(event.type), subjects[:4], shown)


@routes.get("/tenants/{tenant}/trail")
async def show_trail(request: Request, reading: MayReadTrail) -> Response:
    fields = fields_of(request)
    query, wrong = asked(api_trail.TrailQuery, fields, request)
    page, chart, lines, names = None, None, list[Line](), dict[str, str]()
    if query is not None:
        if fields.get("reads") == "hidden" and not query.type:
            query = replace(query, type=list(_NO_READS))
        try:
            page = await api_trail.search_trail(reading, query)
            chart = await _activity(reading, query)
        except Problem as problem:
            if problem.status_code not in (400, 422):
                raise
            wrong = [Wrong("", str(problem.detail))]
    if page is not None:
        lines = [line_of(each) for each in page.items]
        names = await names_of(reading, ids_in(lines))
    return show(
        request,
        "trail.html",
        around=around(reading.node, reading.credential, reading.tenant),
        status=422 if wrong else 200,
        fields=fields,
        choices=_CHOICES,
        folded=not any(name in fields for name in _FOLDED),
        chart=chart,
        filtered=any(name not in ("cursor", "limit", "as_of", "order", "reads") for name in fields),
        wrong=wrong,
        page=page,
        lines=lines,
        names=names,
    )


async def _activity(reading: Reading, query: api_trail.TrailQuery) -> Chart | None:
    """The events of a search by time: of all of it, not of the page."""
    filters = TrailFilters(**{each.name: getattr(query, each.name) for each in fields_in(TrailFilters)})
    search = search_of(reading, filters)
    if search.until <= search.after:
        return None
    history, tenant = reading.node.history, reading.tenant
    first, last = history.instant_of(tenant, search.after + 1), history.instant_of(tenant, search.until)
    end = last if query.end else reading.at.instant
    bucket = bucket_for(first, end)
    counted = await api_trail.count_trail(reading, filters, bucket)
    chart = bars_by_time(((each.time, each.count) for each in counted.items), bucket, time_text(end))
    return chart._replace(since=counted.since) if chart and counted.cut else chart


async def _proof(reading: Reading, position: int) -> Any:
    """Its inclusion in the tenant's tree; None where trees can't be asked just now."""
    try:
        return await api_proofs.prove_inclusion(position, reading, None)
    except Problem as problem:
        if problem.status_code != 503:
            raise
        return None


async def _why(reading: Reading, position: int, request: Request) -> Any:
    """Why it was allowed or refused, where that was asked for and may be."""
    if "why" not in request.query_params or not may(reading.node, reading.credential, "replay:read"):
        return None
    return await api_why.why_of(reading, position)


def ids_in(lines: list[Line]) -> list[str]:
    found = []
    for line in lines:
        found += [line.event.actor.id, *line.event.on_behalf_of, *line.subjects]
    return found


@routes.get("/tenants/{tenant}/events/{position}")
async def show_event(
    request: Request, position: Annotated[int, Path(ge=1, le=2**53)], reading: MayReadTrail
) -> Response:
    query = api_trail.TrailQuery(start=str(position), end=str(position), order="oldest", limit=1)
    page = await api_trail.search_trail(reading, query) if position <= reading.at.position else None
    if page is None or not page.items:
        raise problems.not_found(f"the tenant's history ends at position {reading.at.position}")
    event = page.items[0]
    line = line_of(event)
    holders = [value for value in event.data.values() if isinstance(value, str)]
    policies = [each for each in event.authority.policies if each.startswith("rol_")]
    why = await _why(reading, position, request)
    asked_of = [step.actor.id for step in why.path if step.actor] if why else []
    named = ids_in([line]) + asked_of + sorted(ids_within(step.what for step in why.path) if why else ())
    named += [event.credential or "", *holders, *policies]
    return show(
        request,
        "event.html",
        around=around(reading.node, reading.credential, reading.tenant),
        event=event,
        line=line,
        title=phrase(event.type),
        head=reading.at.position,
        names=await names_of(reading, [each for each in named if each]),
        proof=await _proof(reading, position),
        why=why,
    )
