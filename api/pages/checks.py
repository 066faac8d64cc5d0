"""Checks on pages: of a tenant, now; and what a node finds all the time, for those who run it."""

from typing import Annotated, Any

from fastapi import Request, Response

from api import evidence
from api.acting import Acting, Reading
from api.http.problems import Problem
from api.pages.rendering import around, show
from api.pages.route import form_of, pages
from api.permitted import may_in_deployment, may_read, may_read_deployment

MayReadHere = Annotated[Reading, may_read("replay:read", stored=False)]
MayVerify = Annotated[Reading, may_read("replay:read")]
MaySeeNode = Annotated[Reading, may_read_deployment("node:manage")]
MayManageNode = Annotated[Acting, may_in_deployment("node:manage")]

routes = pages()


@routes.get("/tenants/{tenant}/checks")
async def show_checks(request: Request, reading: MayReadHere) -> Response:
    return _of_tenant(request, reading, None, None)


@routes.post("/tenants/{tenant}/verify")
async def verify(request: Request, reading: MayVerify) -> Response:
    """The same as the API's verification, on a page."""
    await form_of(request)
    try:
        found = await evidence.verify_tenant(reading)
    except Problem as problem:
        if problem.status_code != 429:
            raise
        return _of_tenant(request, reading, None, str(problem.detail), 429)
    return _of_tenant(request, reading, found, None)


def _of_tenant(request: Request, reading: Reading, found: Any, busy: str | None, status: int = 200) -> Response:
    return show(
        request,
        "checks.html",
        around=around(reading.node, reading.credential, reading.tenant),
        status=status,
        found=found,
        busy=busy,
        head=reading.at.position,
    )


@routes.get("/audit")
async def show_audit(request: Request, reading: MaySeeNode) -> Response:
    """What the node has found since it started, by comparing all the time what it keeps with what was recorded."""
    found = await evidence.read_audit(reading)
    return show(request, "audit.html", around=around(reading.node, reading.credential, None), found=found, log=None)


@routes.post("/verify")
async def verify_log(request: Request, caller: MayManageNode) -> Response:
    """The chain over the whole log, and each checkpoint, computed again."""
    await form_of(request)
    log = await evidence.verify_log(caller)
    found = evidence.audit_body(caller.node.findings)
    return show(request, "audit.html", around=around(caller.node, caller.credential, None), found=found, log=log)
