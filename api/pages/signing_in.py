"""Signing in with a key and out again, and where that leads: to the tenants, or to the tenant of the key."""

import re
import secrets
from typing import Annotated, Final

from fastapi import Query, Request, Response
from starlette.responses import RedirectResponse

from api.acting import Reading
from api.bodies import Cursor, Limit
from api.http.problems import Problem
from api.pages.rendering import around, show
from api.pages.route import SIGN_IN, forget, form_of, pages, set_cookie
from api.pages.sessions import FORM, PREFIX, SESSION, cookie_of
from api.permitted import TheNode, credential_by, credential_of, may_read_deployment
from api.tenants import list_tenants
from domain.access.secrets import read
from domain.ids import TenantId

MayListTenants = Annotated[Reading, may_read_deployment("tenants:read")]
MOST_KEY_CHARACTERS: Final = 200
_OUR_PAGE: Final = re.compile(r"/console(?:/[A-Za-z0-9_/-]*)?(?:\?[!-~]*)?")
_NO_KEY: Final = "This is no key of Muniment. Paste the whole of it: it begins with mun_opr_ or mun_key_."
_OPENS_NOTHING: Final = "This key opens nothing here. Ask who issued it for another."
_ONLY_SCIM: Final = "A directory's token opens its SCIM address and nothing else. Use an operator's key or an API key."

routes = pages()
Next = Annotated[str | None, Query(max_length=2000)]


@routes.get("")
async def enter(request: Request, node: TheNode) -> Response:
    """Raises Problem 401."""
    credential = credential_of(node, request)
    if credential.subject.operator:
        return RedirectResponse(f"{PREFIX}/tenants", 303)
    found = around(node, credential, credential.tenant)
    return RedirectResponse(found.path(found.places[0].path) if found.places else f"{PREFIX}/nothing", 303)


@routes.get("/nothing")
async def show_nothing(request: Request, node: TheNode) -> Response:
    """For a key that reads nothing of what there are pages for."""
    credential = credential_of(node, request)
    return show(request, "nothing.html", around=around(node, credential, None), tenant=credential.tenant)


@routes.get("/sign-in")
async def show_sign_in(
    request: Request, next: Next = None, ended: Annotated[str | None, Query(max_length=1)] = None
) -> Response:
    return _form(request, next, "Your session has ended. Sign in again to go on." if ended else None)


def _form(request: Request, following: str | None, problem: str | None, status: int = 200) -> Response:
    had = cookie_of(request.scope, SESSION) or cookie_of(request.scope, FORM)
    cookie = had or secrets.token_urlsafe(24)
    response = show(
        request,
        "sign_in.html",
        status=status,
        headers={"WWW-Authenticate": "Bearer"} if status == 401 else None,
        form_cookie=cookie,
        next=following if following and _OUR_PAGE.fullmatch(following) else None,
        problem=problem,
    )
    if not had:
        set_cookie(request, response, FORM, cookie)
    return response


@routes.post("/sign-in")
async def sign_in(request: Request, node: TheNode) -> Response:
    fields = await form_of(request)
    text, following = fields.get("key", "").strip(), fields.get("next")
    secret = read(text) if len(text) <= MOST_KEY_CHARACTERS else None
    if secret is None:
        return _form(request, following, _NO_KEY, 401)
    await node.log.reach(secret.tenant)
    try:
        credential = credential_by(node, text)
    except Problem as problem:
        because = _OPENS_NOTHING if problem.status_code == 401 else f"It can't be used: {problem.detail}."
        return _form(request, following, because, problem.status_code)
    if credential.directory is not None:
        return _form(request, following, _ONLY_SCIM, 403)
    leads = following if following and _OUR_PAGE.fullmatch(following) else PREFIX
    response = RedirectResponse(leads, 303)
    set_cookie(request, response, SESSION, node.sessions.seal(text))
    forget(response, FORM)
    return response


@routes.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """The browser forgets the session."""
    await form_of(request)
    response = RedirectResponse(SIGN_IN, 303)
    forget(response, SESSION, FORM)
    return response


@routes.get("/tenants")
async def show_tenants(
    request: Request, reading: MayListTenants, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    page = await list_tenants(reading, limit, cursor)
    heads = {each.id: reading.node.history.head(TenantId(each.id))[0] for each in page.items}
    return show(
        request,
        "tenants.html",
        around=around(reading.node, reading.credential, None),
        page=page,
        heads=heads,
        deployment=reading.at.position,
        parameters=dict(request.query_params),
    )
