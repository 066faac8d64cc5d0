"""The read side of the Schema Registry REST protocol; stock consumers get `http://node/schema-registry` as its URL.

Subjects are the full names of records (`muniment.flags.FlagDefined`, Confluent's RecordNameStrategy), and a subject's
versions are the revisions of that record. It is the one strategy under which everything said here is true: the topic
holds records of many types, so a subject `muniment.ledger-value` would list as versions of each other what can't be
read as each other, and FULL_TRANSITIVE would be a lie. Readers don't need it: they fetch a schema by the id in the
bytes, and may add any `?subject=`, which is passed over, as ids are global. What looks up a subject by itself
(Kafka Connect's AvroConverter, a reader with `use.latest.version`) is told to use RecordNameStrategy.

No credentials are asked for, and those that come are passed over: schemas are part of the product and the same
everywhere; they tell nothing of a tenant. Nothing can be written: released schemas never change.
"""

import json
from functools import cache
from typing import Annotated, Any, Final

import msgspec
from fastapi import Body, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from api.http.json_body import JsonRouter, at_most
from api.http.problems import NOT_FOUND, UNPROCESSABLE, Kind, Problem
from schemas import registry
from schemas.registry import Schema

PREFIX: Final = "/schema-registry/"
MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
LEVEL: Final = "FULL_TRANSITIVE"
_MOST_BYTES: Final = 256 * 1024
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}

routes = JsonRouter(prefix="/schema-registry", tags=["schema registry"])


class RegistryError(BaseModel):
    """The protocol's error: `error_code` begins with the HTTP status, and says more."""

    error_code: int
    message: str


class FoundSchema(BaseModel):
    """The schema as text; AVRO, the protocol's default, is not named."""

    schema_: str = Field(alias="schema")


class RegisteredSchema(FoundSchema):
    subject: str
    version: int
    id: int


class SubjectVersion(BaseModel):
    subject: str
    version: int


class RegistryResponse(JSONResponse):
    """JSON as the protocol labels it."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


class Wanted(BaseModel):
    """What is looked up; other members (references, metadata, rules) are passed over, as no schema here has any."""

    model_config = ConfigDict(extra="ignore")

    schema_: Annotated[str, Field(alias="schema", max_length=200_000)]
    schema_type: Annotated[str | None, Field(alias="schemaType")] = None


_ERRORS: Final = {
    400: "Not acceptable",
    404: "40401: no such subject; 40402: no such version; 40403: no such schema",
    414: "The address is too long",
    422: "42201: not a schema; 42202: not a version; 42205: nothing is written here",
    431: "A header is too large",
}
_ERRORS_OF_BODIES: Final = {413: "The body is too large", 415: "The body is not JSON"}
_BODY: Final = {
    "type": "object",
    "properties": {"schema": {"type": "string"}, "schemaType": {"type": "string", "enum": ["AVRO"]}},
    "required": ["schema"],
}


def _documented(answer: Any, *, takes_body: bool = False) -> dict[str, Any]:
    errors = _ERRORS | (_ERRORS_OF_BODIES if takes_body else {})
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": RegistryError, "description": why} for status, why in errors.items()
    }
    return {
        "response_class": RegistryResponse,
        "response_model": None,
        "responses": {200: {"model": answer}, **responses},
    }


SubjectInPath = Annotated[str, Path(max_length=300, examples=["muniment.flags.FlagDefined"])]
VersionInPath = Annotated[str, Path(max_length=20, examples=["latest"], description="A number from 1, or latest.")]
IdInPath = Annotated[str, Path(max_length=20, examples=["1"], description="The number in bytes 2 to 5 of a value.")]
Prefix = Annotated[str, Query(alias="subjectPrefix", max_length=300)]


@routes.get("", include_in_schema=False)
@routes.get("/", include_in_schema=False)
async def read_root() -> Response:
    """What some tools ask to see that a registry is there."""
    return RegistryResponse({})


@routes.get("/schemas/types", **_documented(list[str]))
async def list_types() -> Response:
    return RegistryResponse(["AVRO"])


@routes.get("/schemas", **_documented(list[RegisteredSchema]))
async def list_schemas(subject_prefix: Prefix = "") -> Response:
    """All that were ever released, of events and of control records."""
    found = [each for each in registry.published() if _subject(each).startswith(subject_prefix)]
    return RegistryResponse([_registered(each) for each in found])


@routes.get("/schemas/ids/{id}", **_documented(FoundSchema))
async def read_schema_by_id(id: IdInPath) -> Response:
    return RegistryResponse({"schema": _of_id(id).text}, headers=_FOREVER)


@routes.get("/schemas/ids/{id}/schema", **_documented(dict[str, Any]))
async def read_schema_alone_by_id(id: IdInPath) -> Response:
    """The schema itself, as it was released."""
    return _alone(_of_id(id))


@routes.get("/schemas/ids/{id}/subjects", **_documented(list[str]))
async def list_subjects_of_id(id: IdInPath) -> Response:
    return RegistryResponse([_subject(_of_id(id))])


@routes.get("/schemas/ids/{id}/versions", **_documented(list[SubjectVersion]))
async def list_versions_of_id(id: IdInPath) -> Response:
    schema = _of_id(id)
    return RegistryResponse([{"subject": _subject(schema), "version": schema.revision}])


@routes.get("/subjects", **_documented(list[str]))
async def list_subjects(subject_prefix: Prefix = "") -> Response:
    return RegistryResponse([each for each in _subjects() if each.startswith(subject_prefix)])


@routes.post("/subjects/{subject}", **_documented(RegisteredSchema, takes_body=True))
@at_most(_MOST_BYTES)
async def look_up(subject: SubjectInPath, body: Annotated[Wanted, WithJsonSchema(_BODY), Body()]) -> Response:
    """The version of a subject that has just this schema, however it is written as JSON."""
    versions = _versions(subject)
    try:
        wanted = json.loads(body.schema_)
    except (ValueError, RecursionError):
        raise _error(UNPROCESSABLE, 42201, "the schema is not JSON: send an Avro schema as text") from None
    for each in versions:
        if body.schema_type in (None, "AVRO") and each.avro == wanted:
            return RegistryResponse(_registered(each))
    raise _error(NOT_FOUND, 40403, "the subject has no such schema; ask for its versions")


@routes.get("/subjects/{subject}/versions", **_documented(list[int]))
async def list_versions(subject: SubjectInPath) -> Response:
    return RegistryResponse([each.revision for each in _versions(subject)])


@routes.get("/subjects/{subject}/versions/{version}", **_documented(RegisteredSchema))
async def read_version(subject: SubjectInPath, version: VersionInPath) -> Response:
    return RegistryResponse(_registered(_of_version(subject, version)))


@routes.get("/subjects/{subject}/versions/{version}/schema", **_documented(dict[str, Any]))
async def read_version_alone(subject: SubjectInPath, version: VersionInPath) -> Response:
    """The schema itself, as it was released."""
    return _alone(_of_version(subject, version), lasting=False)


@routes.get("/subjects/{subject}/versions/{version}/referencedby", **_documented(list[int]))
async def list_references(subject: SubjectInPath, version: VersionInPath) -> Response:
    """None: each schema stands alone."""
    _of_version(subject, version)
    return RegistryResponse([])


@routes.get("/config", **_documented(dict[str, str]))
async def read_config() -> Response:
    return RegistryResponse({"compatibilityLevel": LEVEL})


@routes.get("/config/{subject}", **_documented(dict[str, str]))
async def read_config_of(subject: SubjectInPath) -> Response:
    _versions(subject)
    return RegistryResponse({"compatibilityLevel": LEVEL})


@routes.get("/mode", **_documented(dict[str, str]))
async def read_mode() -> Response:
    return RegistryResponse({"mode": "READONLY"})


@routes.get("/mode/{subject}", **_documented(dict[str, str]))
async def read_mode_of(subject: SubjectInPath) -> Response:
    _versions(subject)
    return RegistryResponse({"mode": "READONLY"})


@routes.get("/contexts", **_documented(list[str]))
async def list_contexts() -> Response:
    """Only the default one."""
    return RegistryResponse(["."])


@routes.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def not_here(request: Request) -> Response:
    """Whatever else the protocol has: what reads is not there (`/associations/…`), what writes is not permitted."""
    if request.method == "GET":
        raise _error(NOT_FOUND, 404, "this is not served here; a registry's schemas, subjects, config and mode are")
    raise _error(UNPROCESSABLE, 42205, "this registry is read only: schemas come with a release of Muniment")


def render(problem: Problem, correlation: str | None) -> Response:
    """A problem in the protocol's words."""
    code = problem.members.get("error_code", problem.status_code)
    errors: Any = problem.members.get("errors") or ()
    detail = "; ".join(f"{each['location']}: {each['message']}" for each in errors) or str(problem.detail)
    return RegistryResponse({"error_code": code, "message": detail}, problem.status_code, headers=problem.headers)


def _error(kind: Kind, code: int, message: str) -> Problem:
    return Problem(kind, message, error_code=code)


@cache
def _subject(schema: Schema) -> str:
    return schema.full_name


@cache
def _subjects() -> dict[str, tuple[Schema, ...]]:
    found: dict[str, list[Schema]] = {}
    for each in sorted(registry.published(), key=lambda schema: schema.revision):
        found.setdefault(_subject(each), []).append(each)
    return {subject: tuple(found[subject]) for subject in sorted(found)}


def _versions(subject: str) -> tuple[Schema, ...]:
    if found := _subjects().get(subject):
        return found
    raise _error(NOT_FOUND, 40401, "there is no such subject: it is the full name of a record; /subjects lists them")


def _of_version(subject: str, version: str) -> Schema:
    versions = _versions(subject)
    if version in ("latest", "-1"):
        return versions[-1]
    if not (number := _number(version)):
        raise _error(UNPROCESSABLE, 42202, "a version is a number from 1 to 2147483647, or latest")
    for each in versions:
        if each.revision == number:
            return each
    raise _error(NOT_FOUND, 40402, "the subject has no such version; ask for its versions")


def _of_id(text: str) -> Schema:
    if found := registry.by_id().get(_number(text)):
        return found
    raise _error(NOT_FOUND, 40403, "no schema has this id; a newer release may know it")


def _number(text: str) -> int:
    """0 for what is no number from 1 to 2147483647."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 1 << 31 else 0


def _registered(schema: Schema) -> dict[str, object]:
    return {
        "subject": _subject(schema),
        "version": schema.revision,
        "id": schema.id,
        "schema": schema.text,
    }


def _alone(schema: Schema, *, lasting: bool = True) -> Response:
    return Response(schema.text, media_type=MEDIA_TYPE, headers=_FOREVER if lasting else None)
