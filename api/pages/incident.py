"""An incident on a page: what happened, what followed, what is different, why it was allowed, and the proofs."""

from typing import Annotated, Final

from fastapi import Request, Response
from pydantic import ValidationError

from api import incident
from api.acting import Reading
from api.http import problems
from api.http.problems import Problem
from api.pages.asking import Wrong, advice, fields_of, moment_text
from api.pages.diff import compared, ids_of_changes
from api.pages.naming import names_of
from api.pages.radius import graph_of, ids_of
from api.pages.rendering import around, show
from api.pages.route import form_of, pages
from api.pages.words import ids_within
from api.permitted import may_read

MayReport = Annotated[Reading, may_read("replay:read")]
MOST_ROWS: Final = 500
_BY: Final = ("of", "from", "to")

routes = pages()


def _suspicion(fields: dict[str, str]) -> tuple[incident.Suspicion | None, list[Wrong]]:
    sent = {name: fields[name] for name in _BY if fields.get(name)}
    for name in ("from", "to"):
        if name in sent:
            sent[name] = moment_text(sent[name], last=name == "to")
    try:
        return incident.Suspicion.model_validate(sent), []
    except ValidationError as error:
        return None, [Wrong(str(each["loc"][0]), advice(str(each["loc"][0]))) for each in error.errors()]


@routes.get("/tenants/{tenant}/incident")
async def show_incident(request: Request, reading: MayReport) -> Response:
    fields = fields_of(request)
    found, wrong, changes, graph, names = None, list[Wrong](), [], None, dict[str, str]()
    if "of" in fields:
        suspicion, wrong = _suspicion(fields)
        if suspicion is not None:
            try:
                found = await incident.report(suspicion, reading)
            except Problem as problem:
                if problem.status_code not in (400, 422):
                    raise
                wrong = [Wrong("", str(problem.detail))]
    if found is not None:
        changes = [compared(each) for each in found.changes.items[:MOST_ROWS]]
        graph = graph_of(found.radius)
        steps = [step for each in found.whys.items for step in each.path]
        asked = [step.actor.id for step in steps if step.actor] + sorted(ids_within(step.what for step in steps))
        names = await names_of(reading, [*ids_of(found.radius), *ids_of_changes(changes), *asked])
    return show(
        request,
        "incident.html",
        around=around(reading.node, reading.credential, reading.tenant),
        status=422 if wrong else 200,
        fields=fields,
        wrong=wrong,
        found=found,
        changes_found=changes,
        graph=graph,
        names=names,
        most=MOST_ROWS,
    )


@routes.post("/tenants/{tenant}/incident.html")
async def take_incident(request: Request, reading: MayReport) -> Response:
    """The report as one file, to keep or to print."""
    suspicion, wrong = _suspicion(await form_of(request))
    if suspicion is None:
        raise problems.unprocessable("; ".join(f"{each.field}: {each.message}" for each in wrong))
    page = await incident.print_report(suspicion, reading)
    page.headers["Content-Disposition"] = f'attachment; filename="incident-{reading.tenant}.html"'
    return page
