"""Sessions of the console: a key that was pasted once, sealed in a cookie that every node of a deployment can open.

Nothing is kept on a node. The cookie holds the key itself, encrypted; what the key may do is asked again at each
request, so a key that is revoked opens no page any more, whatever its cookie says.
"""

import hashlib
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.requests import cookie_parser

PREFIX: Final = "/console"
SESSION: Final = "muniment_session"
FORM: Final = "muniment_form"
"""Before anybody has signed in: what the form's token belongs to."""
LASTS: Final = 8 * 3600
"""Seconds until a session is over, however much it is used."""
MOST_CHARACTERS: Final = 1024
_BOUND_TO: Final = b"muniment console session 1"


class _Session(msgspec.Struct, array_like=True):
    secret: str
    ends_at: int
    """Microseconds since 1970."""


class Sessions:
    """Seals and opens with keys that follow from a key all nodes of a deployment share."""

    def __init__(self, key: bytes, clock: Callable[[], int]) -> None:
        self._cipher = AESGCM(hashlib.sha256(b"session|" + key).digest())
        self._forms = hashlib.sha256(b"forms|" + key).digest()
        self._clock = clock

    def seal(self, secret: str) -> str:
        """The cookie of a session that begins now."""
        nonce = os.urandom(12)
        session = _Session(secret, self._clock() + LASTS * 1_000_000)
        sealed = nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(session), _BOUND_TO)
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, cookie: str) -> str | None:
        """The secret; None if we did not make the cookie, or its time is over."""
        if not cookie or len(cookie) > MOST_CHARACTERS:
            return None
        try:
            sealed = urlsafe_b64decode(cookie.encode("ascii") + b"=" * (-len(cookie) % 4))
            opened = self._cipher.decrypt(sealed[:12], sealed[12:], _BOUND_TO)
            session = msgspec.msgpack.decode(opened, type=_Session)
        except (ValueError, InvalidTag, msgspec.MsgspecError):
            return None
        return session.secret if session.ends_at > self._clock() else None

    def form_token(self, cookie: str) -> str:
        """What a form must send back with a cookie: nobody who can't read the page knows it."""
        return hmac.new(self._forms, cookie.encode(), "sha256").hexdigest()

    def sent_by_our_form(self, cookie: str, token: str) -> bool:
        return bool(cookie) and hmac.compare_digest(self.form_token(cookie).encode(), token.encode())


def is_page(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def presented(sessions: Sessions, scope: Any) -> str:
    """The secret that a request presents, or nothing: by its session on pages, in its Authorization header elsewhere.

    Neither is taken for the other: a cookie opens nothing of the API, so no other site can make a browser use it there.
    """
    if is_page(scope["path"]):
        return sessions.open(cookie_of(scope, SESSION)) or ""
    scheme, _, text = header_of(scope, b"authorization").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def cookie_of(scope: Any, name: str) -> str:
    """A cookie of the request; empty if it is not there."""
    return cookie_parser(header_of(scope, b"cookie")).get(name, "")


def header_of(scope: Any, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            text: str = value.decode("latin-1")
            return text
    return ""
