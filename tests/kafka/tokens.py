"""An OAuth server that knows one grant: client credentials (RFC 6749 §4.4) for a signed JWT (RFC 9068)."""

import base64
import hmac
import json
import threading
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_MOST = 65_536
"""Bytes of a request's body that are read."""


class TokenEndpoint:
    """Gives tokens at `url`; the public key is at `keys_url`, a file that a broker can read.

    `issued` counts them; `seconds` is how long the next ones are good for.
    """

    issuer = "https://issuer.test"
    audience = "kafka"

    def __init__(self, folder: Path, secrets: Mapping[str, str]) -> None:
        self.seconds = 300
        self.issued = 0
        self._secrets = dict(secrets)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        keys = folder / "jwks.json"
        keys.write_text(json.dumps({"keys": [self._public_key()]}))
        self.keys_url = keys.absolute().as_uri()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, name="tokens", daemon=True)
        self._thread.start()

    def token(self, subject: str, scope: str = "kafka") -> str:
        self.issued += 1
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.audience, "sub": subject, "scope": scope, "jti": uuid.uuid4().hex}
        head = {"alg": "RS256", "kid": "test", "typ": "at+jwt"}
        signed = f"{_part(head)}.{_part(claims | {'iat': now, 'exp': now + self.seconds})}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"

    def answer(self, authorization: str | None, form: Mapping[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """The status and the body."""
        client, secret = _credentials(authorization, form)
        if form.get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        if not hmac.compare_digest(self._secrets.get(client, "").encode(), secret.encode()) or not secret:
            return 401, {"error": "invalid_client"}
        token = self.token(client, form.get("scope", ["kafka"])[0])
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.seconds}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _public_key(self) -> dict[str, str]:
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": "test",
            "n": _base64(numbers.n.to_bytes(256)),
            "e": _base64(numbers.e.to_bytes(3)),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), _MOST))
                status, answer = endpoint.answer(self.headers.get("Authorization"), parse_qs(body.decode()))
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing: it isn't what is tested."""

        return Handler


def _credentials(authorization: str | None, form: Mapping[str, list[str]]) -> tuple[str, str]:
    """From the header (RFC 6749 §2.3.1: both form-encoded), or from the body."""
    if authorization and authorization.startswith("Basic "):
        client, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
        return unquote(client), unquote(secret)
    return form.get("client_id", [""])[0], form.get("client_secret", [""])[0]


def _part(claims: Mapping[str, Any]) -> str:
    return _base64(json.dumps(claims, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
