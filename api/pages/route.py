"""A page's route: what goes wrong on it is told as a page, and who has not signed in is asked to."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.responses import RedirectResponse

from api.http import problems
from api.http.field_errors import field_errors
from api.http.json_body import JsonRoute, JsonRouter
from api.http.problems import Problem
from api.pages.rendering import HEADERS, Around, around, bare, show
from api.pages.sessions import FORM, LASTS, PREFIX, SESSION, cookie_of
from api.permitted import credential_of
from api.refusals import problem_of
from domain.ids import TenantId

if TYPE_CHECKING:
    from api.wiring import Node

MOST_FORM_BYTES: Final = 8 * 1024
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 20
SIGN_IN: Final = f"{PREFIX}/sign-in"
NOT_SENT_BY_OUR_FORM: Final = "the page was open for too long, or another site sent this: open the page again"


class PageRoute(JsonRoute):
    """Fields that a form left empty are as if they had not been sent."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            request.scope["query_string"] = _without_empty(request.scope["query_string"])
            try:
                response = await handle(Request(request.scope, request.receive))
            except Problem as problem:
                return _told(request, problem)
            except RequestValidationError as error:
                errors, more = field_errors(error, request.app)
                return _told(request, problems.unprocessable("correct the address and try again", errors, more=more))
            except Exception as refusal:
                return _told(request, _problem_of(refusal))
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return handle_page


def _problem_of(refusal: Exception) -> Problem:
    """Raises the refusal if it is none."""
    try:
        return problem_of(refusal)
    except KeyError:
        raise refusal from None


def pages() -> JsonRouter:
    """A router of pages: they are no part of the API's document."""
    return JsonRouter(prefix=PREFIX, include_in_schema=False, route_class=PageRoute)


def _without_empty(query: bytes) -> bytes:
    if b"=&" not in query and not query.endswith(b"="):
        return query
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=False, max_num_fields=100)
    return urlencode(pairs, quote_via=quote).encode("latin-1")


def _told(request: Request, problem: Problem) -> Response:
    if problem.status_code == 401:
        return _to_sign_in(request)
    return show(
        request,
        "problem.html",
        around=_around(request),
        status=problem.status_code,
        headers=dict(problem.headers or {}),
        problem=problem,
        errors=problem.members.get("errors") or [],
        correlation=request.scope["state"].get("correlation"),
    )


def _around(request: Request) -> Around | None:
    """What stands around a refusal: nothing of a tenant that the caller is not to know of."""
    node: Node = request.app.state.node
    try:
        credential = credential_of(node, request)
    except Problem:
        return None
    tenant = TenantId(request.path_params.get("tenant", ""))
    if credential.tenant == tenant or (credential.subject.operator and node.history.head(tenant)[0]):
        return around(node, credential, tenant)
    return around(node, credential, None)


def _to_sign_in(request: Request) -> Response:
    asked, had = dict[str, str](), cookie_of(request.scope, SESSION)
    if request.method == "GET" and request.url.path not in (PREFIX, SIGN_IN):
        asked["next"] = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if had:
        asked["ended"] = "1"
    response = RedirectResponse(SIGN_IN + (f"?{urlencode(asked)}" if asked else ""), 303, HEADERS)
    if had:
        forget(response, SESSION)
    return response


def set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    """Never shown to scripts, never sent from another site; over TLS alone where the node is reached by it."""
    public: str | None = request.app.state.node.configuration.public_url
    secure = request.url.scheme == "https" or bool(public and public.startswith("https:"))
    response.set_cookie(name, value, max_age=LASTS, path=PREFIX, secure=secure, httponly=True, samesite="strict")


def forget(response: Response, *names: str) -> None:
    for name in names:
        response.delete_cookie(name, path=PREFIX, httponly=True, samesite="strict")


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that our own page sent. Raises Problem."""
    node: Node = request.app.state.node
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        raise problems.unsupported_media_type(f"send the form as {_FORM_TYPE}")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise problems.forbidden(NOT_SENT_BY_OUR_FORM)
    body = await request.body()
    if len(body) > MOST_FORM_BYTES:
        raise problems.payload_too_large(MOST_FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise problems.bad_request("the form can't be read: open the page again") from None
    fields = dict(pairs)
    cookie = cookie_of(request.scope, SESSION) or cookie_of(request.scope, FORM)
    if not node.sessions.sent_by_our_form(cookie, fields.pop("form_token", "")):
        raise problems.forbidden(NOT_SENT_BY_OUR_FORM)
    return fields


def render(problem: Problem, correlation: str | None) -> Response:
    """How the console says a problem for which no page was found."""
    return bare(
        "problem.html",
        status=problem.status_code,
        headers=dict(problem.headers or {}),
        problem=problem,
        errors=problem.members.get("errors") or [],
        correlation=correlation,
    )
