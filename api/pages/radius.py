"""The blast radius on a page: what follows from a credential, a person or an address, drawn and as a table."""

from typing import Annotated, Any, Final

from fastapi import Request, Response

from api import blast_radius
from api.acting import Reading
from api.http.problems import Problem
from api.pages.asking import Wrong, asked, fields_of
from api.pages.graph import Drawing, Joined, drawing
from api.pages.naming import names_of
from api.pages.rendering import around, show
from api.pages.route import pages
from api.pages.words import phrase
from api.permitted import may_read

MayFollow = Annotated[Reading, may_read("replay:read", stored=False)]
MOST_EVENTS: Final = 500
MOST_DRAWN: Final = 60

routes = pages()


def graph_of(found: Any) -> Drawing | None:
    """The drawing of a radius; None if nothing was reached."""
    if not found.nodes or not found.edges:
        return None
    nodes = {each.id: each.kind for each in sorted(found.nodes, key=lambda each: each.since)}
    edges = [Joined(each.source, each.target, phrase(each.what), each.count) for each in found.edges]
    return drawing(found.of, nodes, edges, MOST_DRAWN)


def ids_of(found: Any) -> list[str]:
    """Every id that a radius names."""
    ids = [each.id for each in found.nodes] + [each.actor.id for each in found.events]
    return [*ids, *(subject for each in found.events for subject in each.subjects)]


@routes.get("/tenants/{tenant}/blast-radius")
async def show_radius(request: Request, reading: MayFollow) -> Response:
    fields = fields_of(request)
    found, graph, wrong, names = None, None, list[Wrong](), dict[str, str]()
    if "of" in fields:
        query, wrong = asked(blast_radius.RadiusQuery, {**fields, "limit": str(MOST_EVENTS)}, request)
        if query is not None:
            try:
                found = await blast_radius.follow(reading, query)
            except Problem as problem:
                if problem.status_code not in (400, 422):
                    raise
                wrong = [Wrong("", str(problem.detail))]
    if found is not None:
        graph = graph_of(found)
        names = await names_of(reading, ids_of(found))
    return show(
        request,
        "radius.html",
        around=around(reading.node, reading.credential, reading.tenant),
        status=422 if wrong else 200,
        fields=fields,
        wrong=wrong,
        found=found,
        graph=graph,
        names=names,
    )
