"""Problems over HTTP: each refusal is typed, says what to do, and repeats nothing that was sent."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.responses import Response

from api.http import problems
from api.http.problems import Problem
from tests.api.http.asking import ask, client
from tests.api.http.conftest import LogLines


def app_that_raises(error: Exception, faces: dict[str, problems.Render] | None = None) -> FastAPI:
    app = FastAPI()
    problems.install(app, faces)

    @app.get("/thing")
    @app.get("/scim/v2/thing")
    async def thing() -> None:
        raise error

    return app


MADE: list[tuple[Problem, int, str]] = [
    (problems.bad_request("say when"), 400, "bad-request"),
    (problems.malformed_json("line 1"), 400, "malformed-json"),
    (problems.unauthenticated(), 401, "unauthenticated"),
    (problems.forbidden("no role grants groups:write"), 403, "forbidden"),
    (problems.not_found(), 404, "not-found"),
    (problems.conflict("the user name is taken"), 409, "conflict"),
    (problems.gone("the person was erased"), 410, "gone"),
    (problems.precondition_failed(), 412, "precondition-failed"),
    (problems.payload_too_large(10), 413, "payload-too-large"),
    (problems.uri_too_long(10), 414, "uri-too-long"),
    (problems.unsupported_media_type(), 415, "unsupported-media-type"),
    (problems.unprocessable("the group does not exist"), 422, "unprocessable"),
    (problems.precondition_required(), 428, "precondition-required"),
    (problems.too_many_requests(0.2), 429, "too-many-requests"),
    (problems.headers_too_large(10), 431, "headers-too-large"),
    (problems.unavailable("the views are behind", 2.5), 503, "unavailable"),
]


@pytest.mark.parametrize(("problem", "status", "slug"), MADE, ids=[slug for _, _, slug in MADE])
async def test_a_problem_is_answered_with_its_status_type_and_detail(problem: Problem, status: int, slug: str) -> None:
    answer = await ask(app_that_raises(problem), "GET", b"/thing")
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    said = answer.json()
    assert (said["type"], said["status"], said["detail"]) == (f"/problems/{slug}", status, problem.detail)
    assert said["title"]
    problems.ProblemBody.model_validate(said)


async def test_a_caller_that_is_not_known_is_told_how_to_say_who_it_is() -> None:
    answer = await ask(app_that_raises(problems.unauthenticated()), "GET", b"/thing")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_plain_401_also_says_how() -> None:
    answer = await ask(app_that_raises(HTTPException(401)), "GET", b"/thing")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("problem", "seconds"),
    [(problems.too_many_requests(0.2), "1"), (problems.unavailable("the views are behind", 2.5), "3")],
)
async def test_who_should_wait_is_told_how_many_whole_seconds(problem: Problem, seconds: str) -> None:
    answer = await ask(app_that_raises(problem), "GET", b"/thing")
    assert answer.headers["retry-after"] == seconds


async def test_further_members_of_a_problem_are_answered() -> None:
    answer = await ask(app_that_raises(problems.conflict("taken", holder="usr_1")), "GET", b"/thing")
    assert answer.json()["holder"] == "usr_1"


async def test_an_address_that_is_not_there_is_a_problem_without_the_address() -> None:
    answer = await ask(app_that_raises(problems.gone("")), "GET", b"/no/such-secret")
    assert answer.json()["type"] == "/problems/not-found"
    assert b"such-secret" not in answer.body


async def test_a_method_that_is_not_allowed_is_a_problem_that_names_those_that_are() -> None:
    answer = await ask(app_that_raises(problems.gone("")), "DELETE", b"/thing")
    assert (answer.status, answer.json()["type"]) == (405, "/problems/method-not-allowed")
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("status", [400, 403, 404, 418, 451, 502, 503])
async def test_the_detail_of_a_frameworks_exception_is_not_passed_on(status: int) -> None:
    answer = await ask(app_that_raises(HTTPException(status, "secret words", {"X-Kept": "1"})), "GET", b"/thing")
    assert (answer.status, answer.json()["status"], answer.headers["x-kept"]) == (status, status, "1")
    assert b"secret words" not in answer.body


async def test_a_redirect_raised_as_an_exception_stays_one() -> None:
    answer = await ask(app_that_raises(HTTPException(304, headers={"ETag": '"1.0"'})), "GET", b"/thing")
    assert (answer.status, answer.headers["etag"], answer.body) == (304, '"1.0"', b"")


async def test_a_defect_is_answered_without_a_word_about_it_and_logged_without_its_values(log_lines: LogLines) -> None:
    app = app_that_raises(KeyError("fry@planetexpress.example"))
    with pytest.raises(KeyError):  # Starlette raises it again after answering; the doorway keeps it from the server
        await ask(app, "GET", b"/thing")
    [line] = log_lines()
    assert line["error"] == "builtins.KeyError"
    assert line["where"][-1].startswith(f"{__name__}:thing:")
    assert "fry" not in str(line)


async def test_a_protocol_with_errors_of_its_own_says_problems_its_way() -> None:
    def scim(problem: Problem, correlation: str | None) -> Response:
        return JSONResponse({"status": str(problem.status_code), "detail": problem.detail}, problem.status_code)

    app = app_that_raises(problems.conflict("the user name is taken"), {"/scim/": scim})
    assert (await ask(app, "GET", b"/scim/v2/thing")).json() == {"status": "409", "detail": "the user name is taken"}
    assert (await ask(app, "GET", b"/thing")).headers["content-type"] == "application/problem+json"
    assert (await ask(app, "GET", b"/scim/v2/nothing")).json()["status"] == "404"


class Member(BaseModel):
    user: str
    weight: int


class Group(BaseModel):
    members: list[Member]


def app_with_groups() -> FastAPI:
    app = FastAPI()
    problems.install(app)

    @app.post("/groups")
    async def create(group: Group, limit: int = 1) -> None: ...

    return app


async def test_what_does_not_validate_is_listed_with_its_place_and_not_its_value() -> None:
    async with client(app_with_groups()) as http:
        answer = await http.post("/groups?limit=hunter2", json={"members": [{"user": "a", "weight": "hunter2"}, {}]})
    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == [
        "query/limit",
        "body/members/0/weight",
        "body/members/1/user",
        "body/members/1/weight",
    ]
    assert "hunter2" not in answer.text


async def test_ten_thousand_errors_are_counted_and_the_first_fifty_listed() -> None:
    async with client(app_with_groups()) as http:
        answer = await http.post("/groups", json={"members": [{}] * 5000})
    assert len(answer.json()["errors"]) == 50
    assert answer.json()["more"] == 9950


@pytest.mark.parametrize("make", [problems.responses, lambda *kinds: problems.responses(*reversed(kinds))])
def test_two_kinds_of_one_status_share_its_entry(make: Callable[..., dict[int | str, dict[str, str]]]) -> None:
    documented = make(problems.BAD_REQUEST, problems.MALFORMED_JSON, problems.NOT_FOUND)
    assert documented.keys() == {400, 404}
    assert problems.BAD_REQUEST.title in documented[400]["description"]
    assert problems.MALFORMED_JSON.title in documented[400]["description"]
