"""An application: strict before its first route, its OpenAPI document true, and nothing let out to the server."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, Field
from starlette.types import Message

from api.http import problems
from api.http.application import Application
from api.http.etags import IfMatch, parse_condition
from api.http.headers import Correlation
from api.http.json_body import JsonRouter
from tests.api.http.asking import ask, post_json, scope_of
from tests.api.http.conftest import LogLines

PROBLEM = {"$ref": "#/components/schemas/Problem"}


class User(BaseModel):
    name: str
    logins: int = Field(0, ge=0)


def made() -> Application:
    app = Application(registry=CollectorRegistry(), title="Muniment")
    router = JsonRouter(prefix="/v1")

    @router.post("/users", status_code=201, responses=problems.responses(problems.CONFLICT))
    async def create(user: User) -> User:
        return user

    @router.get("/users")
    async def listed(limit: int = 10) -> list[User]:
        return []

    @router.get("/users/{user}")
    async def one(user: str, if_match: IfMatch = None, before: int | None = None) -> User:
        return User(name=user)

    @router.get("/correlation")
    async def correlation(correlation: Correlation) -> str:
        return correlation

    @router.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"begun"
            raise RuntimeError("fry@planetexpress.example")

        return StreamingResponse(pieces())

    app.include_router(router)
    return app


def responses_of(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    responses: dict[str, Any] = document["paths"][path][method]["responses"]
    return responses


def test_the_document_names_every_refusal_as_a_problem_and_no_other() -> None:
    document = made().openapi()
    created = responses_of(document, "/v1/users", "post")
    assert created.keys() == {"201", "400", "409", "413", "414", "415", "422", "431"}
    assert responses_of(document, "/v1/users", "get").keys() == {"200", "400", "414", "422", "431"}
    assert responses_of(document, "/v1/correlation", "get").keys() == {"200", "400", "414", "431"}
    for status, response in created.items():
        if status != "201":
            assert response["content"] == {"application/problem+json": {"schema": PROBLEM}}
    assert "HTTPValidationError" not in str(document)
    assert document["components"]["schemas"].keys() == {"FieldError", "Problem", "User"}


def test_the_document_asks_for_nothing_that_is_refused_wherever_it_is_sent() -> None:
    parameters = made().openapi()["paths"]["/v1/users/{user}"]["get"]["parameters"]
    user, before, if_match = (parameter["schema"] for parameter in parameters)
    assert (user["type"], before["type"], if_match["type"]) == ("string", "integer", "string")
    assert not re.search(user["pattern"], "\r\n")
    logins = made().openapi()["components"]["schemas"]["User"]["properties"]["logins"]
    assert (logins["minimum"], logins["maximum"]) == (0, 2**63 - 1)
    for header in ("*", '"1.0"', 'W/"1.0", "2.0"'):
        assert re.search(if_match["pattern"], header)
        assert parse_condition(header)


def test_the_document_is_completed_once_and_again_for_new_routes() -> None:
    app = made()
    assert app.openapi() is app.openapi()

    @app.get("/later")
    async def later(limit: int) -> None: ...

    assert responses_of(app.openapi(), "/later", "get")["422"]["content"].keys() == {"application/problem+json"}


async def test_the_document_is_served_and_the_pages_that_load_scripts_are_not() -> None:
    app = made()
    assert (await ask(app, "GET", b"/openapi.json")).json() == app.openapi()
    for page in (b"/docs", b"/redoc"):
        assert (await ask(app, "GET", page)).status == 404


@pytest.mark.parametrize("body", [b'{"name":"\\ud800"}', b'{"name":NaN}', b'{"name":"\\u0000"}'])
async def test_what_the_framework_would_answer_with_500_or_200_is_refused(body: bytes) -> None:
    answer = await post_json(made(), b"/v1/users", body)
    assert (answer.status, answer.json()["type"]) == (400, "/problems/malformed-json")


async def test_a_slash_too_many_is_not_found_rather_than_sent_elsewhere() -> None:
    assert (await ask(made(), "GET", b"/v1/users/", [(b"host", b"evil.example")])).status == 404


async def test_a_router_that_would_be_lenient_is_not_served() -> None:
    app = made()
    lenient = APIRouter()

    @lenient.post("/lenient")
    async def create(user: User) -> None: ...

    app.include_router(lenient)
    with pytest.raises(TypeError, match="/lenient takes JSON leniently"):
        await ask(app, "GET", b"/v1/users")


async def test_a_handler_knows_the_correlation_id_of_its_answer() -> None:
    answer = await ask(made(), "GET", b"/v1/correlation")
    assert answer.json() == answer.headers["x-request-id"]


async def test_a_defect_in_the_middle_of_an_answer_leaves_it_unfinished_and_the_server_unharmed(
    log_lines: LogLines,
) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": len(sent) < 0}

    scope = scope_of("GET", b"/v1/broken-stream")
    scope["asgi"]["spec_version"] = "2.4"
    await made()(scope, receive, send)
    assert [message.get("body") for message in sent] == [None, b"begun"]
    assert sent[-1]["more_body"]
    assert [line["event"] for line in log_lines()] == ["request failed unexpectedly", "request"]
    assert "fry" not in str(log_lines())


async def test_a_request_that_nobody_waits_for_is_recorded_as_such(log_lines: LogLines) -> None:
    app = Application(registry=CollectorRegistry())
    reached = asyncio.Event()

    @app.get("/long")
    async def long() -> None:
        reached.set()
        await asyncio.Event().wait()

    asking = asyncio.create_task(ask(app, "GET", b"/long"))
    await reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [line["status"] for line in log_lines()] == [499]


async def test_what_is_not_http_passes_the_doorway_untouched() -> None:
    started: list[Message] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        started.append(message)

    await made()({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert [message["type"] for message in started] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
