"""Permissions as types of parameters: who may call a handler, and in which tenant.

`MayManageUsers = Annotated[Acting, may("users:manage")]`
"""

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Path, Query, Request, Response
from fastapi.security import HTTPBearer

from api.acting import Acting, Reading, resident
from api.http import problems
from api.http.headers import IdempotencyKey, KnownPosition
from api.http.moments import AskedMoment, AtPosition
from api.pages.sessions import presented
from domain.access.check import ONLY_OPERATORS, Decision, decide_access
from domain.access.secrets import digest, read
from domain.event import Instant
from domain.ids import DEPLOYMENT, TenantId
from domain.view import Moment

if TYPE_CHECKING:
    from api.wiring import Node
    from domain.access.credentials import Credential

TENANT_PATTERN: Final = r"^(ten_[0-9a-f]{32}|_deployment)$"
TenantInPath = Annotated[str, Path(pattern=TENANT_PATTERN, examples=["ten_0195c2d4a1b00123456789abcdef0123"])]
_bearer: Final = HTTPBearer(auto_error=False, description="An operator key, or an API key of the tenant.")
IN_DEPLOYMENT: Final = frozenset(
    {"flags:read", "flags:manage", "flags:evaluate", "audit:read", "replay:read", "actions:manage"}
)
"""What can be permitted in the deployment as in a tenant: it has flags and a history, but nobody and nothing else."""
_MISSING_TENANT: Final = "the tenant does not exist, or the key is another tenant's"
_ONLY_TENANTS: Final = "only a tenant has this, and the deployment is none; name a tenant"


async def node_of(request: Request) -> "Node":
    """A coroutine, because FastAPI sends plain functions to a thread."""
    node: Node = request.app.state.node
    return node


TheNode = Annotated[Any, Depends(node_of)]


def credential_of(node: "Node", request: Request) -> "Credential":
    """Whom the request's secret stands for. Raises Problem 401 or 403."""
    return credential_by(node, presented(node.sessions, request.scope))


def credential_by(node: "Node", text: str) -> "Credential":
    """Whom a secret stands for. Raises Problem 401 or 403."""
    known = node.residents.known(digest(text), node.clock())
    if known is not None:
        return known
    secret = read(text)
    credential = resident(node, secret.tenant).credential(secret.digest) if secret else None
    if credential is None or (credential.expires_at is not None and credential.expires_at <= node.clock()):
        raise problems.unauthenticated()
    if credential.refusal == "the tenant is suspended":
        raise problems.forbidden(credential.refusal)
    if credential.refusal is not None:
        raise problems.unauthenticated(f"{credential.refusal}: use another")
    return credential


async def let_in(
    kind: type[Acting],
    node: "Node",
    request: Request,
    response: Response,
    tenant: TenantId,
    permission: str,
    idempotency_key: str | None = None,
) -> Any:
    """An Acting (or Reading) of the caller in a tenant. Raises Problem 401, 403 or 404; denials are recorded."""
    credential = credential_of(node, request)
    if not credential.subject.operator and credential.tenant != tenant:
        raise problems.not_found(_MISSING_TENANT)
    if tenant != DEPLOYMENT and resident(node, tenant).life == "none":
        raise problems.not_found(_MISSING_TENANT)
    if tenant == DEPLOYMENT and permission not in IN_DEPLOYMENT:
        raise problems.not_found(_ONLY_TENANTS)
    _must_be_rest(credential)
    return await admit(kind, node, request, response, credential, tenant, permission, idempotency_key)


async def let_operator_in(
    kind: type[Acting],
    node: "Node",
    request: Request,
    response: Response,
    permission: str,
    idempotency_key: str | None = None,
) -> Any:
    """An Acting (or Reading) of an operator in the deployment. Raises Problem 401 or 403.

    A tenant's key is refused in the history of its tenant.
    """
    credential = credential_of(node, request)
    _must_be_rest(credential)
    if not credential.subject.operator:
        request.scope["state"]["tenant"] = credential.tenant
        no = Decision(False, ONLY_OPERATORS)
        await kind(node, request, response, credential, credential.tenant, permission, no).refuse(ONLY_OPERATORS)
    return await admit(kind, node, request, response, credential, DEPLOYMENT, permission, idempotency_key)


def _must_be_rest(credential: "Credential") -> None:
    if credential.directory is not None:
        raise problems.forbidden("a directory's token opens its SCIM address and nothing else")


async def admit(
    kind: type[Acting],
    node: "Node",
    request: Request,
    response: Response,
    credential: "Credential",
    tenant: TenantId,
    permission: str,
    idempotency_key: str | None = None,
) -> Any:
    """An Acting of whom a credential stands for, where it belongs. Raises NotPermitted; denials are recorded."""
    request.scope["state"]["tenant"] = tenant
    decision = decide_access(credential.subject, permission, node.clock())
    acting = kind(node, request, response, credential, tenant, permission, decision)
    if idempotency_key is not None:
        acting.retries_are(idempotency_key, await request.body())
    if not decision.allowed:
        await acting.refuse(decision.because)
    return acting


def may(permission: str) -> Any:
    """A caller who may change things, in the tenant that the path names."""

    async def dependency(
        request: Request,
        response: Response,
        tenant: TenantInPath,
        node: TheNode,
        key: IdempotencyKey,
        _: Annotated[Any, Depends(_bearer)],
    ) -> Acting:
        acting: Acting = await let_in(Acting, node, request, response, TenantId(tenant), permission, key)
        return acting

    return Depends(dependency)


def may_in_deployment(permission: str) -> Any:
    """A caller who may change the deployment."""

    async def dependency(
        request: Request,
        response: Response,
        node: TheNode,
        key: IdempotencyKey,
        _: Annotated[Any, Depends(_bearer)],
    ) -> Acting:
        acting: Acting = await let_operator_in(Acting, node, request, response, permission, key)
        return acting

    return Depends(dependency)


def may_read(permission: str, *, stored: bool = True) -> Any:
    """A caller who may read, as of the moment that the query names, in the tenant that the path names.

    `stored` says that stored views are read: then they have reached the moment when the handler begins.
    """

    async def dependency(
        request: Request,
        response: Response,
        tenant: TenantInPath,
        node: TheNode,
        as_of: AskedMoment,
        known: KnownPosition,
        _: Annotated[Any, Depends(_bearer)],
    ) -> Reading:
        reading: Reading = await let_in(Reading, node, request, response, TenantId(tenant), permission)
        return await at_moment(reading, as_of, known, response, stored=stored)

    return Depends(dependency)


def may_read_deployment(permission: str) -> Any:
    """A caller who may read the deployment's own history, as of a moment."""

    async def dependency(
        request: Request,
        response: Response,
        node: TheNode,
        as_of: AskedMoment,
        known: KnownPosition,
        _: Annotated[Any, Depends(_bearer)],
    ) -> Reading:
        reading: Reading = await let_operator_in(Reading, node, request, response, permission)
        return await at_moment(reading, as_of, known, response)

    return Depends(dependency)


def may_read_own(permission: str) -> Any:
    """A caller who may read history in the tenant of their key; an operator names the tenant in the query."""

    async def dependency(
        request: Request,
        response: Response,
        node: TheNode,
        as_of: AskedMoment,
        known: KnownPosition,
        _: Annotated[Any, Depends(_bearer)],
        tenant: Annotated[
            str | None, Query(pattern=TENANT_PATTERN, description="Which tenant; a tenant's own key need not say.")
        ] = None,
    ) -> Reading:
        own = credential_of(node, request).tenant
        reading: Reading = await let_in(Reading, node, request, response, TenantId(tenant or own), permission)
        return await at_moment(reading, as_of, known, response, stored=False)

    return Depends(dependency)


async def at_moment(reading: Reading, as_of: Any, known: Any, response: Response, *, stored: bool = True) -> Reading:
    """The reading as of the moment that was asked for, and no older than the caller knows history to be.

    `stored`: once the stored views have reached it.
    """
    node = reading.node
    wanted = known.position if known is not None and known.tenant == reading.tenant else 0
    head = node.feed.head(reading.tenant)
    if wanted > head:
        head = await node.feed.wait(reading.tenant, wanted - 1, 5.0)
        if wanted > head:
            raise problems.unavailable("this node has not seen that position yet; ask again")
    reading.at = moment_of(node, reading.tenant, as_of, head)
    reading.as_of = as_of is not None
    response.headers["Muniment-Position"] = f"{reading.tenant}:{reading.at.position}" if reading.at.position else ""
    if not reading.at.position:
        del response.headers["Muniment-Position"]
    if stored:
        await node.views.reach(reading.tenant, reading.at.position)
    return reading


def moment_of(node: "Node", tenant: TenantId, as_of: Any, head: int) -> Moment:
    """A moment of a tenant: a position means its recorded instant, a time the last position before it."""
    if as_of is None:
        return Moment(head, Instant(node.clock()))
    if isinstance(as_of, AtPosition):
        if as_of.position > head:
            raise problems.not_found(f"the tenant's history ends at position {head}")
        return Moment(as_of.position, node.history.instant_of(tenant, as_of.position))
    if as_of.instant > node.clock():
        raise problems.unprocessable("that moment has not come yet; leave as_of out to read what is now")
    return Moment(node.history.position_at(tenant, as_of.instant), Instant(as_of.instant))
