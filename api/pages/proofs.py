"""Evidence on a page: what the newest checkpoint commits to, which keys sign it, and bundles to take along."""

import base64
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response

from api import checkpoints, proofs
from api.acting import Reading
from api.http.problems import Problem
from api.pages.asking import Wrong, fields_of
from api.pages.rendering import around, show
from api.pages.route import form_of, pages
from api.permitted import may_in_deployment, may_read
from domain.ids import DEPLOYMENT

MayReadEvidence = Annotated[Reading, may_read("audit:read", stored=False)]
MayMakeCheckpoints = Annotated[Any, may_in_deployment("node:manage")]
_NOT_YET: Final = (404, 409, 503)

routes = pages()


@routes.get("/tenants/{tenant}/evidence")
async def show_evidence(request: Request, reading: MayReadEvidence) -> Response:
    committed, missing = None, None
    try:
        committed = await proofs.read_tenant_checkpoint(reading)
    except Problem as problem:
        if problem.status_code not in _NOT_YET:
            raise
        missing = str(problem.detail)
    return show(
        request,
        "evidence.html",
        around=around(reading.node, reading.credential, reading.tenant),
        committed=committed,
        root=base64.b64decode(committed.root).hex() if committed else None,
        missing=missing,
        keys=await checkpoints.list_evidence_keys(reading.node),
        head=reading.at.position,
        fields=fields_of(request),
        deployment=reading.tenant == DEPLOYMENT,
        wrong=list[Wrong](),
    )


@routes.get("/tenants/{tenant}/evidence/bundle")
async def take_bundle(
    reading: MayReadEvidence,
    position: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    tag: Annotated[str | None, Query(min_length=3, max_length=1000, pattern=r"^[a-z_]+:.+$")] = None,
) -> Response:
    """The file by which an event, or all events with a tag, can be checked offline."""
    return await proofs.make_bundle(reading, [position] if position else None, tag)


@routes.post("/checkpoint")
async def make_checkpoint(request: Request, caller: MayMakeCheckpoints) -> Response:
    """A checkpoint now, for operators."""
    fields = await form_of(request)
    made = await checkpoints.make_checkpoint(caller)
    return show(
        request,
        "checkpoint.html",
        around=around(caller.node, caller.credential, None),
        made=made,
        back=fields.get("back", ""),
    )
