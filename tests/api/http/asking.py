"""Asking an application in memory: with httpx where that will do, or with raw bytes that no good client would send."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx
from starlette.types import ASGIApp, Message, Scope


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://muniment.test")


def scope_of(method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> Scope:
    path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"muniment.test"), *headers],
        "client": ("192.0.2.7", 50000),
        "server": ("muniment.test", 80),
        "state": {},
    }


async def ask(
    app: ASGIApp,
    method: str,
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (),
    pieces: Sequence[bytes] = (b"",),
) -> Answer:
    """Send `pieces` as a body without a Content-Length, as a chunked request comes in."""
    waiting = [*pieces]
    sent: list[Message] = []

    async def receive() -> Message:
        if not waiting:
            return {"type": "http.disconnect"}
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope_of(method, target, headers), receive, send)
    start, *rest = sent
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], told, b"".join(message.get("body", b"") for message in rest))


async def post_json(app: ASGIApp, target: bytes, body: bytes, content_type: bytes = b"application/json") -> Answer:
    return await ask(app, "POST", target, [(b"content-type", content_type)], [body])
