"""The first page of a tenant: what it is, how far its history goes, and where to look."""

from typing import Annotated

from fastapi import Request, Response

from api import tenants
from api.acting import Reading
from api.bodies import time_text
from api.pages.rendering import around, show
from api.pages.route import pages
from api.permitted import may_read

MayReadTenant = Annotated[Reading, may_read("tenants:read")]
routes = pages()


@routes.get("/tenants/{tenant}")
async def show_tenant(request: Request, reading: MayReadTenant) -> Response:
    found = await tenants.read_tenant(reading)
    return show(
        request,
        "overview.html",
        around=around(reading.node, reading.credential, reading.tenant),
        tenant=found,
        head=reading.at.position,
        now=time_text(reading.at.instant),
    )
