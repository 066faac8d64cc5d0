"""Asking: what a form of a page asks, as the question of the API's handler behind it, or what is wrong with it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from api.http.field_errors import field_errors

T = TypeVar("T")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LOCAL: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]{1,6})?)?")
_MOMENTS: Final = ("from", "to", "as_of")


_ADVICE: Final = {
    **dict.fromkeys(("actor", "subject", "credential"), "send an ID as pages show it: usr_ or key_ and its digits"),
    **dict.fromkeys(("from", "to", "as_of"), "send a position (1042), a day (2026-05-03) or a time"),
    "tag": "send a tag as an event shows it, such as user:usr_ and its digits",
    "correlation": "send it as an event shows it",
    "of": "send the ID of a key, user, directory or operator, or an address tag, as events show them",
    "type": "choose one of the list",
    "text": "send 2 to 100 characters",
}


class Wrong(NamedTuple):
    """What is wrong with a field of a form."""

    field: str
    message: str


def advice(field: str, otherwise: str = "this can't be used here") -> str:
    """What to send in a field instead."""
    return _ADVICE.get(field, otherwise)


def moment_text(text: str, *, last: bool = False) -> str:
    """What people type for a moment, as the API reads it: a day is its beginning (or end), no offset means UTC."""
    text = text.strip()
    if _DATE.fullmatch(text):
        if not last:
            return f"{text}T00:00:00Z"
        try:
            day = datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1, microseconds=-1)
        except ValueError:
            return text
        return day.isoformat().replace("+00:00", "Z")
    if match := _LOCAL.fullmatch(text):
        return f"{match[1]}T{match[2]}{match[3] or ':00'}Z"
    return text


def fields_of(request: Request) -> dict[str, str]:
    """What was sent, one value each: for showing the form again, and for the addresses of other pages."""
    return {name: value.strip() for name, value in request.query_params.items() if value.strip()}


def asked(kind: type[T], fields: dict[str, str], request: Request) -> tuple[T | None, list[Wrong]]:
    """A dataclass of query parameters from fields by their public names; fields it does not have are passed over."""
    lists = _lists(kind)
    values: dict[str, Any] = {}
    for name, value in fields.items():
        sent = moment_text(value, last=name == "to") if name in _MOMENTS else value
        values[name] = [sent] if name in lists else sent
    try:
        return TypeAdapter(kind).validate_python(values), []
    except ValidationError as error:
        found, _ = field_errors(RequestValidationError(error.errors()), request.app)
        named = [(each.location.partition("/")[0], each.message) for each in found]
        return None, [Wrong(name, advice(name, message)) for name, message in named]


def _lists(kind: type[Any]) -> frozenset[str]:
    """The parameters that may be sent more than once."""
    return frozenset(name for name, hint in get_type_hints(kind).items() if _has_list(hint))


def _has_list(hint: Any) -> bool:
    return get_origin(hint) is list or any(_has_list(each) for each in get_args(hint))
