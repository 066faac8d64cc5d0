"""SCIM 2.0 (RFC 7643, 7644): the door at which a tenant's directories provision its people and groups.

Each directory has an address of its own, and tokens that open nothing else. It sees what came from it, and no more.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response

from adapters.scim import discovery
from adapters.scim.errors import ScimError, error_body
from adapters.scim.queries import read_query
from api.http.problems import Problem
from api.protocols import scim_groups, scim_users
from api.protocols.scim_documents import (
    LISTING,
    IdInScim,
    ScimList,
    ScimResource,
    ScimResponse,
    SearchBody,
    documented,
    scim_router,
)
from api.protocols.scim_groups import GroupShelf, MayReadGroups
from api.protocols.scim_lists import listed
from api.protocols.scim_memory import ScimMemory
from api.protocols.scim_users import MayReadUsers, UserShelf

if TYPE_CHECKING:
    from api.wiring import Node

PREFIX = "/scim/"
routes = scim_router()
ROUTERS = (scim_users.routes, scim_groups.routes, routes)

Document = Callable[[], dict[str, Any]]


@routes.get("/ServiceProviderConfig", **documented(ScimResource))
async def read_service_provider_config(caller: MayReadUsers) -> Response:
    return _discovered(caller, lambda: discovery.service_provider_config(caller.base))


@routes.get("/ResourceTypes", **documented(ScimList))
async def list_resource_types(caller: MayReadUsers) -> Response:
    return _discovered(caller, lambda: discovery.resource_types(caller.base))


@routes.get("/ResourceTypes/{id}", **documented(ScimResource))
async def read_resource_type(id: IdInScim, caller: MayReadUsers) -> Response:
    return _discovered(caller, lambda: discovery.resource_type(caller.base, id))


@routes.get("/Schemas", **documented(ScimList))
async def list_schemas(caller: MayReadUsers) -> Response:
    return _discovered(caller, lambda: discovery.schemas(caller.base))


@routes.get("/Schemas/{id}", **documented(ScimResource))
async def read_schema(id: IdInScim, caller: MayReadUsers) -> Response:
    return _discovered(caller, lambda: discovery.schema(caller.base, id))


def _discovered(caller: MayReadUsers, document: Document) -> Response:
    # RFC 7644 §4: discovery is never filtered, so that no client takes a part for the whole.
    if caller.query.filter is not None:
        raise ScimError(403, None, "discovery can't be filtered; leave the filter out")
    return caller.answer(document())


@routes.get("", **documented(ScimList), openapi_extra=LISTING)
@routes.get("/", include_in_schema=False)
async def list_everything(caller: MayReadUsers, of_groups: MayReadGroups) -> Response:
    return caller.answer(await listed([UserShelf(caller, caller.at), GroupShelf(of_groups, caller.at)], caller.query))


@routes.post("/.search", **documented(ScimList, takes_body=True))
async def search_everything(body: SearchBody, caller: MayReadUsers, of_groups: MayReadGroups) -> Response:
    query = read_query(body)
    return caller.answer(await listed([UserShelf(caller, caller.at), GroupShelf(of_groups, caller.at)], query))


@routes.api_route("/Me", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
@routes.post("/Bulk", include_in_schema=False)
async def not_here(caller: MayReadUsers) -> Response:
    """RFC 7644 §3.11: a directory's token stands for no person. §3.7: bulk is announced as not supported."""
    raise ScimError(501, None, "this is not supported here, as ServiceProviderConfig says; use /Users and /Groups")


def install(app: FastAPI, node: "Node") -> None:
    """What the face keeps while it is served, and how its own errors are answered."""
    memory = app.state.scim = ScimMemory(node.metrics)
    node.on_erasure.append(memory.users.forget_erased)
    app.exception_handler(ScimError)(_on_scim_error)


async def _on_scim_error(request: Request, error: ScimError) -> Response:
    return ScimResponse(error_body(error), error.status)


_TYPES = {"malformed-json": "invalidSyntax"}


def render(problem: Problem, correlation: str | None) -> Response:
    """A problem in SCIM's words (RFC 7644 §3.12)."""
    status, scim_type, detail = problem.status_code, _TYPES.get(problem.kind.slug), str(problem.detail)
    errors: list[dict[str, str]] = problem.members.get("errors") or []  # type: ignore[assignment]
    if errors:
        status, scim_type = 400, "invalidSyntax"
        detail = "; ".join(f"{each['location']}: {each['message']}" for each in errors)
    return ScimResponse(error_body(ScimError(status, scim_type, detail)), status, problem.headers)
