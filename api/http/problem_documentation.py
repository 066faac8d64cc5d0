"""What the OpenAPI document says of refusals: what any request can be refused for, besides what its route names."""

from collections.abc import Iterator
from typing import Any, Final

from api.http import problems
from api.http.json_body import BIGGEST

_ALWAYS: Final = (problems.BAD_REQUEST, problems.URI_TOO_LONG, problems.HEADERS_TOO_LARGE)
_WITH_A_BODY: Final = (problems.PAYLOAD_TOO_LARGE, problems.UNSUPPORTED_MEDIA_TYPE)
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_IN_A_PATH: Final = r"^[^/\x00-\x1f\x7f]+$"
# FastAPI's own description of a validation error, which nothing here answers with.
_FRAMEWORKS: Final = ("HTTPValidationError", "ValidationError")


def document_problems(document: dict[str, Any]) -> None:
    """Complete `document` in place; doing it again changes nothing."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    if "Problem" in schemas:
        return
    for operation in _operations(document):
        _complete(operation)
    for name in _FRAMEWORKS:
        schemas.pop(name, None)
    _bound_integers(schemas)
    schema = problems.ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schema.pop("$defs", {}) | {"Problem": schema}


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document.get("paths", {}).values():
        for method in _METHODS:
            if method in path:
                yield path[method]


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    can_meet = [*_ALWAYS, *(_WITH_A_BODY if "requestBody" in operation else ())]
    if _is_frameworks(responses.get("422", {})):
        del responses["422"]
        can_meet.append(problems.UNPROCESSABLE)
    for kind in can_meet:
        responses.setdefault(str(kind.status), problems.documentation(kind))
    for parameter in operation.get("parameters", ()):
        _tell_what_an_address_can_hold(parameter["schema"], parameter["in"])


def _tell_what_an_address_can_hold(schema: dict[str, Any], place: str) -> None:
    """No null, which would be sent as a word, and no control characters in a path."""
    if forms := [form for form in schema.pop("anyOf", ()) if form != {"type": "null"}]:
        schema |= forms[0] | schema if len(forms) == 1 else {"anyOf": forms}
    if place == "path" and schema.get("type") == "string":
        schema.setdefault("pattern", _IN_A_PATH)


def _bound_integers(part: object) -> None:
    """What JSON bodies are held to: 64 bits."""
    if isinstance(part, list):
        for each in part:
            _bound_integers(each)
    elif isinstance(part, dict):
        if part.get("type") == "integer":
            if "minimum" not in part and "exclusiveMinimum" not in part:
                part["minimum"] = -BIGGEST - 1
            if "maximum" not in part and "exclusiveMaximum" not in part:
                part["maximum"] = BIGGEST
        for each in part.values():
            _bound_integers(each)


def _is_frameworks(response: dict[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return bool(schema.get("$ref", "").endswith("/HTTPValidationError"))
