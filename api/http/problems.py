"""Problems: every refusal over HTTP, as `application/problem+json` (RFC 9457)."""

import json
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, Final, NamedTuple

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.http.field_errors import FieldError, field_errors

MEDIA_TYPE: Final = "application/problem+json"


class Kind(NamedTuple):
    """What went wrong, as a type that programs can tell apart: `/problems/<slug>`."""

    status: int
    slug: str
    title: str


BAD_REQUEST: Final = Kind(400, "bad-request", "The request can't be understood")
MALFORMED_JSON: Final = Kind(400, "malformed-json", "The body is not acceptable JSON")
UNAUTHENTICATED: Final = Kind(401, "unauthenticated", "The caller is not known")
FORBIDDEN: Final = Kind(403, "forbidden", "The caller may not do this")
NOT_FOUND: Final = Kind(404, "not-found", "There is nothing here")
METHOD_NOT_ALLOWED: Final = Kind(405, "method-not-allowed", "This can't be done here")
CONFLICT: Final = Kind(409, "conflict", "The request conflicts with what is known")
GONE: Final = Kind(410, "gone", "What was here is gone")
PRECONDITION_FAILED: Final = Kind(412, "precondition-failed", "It has changed since it was read")
PAYLOAD_TOO_LARGE: Final = Kind(413, "payload-too-large", "The body is too large")
URI_TOO_LONG: Final = Kind(414, "uri-too-long", "The address is too long")
UNSUPPORTED_MEDIA_TYPE: Final = Kind(415, "unsupported-media-type", "The body is of a type that is not read here")
UNPROCESSABLE: Final = Kind(422, "unprocessable", "The request is understood and not acceptable")
PRECONDITION_REQUIRED: Final = Kind(428, "precondition-required", "A precondition is required")
TOO_MANY_REQUESTS: Final = Kind(429, "too-many-requests", "Too many requests")
HEADERS_TOO_LARGE: Final = Kind(431, "headers-too-large", "A header is too large")
INTERNAL_ERROR: Final = Kind(500, "internal-error", "Something went wrong here")
UNAVAILABLE: Final = Kind(503, "unavailable", "This can't be answered just now")

# What the framework itself refuses, by status, and what the caller can do about it.
_BY_STATUS: Final[Mapping[int, tuple[Kind, str]]] = {
    400: (BAD_REQUEST, "correct the request and send it again"),
    401: (UNAUTHENTICATED, "send a valid key as `Authorization: Bearer <key>`"),
    403: (FORBIDDEN, "ask for the permission that this needs"),
    404: (NOT_FOUND, "check the address, and that the caller may see it"),
    405: (METHOD_NOT_ALLOWED, "use one of the methods in the Allow header"),
    413: (PAYLOAD_TOO_LARGE, "send less at once"),
    415: (UNSUPPORTED_MEDIA_TYPE, "send application/json"),
    422: (UNPROCESSABLE, "correct the request and send it again"),
    429: (TOO_MANY_REQUESTS, "wait, then send it again"),
    503: (UNAVAILABLE, "wait, then send it again"),
}


class ProblemBody(BaseModel):
    """A refusal (RFC 9457): what went wrong, and what the caller can do about it."""

    model_config = ConfigDict(title="Problem", extra="allow")

    type: str = Field(json_schema_extra={"format": "uri-reference"}, examples=["/problems/not-found"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str | None = None
    correlation_id: str | None = Field(None, description="The X-Request-ID of the answer.")
    errors: list[FieldError] | None = Field(None, description="Where the request is not acceptable, and why.")
    more: int | None = Field(None, description="How many further errors are not listed.")


class Problem(HTTPException):
    """Raise it anywhere in a request. `detail` says what the caller can do and never repeats what the caller sent."""

    def __init__(self, kind: Kind, detail: str, *, headers: Mapping[str, str] | None = None, **members: object) -> None:
        super().__init__(kind.status, detail, headers)
        self.kind = kind
        self.members = members

    def body(self, correlation: str | None = None) -> dict[str, object]:
        """The members of the answer's JSON; what is None is left out."""
        kind = self.kind
        members = {
            "type": f"/problems/{kind.slug}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "correlation_id": correlation,
            **self.members,
        }
        return {name: value for name, value in members.items() if value is not None}


Render = Callable[[Problem, str | None], Response]
"""How a protocol with an error format of its own says a problem; it is given the correlation id too."""


def bad_request(detail: str, **members: Any) -> Problem:
    return Problem(BAD_REQUEST, detail, **members)


def malformed_json(detail: str) -> Problem:
    return Problem(MALFORMED_JSON, detail)


def unprocessable(detail: str, errors: Sequence[FieldError] = (), *, more: int = 0) -> Problem:
    return Problem(UNPROCESSABLE, detail, errors=[each.model_dump() for each in errors] or None, more=more or None)


def unauthenticated(detail: str = "send a valid key as `Authorization: Bearer <key>`") -> Problem:
    return Problem(UNAUTHENTICATED, detail, headers={"WWW-Authenticate": "Bearer"})


def forbidden(because: str) -> Problem:
    return Problem(FORBIDDEN, because)


def not_found(detail: str = "check the address, and that the caller may see it") -> Problem:
    return Problem(NOT_FOUND, detail)


def conflict(detail: str, **members: Any) -> Problem:
    return Problem(CONFLICT, detail, **members)


def gone(detail: str) -> Problem:
    return Problem(GONE, detail)


def precondition_failed(detail: str = "read it again and decide again") -> Problem:
    return Problem(PRECONDITION_FAILED, detail)


def precondition_required(detail: str = "send If-Match with the ETag of what was read") -> Problem:
    return Problem(PRECONDITION_REQUIRED, detail)


def payload_too_large(most: int) -> Problem:
    return Problem(PAYLOAD_TOO_LARGE, f"send at most {most} bytes at once", most=most)


def uri_too_long(most: int) -> Problem:
    return Problem(URI_TOO_LONG, f"the path and the query may have {most} bytes each")


def headers_too_large(most: int) -> Problem:
    return Problem(HEADERS_TOO_LARGE, f"a header's value may have {most} bytes")


def unsupported_media_type(detail: str = "send application/json in UTF-8") -> Problem:
    return Problem(UNSUPPORTED_MEDIA_TYPE, detail)


def too_many_requests(retry_after: float, detail: str = "wait, then send it again") -> Problem:
    return Problem(TOO_MANY_REQUESTS, detail, headers=_retry(retry_after))


def unavailable(detail: str, retry_after: float = 1) -> Problem:
    return Problem(UNAVAILABLE, detail, headers=_retry(retry_after))


def internal_error() -> Problem:
    return Problem(INTERNAL_ERROR, "it was recorded; name the correlation id when reporting it")


def _retry(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, ceil(seconds)))}


def install(app: FastAPI, faces: Mapping[str, Render] | None = None) -> None:
    """Make every refusal of `app` a problem; below a prefix in `faces`, say it in that protocol's own format."""
    app.state.problem_faces = dict(faces or {})
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(RequestValidationError)(_on_validation_error)
    app.exception_handler(Exception)(_on_exception)


def answer(scope: Scope, problem: Problem) -> Response:
    """The response that says `problem` in the format of the face the request came to."""
    correlation: str | None = scope.get("state", {}).get("correlation")
    faces: dict[str, Render] = getattr(scope["app"].state, "problem_faces", {})
    for prefix, render in faces.items():
        if scope["path"].startswith(prefix):
            return render(problem, correlation)
    content = json.dumps(problem.body(correlation)).encode()
    return Response(content, problem.status_code, problem.headers, MEDIA_TYPE)


def log_unexpected(error: Exception) -> None:
    """Record a defect of ours: its type and where it was raised, and none of the values it speaks of."""
    structlog.get_logger().error("request failed unexpectedly", exc_info=error)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    if isinstance(error, Problem):
        return answer(request.scope, error)
    if error.status_code < 400:
        return Response(status_code=error.status_code, headers=error.headers)
    return answer(request.scope, _of_status(error.status_code, error.headers))


def _of_status(status: int, headers: Mapping[str, str] | None) -> Problem:
    if status == 401 and not headers:
        return unauthenticated()
    if known := _BY_STATUS.get(status):
        return Problem(*known, headers=headers)
    kind = INTERNAL_ERROR if status >= 500 else BAD_REQUEST
    return Problem(kind._replace(status=status), "correct the request and send it again", headers=headers)


async def _on_validation_error(request: Request, error: RequestValidationError) -> Response:
    errors, more = field_errors(error, request.app)
    return answer(request.scope, unprocessable("correct what `errors` lists and send it again", errors, more=more))


async def _on_exception(request: Request, error: Exception) -> Response:
    log_unexpected(error)
    return answer(request.scope, internal_error())


def responses(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI of refusals, for a route's `responses`; kinds of one status share its entry."""
    documented: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = documented.setdefault(kind.status, documentation(kind))
        if kind.title not in entry["description"]:
            entry["description"] += f"; or: {kind.title}"
    return documented


def documentation(kind: Kind) -> dict[str, Any]:
    """One problem as an OpenAPI response."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": kind.title, "content": {MEDIA_TYPE: {"schema": schema}}}
