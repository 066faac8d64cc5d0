"""A JSON body: I-JSON (RFC 7493), and narrower; what can't be kept faithfully is refused before it is validated.

Refused: other media types, bodies over the limit (also while they stream), invalid UTF-8, lone surrogates, NUL, NaN and
infinities, a name twice in one object, nesting beyond 32 levels, integers beyond 64 bits.
"""

import json
import re
from collections.abc import Callable, Coroutine, Iterator
from math import isfinite
from typing import Any, Final, NoReturn, TypeVar

from fastapi import APIRouter, params
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from api.http.problems import Problem, malformed_json, payload_too_large, unsupported_media_type

MOST_BYTES: Final = 1024 * 1024
MOST_LEVELS: Final = 32
BIGGEST: Final = 2**63 - 1

_JSON_TYPE: Final = re.compile(r"application/(?:json|[a-z0-9!#$&^_.+-]+\+json)")
_UTF_8: Final = re.compile(r'charset="?(?:utf-?8|us-ascii)"?')

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class JsonRoute(APIRoute):
    """A route whose body is parsed here and not by FastAPI."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        most: int = getattr(self.endpoint, "most_bytes", MOST_BYTES)
        takes_json = self.body_field is not None and not isinstance(self.body_field.field_info, params.Form)

        async def handle_strictly(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive, most=most, takes_json=takes_json))

        return handle_strictly


class JsonRouter(APIRouter):
    """A router whose routes are `JsonRoute`s."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"route_class": JsonRoute, "redirect_slashes": False, **settings})


def at_most(size: int) -> Callable[[Endpoint], Endpoint]:
    """Let an endpoint's body have up to `size` bytes; it stands below the route's own decorator."""

    def limit(endpoint: Endpoint) -> Endpoint:
        endpoint.most_bytes = size  # type: ignore[attr-defined]
        return endpoint

    return limit


class JsonRequest(Request):
    """A request that reads no more than `most` bytes, and JSON as this module says."""

    def __init__(self, scope: Scope, receive: Receive, *, most: int = MOST_BYTES, takes_json: bool = False) -> None:
        super().__init__(scope, _Intake(scope, receive, most, takes_json))

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self.body()
            _require_json(self.scope)
            self._json = parse(body)
        return self._json


class _Intake:
    """Receives a body piece by piece, and refuses it as soon as it can be known not to be acceptable."""

    __slots__ = ("_most", "_receive", "_scope", "_size", "_takes_json")

    def __init__(self, scope: Scope, receive: Receive, most: int, takes_json: bool) -> None:
        self._scope = scope
        self._receive = receive
        self._most = most
        self._takes_json = takes_json
        self._size = -1

    async def __call__(self) -> Message:
        if self._size < 0:
            self._size = 0
            self._require_small()
        message = await self._receive()
        if piece := message.get("body"):
            if self._size == 0 and self._takes_json:
                _require_json(self._scope)
            self._size += len(piece)
            if self._size > self._most:
                raise payload_too_large(self._most)
        return message

    def _require_small(self) -> None:
        declared = _header(self._scope, b"content-length")
        if declared.isdigit() and (len(declared) > 18 or int(declared) > self._most):
            raise payload_too_large(self._most)


def _require_json(scope: Scope) -> None:
    if not is_json(_header(scope, b"content-type").decode("latin-1")):
        raise unsupported_media_type()
    if _header(scope, b"content-encoding").lower() not in (b"", b"identity"):
        raise unsupported_media_type("send the body without a content encoding")


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            found: bytes = value
            return found
    return b""


def is_json(content_type: str) -> bool:
    """Whether a Content-Type says JSON in UTF-8: application/json, or any application/…+json."""
    if content_type == "application/json":
        return True
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [parameter for parameter in parameters if parameter.startswith("charset")]
    return bool(_JSON_TYPE.fullmatch(media_type)) and all(map(_UTF_8.fullmatch, charsets))


def parse(body: bytes) -> Any:
    """The value that `body` says, or a Problem that says where it doesn't."""
    try:
        parsed = _DECODER.decode(body.decode("utf-8"))
    except Problem:
        raise
    except UnicodeDecodeError as error:
        raise malformed_json(f"the body is not valid UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise malformed_json(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep() from None
    # Each check below is only made if the bytes could fail it: brackets are at least as many as levels, and what UTF-8
    # and JSON don't allow bare can only be there as an escape.
    if body.count(b"[") + body.count(b"{") > MOST_LEVELS:
        _require_shallow(parsed)
    if b"\\u0000" in body or b"\\ud" in body or b"\\uD" in body:
        _require_text(parsed)
    return parsed


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise malformed_json("an object has the same member twice; send each once")
    return made


def _integer(digits: str) -> int:
    if len(digits) < 19:
        return int(digits)
    if len(digits) <= 20 and -BIGGEST - 1 <= (number := int(digits)) <= BIGGEST:
        return number
    raise malformed_json("an integer doesn't fit in 64 bits; send it as a string")


def _float(digits: str) -> float:
    number = float(digits)
    if isfinite(number):
        return number
    raise malformed_json("a number is too large for a double")


def _constant(_: str) -> NoReturn:
    raise malformed_json("NaN and Infinity are not JSON; send null or leave it out")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _require_shallow(value: object) -> None:
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [each for part in level for each in _parts(part) if isinstance(each, dict | list)]
        if not level:
            return
    raise _too_deep()


def _parts(value: object) -> Iterator[Any]:
    if isinstance(value, dict):
        return iter(value.values())
    return iter(value) if isinstance(value, list) else iter(())


def _too_deep() -> Problem:
    return malformed_json(f"the body is nested deeper than {MOST_LEVELS} levels")


def _require_text(value: object) -> None:
    """No string anywhere holds NUL or half a surrogate pair; the value is known to be shallow."""
    if isinstance(value, str):
        if "\0" in value:
            raise malformed_json("a string holds the character NUL; leave it out")
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise malformed_json("a string holds half of a surrogate pair; send the whole character")
    elif isinstance(value, dict):
        for name, each in value.items():
            _require_text(name)
            _require_text(each)
    elif isinstance(value, list):
        for each in value:
            _require_text(each)
