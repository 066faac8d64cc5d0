"""Rendering: a template with what every page has around it, and the headers that keep the page to itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from api.acting import resident
from api.pages import words
from api.pages.sessions import FORM, SESSION, cookie_of
from api.pages.static import VERSION
from domain.access.check import decide_access
from domain.ids import DEPLOYMENT, TenantId
from projections.tenants import TENANTS

if TYPE_CHECKING:
    from api.wiring import Node
    from domain.access.credentials import Credential

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Link(NamedTuple):
    """A place of the console. `key` is how a page says that it is the one."""

    key: str
    title: str
    path: str
    permissions: tuple[str, ...]
    """Any of them opens it."""
    in_deployment: bool = False


_OF_STATE: Final = (
    *("users:read", "groups:read", "roles:read", "keys:read", "flags:read"),
    *("tenants:read", "directories:read", "webhooks:read"),
)
SAYS: Final = {
    "trail": "What happened: who, for whom, under what authority.",
    "state": "Users, groups, roles, keys and flags, at any moment.",
    "diff": "What changed between two moments, and who made it so.",
    "radius": "All that followed from a key, a person or an address.",
    "incident": "A report: timeline, radius, before and after, proofs.",
    "evidence": "Checkpoints, keys, and bundles that are checked offline.",
    "checks": "That views are what the history folds to.",
}
PLACES: Final = (
    Link("overview", "Overview", "", ("tenants:read",)),
    Link("trail", "Trail", "/trail", ("audit:read",), True),
    Link("state", "State", "/state", _OF_STATE, True),
    Link("diff", "Compare", "/diff", ("replay:read",), True),
    Link("radius", "Blast radius", "/blast-radius", ("replay:read",), True),
    Link("incident", "Incident", "/incident", ("replay:read",), True),
    Link("evidence", "Evidence", "/evidence", ("audit:read",), True),
    Link("checks", "Checks", "/checks", ("replay:read",), True),
)
"""What there is of a tenant, in the order of the navigation."""


class Around(msgspec.Struct, frozen=True):
    """Who looks, and at whose history."""

    actor: str
    operator: bool
    tenant: TenantId | None
    name: str | None
    """The tenant's, if the caller may read it."""
    places: tuple[Link, ...]

    def path(self, rest: str = "") -> str:
        return f"/console/tenants/{self.tenant}{rest}"


def may(node: "Node", credential: "Credential", *permissions: str) -> bool:
    """Whether the credential has any of these now; nothing is recorded, because nothing is asked for."""
    now = node.clock()
    return any(decide_access(credential.subject, each, now).allowed for each in permissions)


def around(node: "Node", credential: "Credential", tenant: TenantId | None) -> Around:
    """What the page of a tenant (or of none) shows around its content."""
    if tenant is None:
        return Around(credential.actor_id, credential.subject.operator, None, None, ())
    places = tuple(
        each
        for each in PLACES
        if (tenant != DEPLOYMENT or each.in_deployment) and may(node, credential, *each.permissions)
    )
    name = _name_of(node, credential, tenant)
    return Around(credential.actor_id, credential.subject.operator, tenant, name, places)


def _name_of(node: "Node", credential: "Credential", tenant: TenantId) -> str | None:
    if tenant == DEPLOYMENT:
        return "Deployment"
    if not may(node, credential, "tenants:read"):
        return None
    row = resident(node, tenant).rows.rows[TENANTS.name].get(tenant)
    return node.keyring.unseal(tenant, "name", row.name) if row else None


def show(
    request: Request,
    template: str,
    *,
    around: Around | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Response:
    """A page. The form token belongs to the cookie that came with the request, or to `form_cookie` in the context."""
    node: Node = request.app.state.node
    cookie = context.pop("form_cookie", None) or cookie_of(request.scope, SESSION) or cookie_of(request.scope, FORM)
    text = _ENVIRONMENT.get_template(template).render(
        around=around,
        form_token=node.sessions.form_token(cookie) if cookie else "",
        version=VERSION,
        here=request.scope["path"],
        **context,
    )
    return HTMLResponse(text, status, {**HEADERS, **(headers or {})})


def bare(template: str, *, status: int, headers: dict[str, str] | None = None, **context: Any) -> Response:
    """A page for a request of which nothing more is known."""
    text = _ENVIRONMENT.get_template(template).render(
        around=None, form_token="", version=VERSION, here="/console", **context
    )
    return HTMLResponse(text, status, {**HEADERS, **(headers or {})})


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: Sequence[Any] = (
        words.phrase,
        words.brief,
        words.time_parts,
        words.number,
        words.plain_value,
        words.field_name,
        words.address_of,
        words.amount,
        words.flat,
        words.is_time,
        words.leaves,
        words.mark_of,
        words.naming,
        words.parsed,
    )
    for each in filters:
        environment.filters[each.__name__] = each
    environment.globals.update(query=words.query, says=SAYS)
    return environment


_ENVIRONMENT: Final = _environment()
