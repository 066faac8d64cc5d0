"""Google Cloud Storage: objects by its JSON API, made only if there is none (`ifGenerationMatch=0`).

A service account's key signs a claim (RFC 7523) that is given for a token.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from adapters.sinks.documents import encode
from adapters.sinks.objects import LAST, ObjectTarget, last_from
from adapters.sinks.tokens import Tokens
from adapters.webhooks.courier import Answer, Courier

STORAGE: Final = "https://storage.googleapis.com"
TOKENS: Final = "https://oauth2.googleapis.com/token"
SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_write"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS: Final = 3600
_BOUNDARY: Final = "muniment-object-7f1c0a52"


class Settings(msgspec.Struct, frozen=True):
    bucket: str
    account: str
    """The service account's e-mail address."""
    prefix: str = ""
    endpoint: str = STORAGE
    token_url: str = TOKENS
    gzip: bool = True
    seconds: int = 60
    most_events: int = 1000


class Secrets(msgspec.Struct, frozen=True):
    private_key: str
    """PEM, as `private_key` stands in the account's key file."""


def private_key_of(pem: str) -> rsa.RSAPrivateKey:
    """Raises ValueError for what is no RSA key."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except Exception as problem:
        raise ValueError("this is no private key in PEM") from problem
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("this is no RSA key")
    return key


class Gcs(ObjectTarget):
    """See adapters.sinks.target.Target."""

    def __init__(
        self, courier: Courier, sink: str, turn: int, settings: Settings, secrets: Secrets, clock: Callable[[], int]
    ) -> None:
        super().__init__(courier, sink, turn, settings)
        self._settings = settings
        self._key = private_key_of(secrets.private_key)
        self._tokens = Tokens(self._lines, settings.token_url, self._claim, clock)

    def _claim(self, now: int) -> dict[str, str]:
        seconds = now // 1_000_000
        header = {"alg": "RS256", "typ": "JWT"}
        claims = {
            "iss": self._settings.account,
            "scope": SCOPE,
            "aud": self._settings.token_url,
            "iat": seconds,
            "exp": seconds + LASTS,
        }
        said = b".".join(_base64(encode(each)) for each in (header, claims))
        signature = self._key.sign(said, padding.PKCS1v15(), hashes.SHA256())
        return {"grant_type": GRANT, "assertion": (said + b"." + _base64(signature)).decode()}

    async def _put(self, name: str, body: bytes, last: int) -> Answer:
        about = {"name": name, "contentType": "application/x-ndjson", "metadata": {LAST: str(last)}}
        if self._is_compressed:
            about["contentEncoding"] = "gzip"
        parts = (
            f"--{_BOUNDARY}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode() + encode(about),
            f"\r\n--{_BOUNDARY}\r\nContent-Type: application/x-ndjson\r\n\r\n".encode() + body,
            f"\r\n--{_BOUNDARY}--\r\n".encode(),
        )
        url = f"{self._base('upload/')}?uploadType=multipart&ifGenerationMatch=0"
        return await self._ask(
            "POST", url, {"Content-Type": f"multipart/related; boundary={_BOUNDARY}"}, b"".join(parts)
        )

    async def _last(self, name: str) -> int | Answer:
        answer = await self._ask("GET", f"{self._base()}/{quote(name, safe='')}", {}, b"")
        try:
            said = json.loads(answer.body)["metadata"][LAST] if answer.delivered else None
        except (ValueError, KeyError, TypeError, RecursionError):
            said = None
        return last_from(answer, said if isinstance(said, str) else None)

    def _base(self, before: str = "") -> str:
        return f"{self._settings.endpoint.rstrip('/')}/{before}storage/v1/b/{quote(self._settings.bucket, safe='')}/o"

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
        token = await self._tokens.get()
        if isinstance(token, Answer):
            return token
        headers = {**headers, "Authorization": f"Bearer {token}"}
        answer = await self._lines.send(url, headers, body, method=method, keep=True)
        if answer.status == 401:
            self._tokens.drop()
        return answer


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
