"""Stand-ins for services that can't be run here: real HTTP servers that take only what the services document."""

import base64
import gzip
import json
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def unpacked(self) -> bytes:
        return gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body


class Answered(NamedTuple):
    status: int
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})


Serve = Callable[[Asked], Answered]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    serve: Serve

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever breaks the connection off means to."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.serve(Asked(self.command, url.path, parse_qs(url.query), headers, body))
        said = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if answer.status != 204:
            self.wfile.write(said)

    do_GET = do_PUT = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(serve: Serve) -> Iterator[str]:
    """The URL of a server that answers so."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.serve = serve
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Stand(ABC):
    """`answers` are given one after another before anything is looked at; `taken` is what was accepted, in order."""

    def __init__(self) -> None:
        self.answers: deque[Answered] = deque()
        self.asked: list[Asked] = []
        self.taken: list[Any] = []
        self.batches: list[int] = []

    def __call__(self, asked: Asked) -> Answered:
        self.asked.append(asked)
        return self.answers.popleft() if self.answers else self.answer(asked)

    @abstractmethod
    def answer(self, asked: Asked) -> Answered:
        """What the service would say."""

    def take(self, batch: list[Any]) -> None:
        self.batches.append(len(batch))
        self.taken += batch


class SplunkStand(Stand):
    """The HTTP Event Collector's `/services/collector/event`: codes and texts as Splunk documents them."""

    def __init__(self, token: str, indexes: tuple[str, ...] = ("main",)) -> None:
        super().__init__()
        self._token, self._indexes = token, indexes
        self.poison: str | None = None
        """Events of this type are called invalid."""

    def answer(self, asked: Asked) -> Answered:
        if (asked.method, asked.path) != ("POST", "/services/collector/event"):
            return Answered(404, {"text": "The requested URL was not found on this server.", "code": 404})
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if not token:
            return Answered(401, {"text": "Token is required", "code": 2})
        if scheme != "Splunk":
            return Answered(401, {"text": "Invalid authorization", "code": 3})
        if token != self._token:
            return Answered(403, {"text": "Invalid token", "code": 4})
        events = _objects(asked.unpacked.decode())
        if events is None:
            return Answered(400, {"text": "Invalid data format", "code": 6, "invalid-event-number": 0})
        if not events:
            return Answered(400, {"text": "No data", "code": 5})
        known = {"time", "host", "source", "sourcetype", "index", "event", "fields"}
        for number, each in enumerate(events):
            fields = each.get("fields", {})
            flat = all(isinstance(value, str | list) for value in fields.values())
            if set(each) - known or not isinstance(each.get("time"), int | float) or not flat:
                return Answered(400, {"text": "Invalid data format", "code": 6, "invalid-event-number": number})
            if not each.get("event"):
                return Answered(400, {"text": "Event field is required", "code": 12, "invalid-event-number": number})
            if each.get("index", "main") not in self._indexes:
                return Answered(400, {"text": "Incorrect index", "code": 7, "invalid-event-number": number})
            if each["event"]["type"] == self.poison:
                return Answered(400, {"text": "Invalid data format", "code": 6, "invalid-event-number": number})
        self.take(events)
        return Answered(200, {"text": "Success", "code": 0})


def _objects(text: str) -> list[dict[str, Any]] | None:
    """JSON objects one after another, as the collector reads them."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        try:
            each, at = decoder.raw_decode(text, at)
        except ValueError:
            return None
        if not isinstance(each, dict):
            return None
        found.append(each)
    return found


class DatadogStand(Stand):
    """`POST /api/v2/logs`: 202, 401 without a key, 403 with another, 413 beyond 5 MB, at most 1,000 entries."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def answer(self, asked: Asked) -> Answered:
        if (asked.method, asked.path) != ("POST", "/api/v2/logs"):
            return Answered(404, {"errors": ["Not found"]})
        if "dd-api-key" not in asked.headers:
            return Answered(401, {"errors": [{"status": "401", "title": "Unauthorized"}]})
        if asked.headers["dd-api-key"] != self._key:
            return Answered(403, {"errors": [{"status": "403", "title": "Forbidden"}]})
        body = asked.unpacked
        if len(body) > 5_000_000:
            return Answered(413, {"errors": [{"status": "413", "title": "Payload Too Large"}]})
        entries = json.loads(body)
        texts = ("ddsource", "ddtags", "service", "message")
        good = isinstance(entries, list) and 0 < len(entries) <= 1000
        if not good or not all(isinstance(each.get(name), str) for each in entries for name in texts):
            return Answered(400, {"errors": [{"status": "400", "title": "Bad Request"}]})
        self.take(entries)
        return Answered(202, {})


class AzureStand(Stand):
    """Entra's token endpoint, and Logs Ingestion of one rule and stream: 204, 401, 403, 404, 413 beyond 1 MB, 429."""

    RULE, STREAM, DIRECTORY = "dcr-" + "0a" * 16, "Custom-Muniment_CL", "planet.example"
    COLUMNS = frozenset(
        {"TimeGenerated", "EventId", "Tenant", "Position", "Type", "ActorKind", "ActorId", "Correlation", "Event"}
    )

    def __init__(self, client: str, secret: str) -> None:
        super().__init__()
        self._client, self._secret = client, secret
        self.tokens: list[str] = []
        self.revoked: set[str] = set()

    def answer(self, asked: Asked) -> Answered:
        if asked.path == f"/{self.DIRECTORY}/oauth2/v2.0/token":
            return self._token(asked)
        if asked.path != f"/dataCollectionRules/{self.RULE}/streams/{self.STREAM}":
            return Answered(404, {"error": {"code": "NotFound", "message": "Data collection rule not found."}})
        if asked.query.get("api-version") != ["2023-01-01"]:
            return Answered(400, {"error": {"code": "InvalidApiVersion", "message": "The api-version is not valid."}})
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens or token in self.revoked:
            return Answered(401, {"error": {"code": "InvalidToken", "message": "The token is not valid."}})
        body = asked.unpacked
        if len(body) > 1_048_576:
            return Answered(413, {"error": {"code": "ContentLengthLimitExceeded", "message": "At most 1 MB."}})
        rows = json.loads(body)
        if not isinstance(rows, list) or any(set(each) != self.COLUMNS for each in rows):
            return Answered(400, {"error": {"code": "InvalidStream", "message": "The rows are not as declared."}})
        self.take(rows)
        return Answered(204)

    def _token(self, asked: Asked) -> Answered:
        form = parse_qs(asked.body.decode())
        wanted = {
            "grant_type": ["client_credentials"],
            "client_id": [self._client],
            "client_secret": [self._secret],
            "scope": ["https://monitor.azure.com/.default"],
        }
        if asked.headers.get("content-type") != "application/x-www-form-urlencoded" or form != wanted:
            return Answered(401, {"error": "invalid_client", "error_description": "AADSTS7000215"})
        self.tokens.append(f"token-{len(self.tokens)}")
        return Answered(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": self.tokens[-1]})


class GoogleTokens(Stand):
    """`oauth2.googleapis.com/token` for service accounts: it verifies the claim's signature and what it claims."""

    def __init__(self, account: str, public: rsa.RSAPublicKey) -> None:
        super().__init__()
        self._account, self._public = account, public
        self.url = ""

    def answer(self, asked: Asked) -> Answered:
        form = parse_qs(asked.body.decode())
        if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            return Answered(400, {"error": "unsupported_grant_type"})
        header, claims, signature = form["assertion"][0].split(".")
        self._public.verify(_bytes(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        said = json.loads(_bytes(claims))
        if json.loads(_bytes(header))["alg"] != "RS256" or (said["iss"], said["aud"]) != (self._account, self.url):
            return Answered(400, {"error": "invalid_grant", "error_description": "Invalid JWT"})
        if said["exp"] - said["iat"] > 3600 or "devstorage" not in said["scope"]:
            return Answered(400, {"error": "invalid_grant", "error_description": "Invalid JWT"})
        self.take([said])
        return Answered(200, {"access_token": "ya29.stand-in", "expires_in": 3599, "token_type": "Bearer"})


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
