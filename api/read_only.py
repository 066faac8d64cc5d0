"""A node that only answers: what would change anything is refused at the door, with a problem that says why."""

import re
from typing import TYPE_CHECKING, Any, Final

from api.http import problems
from api.http.problems import METHOD_NOT_ALLOWED, Problem
from domain.command import NotPermitted

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from api.as_of_node import AsOfNode

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_QUESTIONS: Final = re.compile(
    r"/v1/tenants/[^/]+/(what-if|incident|incident\.html)|/console/sign-(in|out)"  # they are sent, and change nothing
)


class ReadOnly:
    """Middleware. Each request also sees to it that keys which were destroyed meanwhile open nothing here."""

    def __init__(self, app: "ASGIApp", node: "AsOfNode") -> None:
        self._app = app
        self._node = node

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._node.forget_destroyed()
        if scope["method"] not in _READING and not _QUESTIONS.fullmatch(scope["path"]):
            problem = Problem(METHOD_NOT_ALLOWED, self._node.refusal, headers={"Allow": "GET, HEAD"})
            await problems.answer(scope, problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class NoLedger:
    """In the place of a ledger: takes nothing, and records no refusal."""

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal

    async def execute(self, *_: Any, **__: Any) -> Any:
        raise problems.conflict(self._refusal)

    async def refuse(self, name: str, by: Any, reason: str, **_: Any) -> None:
        raise NotPermitted(reason)

    async def summarise(self) -> None:
        """There is nothing to sum up."""


class NoAccesses:
    """In the place of what records reads: this node can't, and its operator alone reads here."""

    async def note(self, *_: Any, **__: Any) -> None:
        """Nothing is recorded."""
