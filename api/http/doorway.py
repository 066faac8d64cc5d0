"""The doorway: the one middleware, through which every request comes in and every answer leaves."""

from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.access_log import AccessLog
from api.http.headers import correlation_of
from api.http.problems import Problem, answer, internal_error, log_unexpected
from api.http.raw_request import require_plain
from api.http.structured_log import CORRELATION

CLIENT_LEFT: Final = 499
"""Recorded, never sent: there was no one to answer any more."""


class Doorway:
    """Names the request, refuses what can't be decoded, answers what nothing else did, and records how it ended.

    It is the outermost middleware and lets no exception out, because a server would log its message, and with it the
    values it speaks of. It is plain ASGI: answers stream through it.
    """

    def __init__(self, app: ASGIApp, accesses: AccessLog) -> None:
        self._app = app
        self._accesses = accesses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        correlation = correlation_of(scope["headers"])
        scope.setdefault("state", {})["correlation"] = correlation
        token = CORRELATION.set(correlation)
        leaving = _Leaving(send, correlation)
        try:
            await self._answer(scope, receive, leaving)
        finally:
            self._accesses.record(scope, leaving.status or CLIENT_LEFT, began)
            CORRELATION.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, leaving: "_Leaving") -> None:
        try:
            require_plain(scope)
            await self._app(scope, receive, leaving)
        except Problem as problem:
            await answer(scope, problem)(scope, receive, leaving)
        except Exception as error:
            log_unexpected(error)
            if not leaving.status:
                await answer(scope, internal_error())(scope, receive, leaving)
            # Else the answer stays unfinished, which makes the server drop the connection: the client can see it.


class _Leaving:
    """Sends the answer with the headers that each has, and remembers its status (0: not begun)."""

    __slots__ = ("_correlation", "_send", "status")

    def __init__(self, send: Send, correlation: str) -> None:
        self._send = send
        self._correlation = correlation
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            headers.append((b"x-request-id", self._correlation.encode()))
            headers.append((b"x-content-type-options", b"nosniff"))
            if all(name != b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message["headers"] = headers
        await self._send(message)
