"""What the ledger and the views refuse, as problems that tell the caller what to do."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from api.http import problems
from api.http.problems import Problem
from domain.command import Missing, NotPermitted, Refused, Taken
from domain.ledger import AuthorityChanged, KeyReused, NotReady, QueueFull, TooLarge, VersionChanged
from domain.view import ViewBehind, ViewUnavailable

_PROBLEMS: Final[dict[type[Exception], Callable[[Any], Problem]]] = {
    Missing: lambda refused: problems.not_found(refused.reason),
    Taken: lambda refused: problems.conflict(refused.reason),
    NotPermitted: lambda refused: problems.forbidden(refused.reason),
    Refused: lambda refused: problems.conflict(refused.reason),
    AuthorityChanged: lambda _: problems.unavailable("what allows this caller is changing; send it again", 1),
    VersionChanged: lambda _: problems.precondition_failed(),
    KeyReused: lambda _: problems.unprocessable(
        "this Idempotency-Key came with another request before: use a new key for a new request"
    ),
    TooLarge: lambda problem: problems.unprocessable(str(problem)),
    QueueFull: lambda _: problems.too_many_requests(1, "too many commands wait; send it again in a moment"),
    NotReady: lambda problem: problems.unavailable(str(problem), 5),
    ViewBehind: lambda _: problems.unavailable("the views have not caught up yet; ask again", ViewBehind.retry_after),
    ViewUnavailable: lambda _: problems.unavailable(
        "stored views can't be read just now; writes and checks go on", ViewUnavailable.retry_after
    ),
}


def problem_of(refusal: Exception) -> Problem:
    """The problem that says a refusal; raises KeyError for what is none."""
    for kind in type(refusal).__mro__:
        if make := _PROBLEMS.get(kind):
            return make(refusal)
    raise KeyError(type(refusal).__name__)


def install(app: FastAPI) -> None:
    """Let handlers raise what the ledger raises."""

    async def on_refusal(request: Request, refusal: Exception) -> Response:
        return problems.answer(request.scope, problem_of(refusal))

    for kind in _PROBLEMS:
        app.exception_handler(kind)(on_refusal)
