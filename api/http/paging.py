"""Pages: a cursor that only we can have made, and the answer that carries it.

A cursor is signed and not encrypted, and it travels in addresses: nothing personal goes into one.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Any, Final, Generic, TypeVar

import msgspec
from pydantic import BaseModel, Field

from api.http.problems import Problem, bad_request

MOST_CHARACTERS: Final = 1024
_SIGNATURE_BYTES: Final = 16

Item = TypeVar("Item")
Place = TypeVar("Place")


class Page(BaseModel, Generic[Item]):
    """Some of the items, and where the rest begin."""

    items: list[Item]
    next: str | None = Field(None, description="Send it as `cursor` for the next page; null on the last page.")
    position: int = Field(description="The tenant's position that this answer is of.")
    as_of: str | None = Field(None, description="The time this answer is of (RFC 3339); null means now.")


class Cursors:
    """Makes and reads cursors with a key that every node of a deployment shares.

    `of` says what is listed for whom ("users of tnt_1"): a cursor of one listing is refused by every other.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("a cursor key needs at least 32 bytes")
        self._key = key

    def encode(self, place: msgspec.Struct | dict[str, Any], *, of: str) -> str:
        body = msgspec.msgpack.encode(place)
        return urlsafe_b64encode(self._signature(body, of) + body).rstrip(b"=").decode()

    def decode(self, cursor: str, kind: type[Place], *, of: str) -> Place:
        """The place that `encode` was given, or a Problem."""
        signed = _unquoted(cursor)
        signature, body = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(body, of)):
            raise _not_ours()
        try:
            return msgspec.msgpack.decode(body, type=kind)
        except msgspec.MsgspecError:  # signed by an earlier release, whose places had another shape
            raise _not_ours() from None

    def _signature(self, body: bytes, of: str) -> bytes:
        listing = of.encode()
        message = len(listing).to_bytes(4, "big") + listing + body
        return hmac.digest(self._key, message, "sha256")[:_SIGNATURE_BYTES]


def _unquoted(cursor: str) -> bytes:
    if len(cursor) > MOST_CHARACTERS:
        raise _not_ours()
    try:
        signed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (UnicodeEncodeError, Error):
        raise _not_ours() from None
    # The decoder passes over foreign characters and spare bits; a cursor has one spelling.
    if urlsafe_b64encode(signed).rstrip(b"=").decode() != cursor:
        raise _not_ours()
    return signed


def _not_ours() -> Problem:
    return bad_request("use the cursor exactly as it was returned, for the same listing")
