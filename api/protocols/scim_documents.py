"""What the OpenAPI document says of SCIM: bodies, answers and refusals as application/scim+json."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from fastapi import Body, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from api.http.json_body import JsonRouter

MEDIA_TYPE: Final = "application/scim+json"

DirectoryInScim = Annotated[str, Path(max_length=100, examples=["dir_0195c2d4a1b00123456789abcdef0123"])]
IdInScim = Annotated[str, Path(max_length=100, description="The `id` that the resource was answered with.")]


def scim_router() -> JsonRouter:
    """A router of the face: each has the whole address, which logs and events tell."""
    return JsonRouter(prefix="/scim/v2/{directory}", tags=["scim"])


class ScimResponse(JSONResponse):
    """JSON as RFC 7644 §3.1 labels it."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return b"" if content is None else msgspec.json.encode(content)


class ScimError(BaseModel):
    """RFC 7644 §3.12: what was wrong and what to do about it; `status` is the HTTP status as text."""

    schemas: list[str]
    status: str
    scimType: str | None = None
    detail: str | None = None


class ScimResource(BaseModel):
    """A user, a group or a document of discovery, with the attributes that its schema has and the query asks for."""

    model_config = ConfigDict(extra="allow")

    schemas: list[str]
    id: str | None = None
    meta: dict[str, Any] | None = None


class ScimList(BaseModel):
    """RFC 7644 §3.4.2."""

    schemas: list[str]
    totalResults: int = Field(ge=0)
    startIndex: int = Field(ge=1)
    itemsPerPage: int = Field(ge=0)
    Resources: list[ScimResource]


def _body(required: Mapping[str, Any]) -> Any:
    schema = {"type": "object", "properties": dict(required), "required": list(required), "additionalProperties": True}
    return WithJsonSchema(schema)


_TEXT: Final = {"type": "string", "minLength": 1, "pattern": r"\S"}
UserBody = Annotated[dict[str, Any], _body({"userName": _TEXT}), Body(media_type=MEDIA_TYPE)]
GroupBody = Annotated[dict[str, Any], _body({"displayName": _TEXT}), Body(media_type=MEDIA_TYPE)]
SearchBody = Annotated[dict[str, Any], _body({}), Body(media_type=MEDIA_TYPE)]
PatchBody = Annotated[
    dict[str, Any],
    _body({"Operations": {"type": "array", "minItems": 1, "items": {"type": "object"}}}),
    Body(media_type=MEDIA_TYPE),
]

_REFUSALS: Final = {
    400: "Not acceptable; `scimType` says in which way",
    401: "The caller is not known",
    403: "The caller may not do this",
    404: "There is nothing here, or it is another directory's",
    414: "The address is too long",
    422: "The moment has not come yet, or the Idempotency-Key came with another request before",
    431: "A header is too large",
    503: "This can't be answered just now",
}
_REFUSALS_OF_BODIES: Final = {
    413: "The body, or what it changes, is too large",
    415: "The body is not JSON",
}
_REFUSALS_OF_CHANGES: Final = {
    409: "`uniqueness`: another has this value; without `scimType`: the rules say no",
    412: "It has changed since it was read",
    429: "Too many commands wait",
}


def documented(
    answer: type[BaseModel] | None, *, status: int = 200, takes_body: bool = False, changes: bool = False
) -> dict[str, Any]:
    """A route's settings: what it answers, and every refusal, as SCIM says them."""
    refusals = _REFUSALS | (_REFUSALS_OF_BODIES if takes_body else {}) | (_REFUSALS_OF_CHANGES if changes else {})
    responses: dict[int | str, dict[str, Any]] = {
        refused: {"model": ScimError, "description": why} for refused, why in refusals.items()
    }
    if answer is not None:
        responses[status] = {"model": answer}
    return {"status_code": status, "response_class": ScimResponse, "response_model": None, "responses": responses}


def _parameter(name: str, where: str, description: str, kind: str = "string", **limits: Any) -> dict[str, Any]:
    schema = {"type": kind, **limits}
    return {"name": name, "in": where, "required": False, "description": description, "schema": schema}


_SHOWN: Final = (
    _parameter("attributes", "query", "Only these attributes, separated by commas."),
    _parameter("excludedAttributes", "query", "All attributes but these."),
)
_LISTED: Final = (
    _parameter("filter", "query", "RFC 7644 §3.4.2.2.", minLength=1),
    _parameter("sortBy", "query", "An attribute.", minLength=1),
    _parameter("sortOrder", "query", "ascending or descending.", minLength=1),
    _parameter("startIndex", "query", "The first to answer, from 1.", "integer", maximum=999_999_999),
    _parameter("count", "query", "How many at most.", "integer", maximum=999_999_999),
)
_IF_MATCH: Final = _parameter(
    "If-Match",
    "header",
    "Only if its version is still one of these, or `*`.",
    minLength=1,
    pattern=r'^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*"){0,63})$',
)

SHOWING: Final = {"parameters": [*_SHOWN]}
LISTING: Final = {"parameters": [*_SHOWN, *_LISTED]}
CHANGING: Final = {"parameters": [*_SHOWN, _IF_MATCH]}
DELETING: Final = {"parameters": [_IF_MATCH]}
