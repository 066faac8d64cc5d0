"""Field errors: where a request is not acceptable and why, without a word of what the caller sent."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

MOST_LISTED: Final = 50

_PLACES: Final = frozenset({"body", "query", "path", "header", "cookie"})

# Pydantic writes the messages of these from the schema alone. All others may quote the input, so theirs are replaced.
_WRITTEN_FROM_THE_SCHEMA: Final = frozenset(
    """missing none_required literal_error enum is_instance_of
    string_type string_too_short string_too_long string_pattern_mismatch string_unicode
    int_type int_parsing int_parsing_size int_from_float float_type float_parsing bool_type bool_parsing
    finite_number greater_than greater_than_equal less_than less_than_equal multiple_of
    dict_type list_type set_type tuple_type model_type model_attributes_type too_short too_long
    bytes_type bytes_too_short bytes_too_long
    date_type date_parsing datetime_type datetime_parsing time_type time_parsing
    timezone_naive timezone_aware url_type uuid_type uuid_version union_tag_not_found""".split()  # noqa: SIM905
)
_OUR_WORDS: Final = {
    "extra_forbidden": "a member that is not known here; leave it out",
    "union_tag_invalid": "it is none of the kinds that are known here",
    "uuid_parsing": "it must be a UUID",
    "url_parsing": "it must be a URL",
}


class FieldError(BaseModel):
    location: str
    message: str


class Unacceptable(ValueError):
    """A validator's refusal whose words are shown to the caller: they may not quote the value."""


def field_errors(error: RequestValidationError, app: FastAPI) -> tuple[list[FieldError], int]:
    """The first errors, as `body/members/0/user` and a message; and how many more there are."""
    found = error.errors()
    known = _public_names(app)
    listed = [
        FieldError(location=_location(each["loc"], known), message=_message(each)) for each in found[:MOST_LISTED]
    ]
    return listed, len(found) - len(listed)


def _location(parts: tuple[str | int, ...], known: frozenset[str]) -> str:
    """The path to the error; a name that the API doesn't publish is the caller's and becomes `*`."""
    return "/".join(str(part) if isinstance(part, int) or part in known else "*" for part in parts)


def _message(error: dict[str, Any]) -> str:
    kind: str = error["type"]
    if kind in _WRITTEN_FROM_THE_SCHEMA:
        return str(error["msg"])
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Unacceptable):
        return str(cause)
    return _OUR_WORDS.get(kind, "this value is not acceptable here")


def _public_names(app: FastAPI) -> frozenset[str]:
    """Every name that the app's OpenAPI document gives to a parameter or a member."""
    document = app.openapi()
    cached: tuple[int, frozenset[str]] | None = getattr(app.state, "public_names", None)
    if cached is None or cached[0] != id(document):
        names = frozenset(_names_in(document))
        cached = (id(document), names | {name.lower() for name in names} | _PLACES)
        app.state.public_names = cached
    return cached[1]


def _names_in(part: object) -> Iterator[str]:
    if isinstance(part, list):
        for each in part:
            yield from _names_in(each)
    elif isinstance(part, dict):
        if isinstance(properties := part.get("properties"), dict):
            yield from properties
        if "in" in part and isinstance(name := part.get("name"), str):
            yield name
        for each in part.values():
            yield from _names_in(each)
