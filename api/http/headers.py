"""Headers of our own: Idempotency-Key, Muniment-Position and X-Request-ID."""

import re
import secrets
import time
from collections.abc import Iterable
from typing import Annotated, Final, NamedTuple

from fastapi import Depends, Header, Request

from api.http.problems import Problem, bad_request
from domain.ids import id_from

BIGGEST_POSITION: Final = 2**63 - 1
MOST_KEY_CHARACTERS: Final = 255

_BARE_KEY: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_QUOTED_KEY: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')  # a string of RFC 9651 §3.3.3
_POSITION: Final = re.compile(r"([a-z0-9_]{1,64}):([1-9][0-9]{0,18})")
_CORRELATION: Final = re.compile(rb"[A-Za-z0-9_-]{8,64}")


class PositionToken(NamedTuple):
    """How far a caller knows a tenant's history to go: a read that is given one answers nothing older."""

    tenant: str
    position: int

    def __str__(self) -> str:
        return f"{self.tenant}:{self.position}"


def parse_idempotency_key(header: str) -> str:
    """The key, bare or as a quoted string; both spellings are the same key."""
    header = header.strip(" \t")
    key: str | None = None
    if quoted := _QUOTED_KEY.fullmatch(header):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not header.startswith('"') and _BARE_KEY.fullmatch(header):
        key = header
    if key is None or len(key) > MOST_KEY_CHARACTERS:
        raise bad_request(f"send Idempotency-Key as 1 to {MOST_KEY_CHARACTERS} printable ASCII characters")
    return key


def parse_position(header: str) -> PositionToken:
    match = _POSITION.fullmatch(header.strip(" \t"))
    if match is None or (position := int(match[2])) > BIGGEST_POSITION:
        raise _bad_position()
    return PositionToken(match[1], position)


def correlation_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's X-Request-ID if it is 8 to 64 letters, digits, `-` and `_`, else a fresh one.

    It is written to events and logs, so nothing that could be an address or a sentence is taken over.
    """
    for name, value in headers:
        if name == b"x-request-id":
            return value.decode() if _CORRELATION.fullmatch(value) else _new_correlation()
    return _new_correlation()


def _new_correlation() -> str:
    return id_from("cor", time.time_ns() // 1000, secrets.token_bytes(10))


async def _idempotency_key(
    header: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="The same key and body within 24 h act once, and are answered alike.",
            json_schema_extra={"minLength": 1, "maxLength": MOST_KEY_CHARACTERS, "pattern": "^[!#-~]([ -~]*[!-~])?$"},
        ),
    ] = None,
) -> str | None:
    return None if header is None else parse_idempotency_key(header)


async def _position(
    header: Annotated[
        str | None,
        Header(
            alias="Muniment-Position",
            description="`tenant:position` of an earlier answer: this one will be no older.",
            json_schema_extra={"pattern": "^[a-z0-9_]{1,64}:[1-9][0-9]{0,17}$", "examples": ["tnt_1:10423"]},
        ),
    ] = None,
) -> PositionToken | None:
    return None if header is None else parse_position(header)


async def _correlation(request: Request) -> str:
    correlation: str = request.state.correlation
    return correlation


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
KnownPosition = Annotated[PositionToken | None, Depends(_position)]
Correlation = Annotated[str, Depends(_correlation)]


def _bad_position() -> Problem:
    return bad_request("send Muniment-Position as `tenant:position`, exactly as it was returned")
