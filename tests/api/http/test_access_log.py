"""What is recorded of requests: enough to run a node by, and nothing of a person."""

import logging

import pytest
import structlog
from fastapi import Request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import Response

from api.http import structured_log
from api.http.application import Application
from api.http.json_body import JsonRouter
from api.http.problems import Problem
from tests.api.http.asking import ask, client
from tests.api.http.conftest import LogLines

PERSON = "fry@planetexpress.example"


def made(registry: CollectorRegistry) -> Application:
    app = Application(registry=registry, quiet=frozenset({"/livez"}))
    router = JsonRouter(prefix="/v1/{tenant}")

    @router.get("/users/{user}")
    async def user(tenant: str, user: str, request: Request) -> str:
        request.state.tenant = tenant
        structlog.get_logger().info("looked", view="users", user_name=user, rows=1)
        return user

    @router.get("/broken/{user}")
    async def broken(user: str) -> None:
        nobody: dict[str, str] = {}
        try:
            nobody[user]
        except KeyError as error:
            raise ValueError(f"no {user}") from error

    @app.get("/livez")
    async def livez() -> None: ...

    app.include_router(router)
    return app


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(generate_latest(registry).decode())
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in found}


async def test_a_request_is_a_line_with_its_route_and_no_word_of_what_was_sent(log_lines: LogLines) -> None:
    headers = {"X-Request-ID": "01JAR6Y7TRACE", "Authorization": f"Bearer {PERSON}", "User-Agent": PERSON}
    async with client(made(CollectorRegistry())) as http:
        answer = await http.get(f"/v1/tnt_1/users/{PERSON}?filter={PERSON}", headers=headers)
    assert answer.headers["x-request-id"] == "01JAR6Y7TRACE"
    looked, request = log_lines()
    assert request.pop("ms") > 0
    assert request.pop("at").endswith("Z")
    assert request == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": "/v1/{tenant}/users/{user}",
        "status": 200,
        "correlation": "01JAR6Y7TRACE",
        "tenant": "tnt_1",
    }
    assert looked["correlation"] == "01JAR6Y7TRACE"
    assert (looked["view"], looked["rows"], looked["user_name"]) == ("users", 1, structured_log.WITHHELD)
    assert "fry" not in str(log_lines())


async def test_a_tenant_that_is_no_id_is_not_recorded(log_lines: LogLines) -> None:
    await ask(made(CollectorRegistry()), "GET", b"/v1/Fry%20Philip/users/u")
    assert log_lines()[-1]["tenant"] is None


async def test_a_defect_is_answered_once_and_told_by_type_and_place(log_lines: LogLines) -> None:
    answer = await ask(made(CollectorRegistry()), "GET", f"/v1/t/broken/{PERSON}".encode())
    assert (answer.status, answer.json()["type"]) == (500, "/problems/internal-error")
    failure, request = log_lines()
    assert (failure["error"], failure["caused_by"]) == ("builtins.ValueError", ["builtins.KeyError"])
    assert failure["where"][-1].startswith(f"{__name__}:broken:")
    assert failure["correlation"] == request["correlation"] == answer.json()["correlation_id"]
    assert (request["status"], request["level"]) == (500, "error")
    assert "fry" not in str(log_lines()) + answer.body.decode()


async def test_requests_are_counted_and_timed_by_route_and_not_by_address() -> None:
    registry = CollectorRegistry()
    app = made(registry)
    for target in (b"/v1/a/users/x", b"/v1/b/users/y", b"/v1/a/users/%00", b"/no/1", b"/no/2", b"/livez"):
        await ask(app, "GET", target)
    for method in ("DELETE", "BREW", "\N{SNOWMAN}"):
        await ask(app, method, b"/livez")
    assert samples(registry, "muniment_http_requests_total") == {
        ("GET", "/v1/{tenant}/users/{user}", "200"): 2,
        ("GET", "unmatched", "400"): 1,
        ("GET", "unmatched", "404"): 2,
        ("GET", "/livez", "200"): 1,
        ("DELETE", "/livez", "405"): 1,
        ("OTHER", "/livez", "405"): 2,
    }
    assert samples(registry, "muniment_http_request_seconds_count")[("GET", "/v1/{tenant}/users/{user}")] == 2


async def test_a_probe_is_only_worth_a_line_when_it_fails(log_lines: LogLines) -> None:
    app = made(CollectorRegistry())
    await ask(app, "GET", b"/livez")
    assert log_lines() == []
    await ask(app, "POST", b"/livez")
    assert [line["status"] for line in log_lines()] == [405]


async def test_an_answer_is_not_kept_by_caches_and_not_taken_for_something_else() -> None:
    answer = await ask(made(CollectorRegistry()), "GET", b"/livez")
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_a_library_is_heard_without_the_values_it_speaks_of(log_lines: LogLines) -> None:
    library = logging.getLogger("some.library")
    library.warning("can't reach %s", PERSON)
    library.error(f"no {PERSON}")
    try:
        raise OSError(PERSON)
    except OSError:
        library.exception("while asking %s", PERSON)
    library.log(35, "odd level")
    library.info("not worth it")
    logging.getLogger("uvicorn.access").warning("%s asked for /%s", "192.0.2.7", PERSON)
    first, second, third, fourth = log_lines()
    assert first["template"].startswith("can't reach %s (")
    assert (first["logger"], first["level"]) == ("some.library", "warning")
    assert second["level"] == "error"
    assert third["error"] == "builtins.OSError"
    assert fourth["level"] == "warning"
    assert "fry" not in str(log_lines())


def test_only_lines_at_or_above_the_level_are_written(log_lines: LogLines) -> None:
    structlog.get_logger().debug("detail")
    structlog.get_logger().warning("worth it", exc_info=ExceptionGroup(PERSON, [ValueError(PERSON)]))
    [line] = log_lines()
    assert (line["event"], line["error"]) == ("worth it", "builtins.ExceptionGroup")
    assert "fry" not in str(line)


@pytest.mark.parametrize("value", [["a"], {"a": 1}, b"a", object(), "a"])
def test_under_a_name_that_may_hold_anything_only_numbers_are_written(value: object, log_lines: LogLines) -> None:
    structlog.get_logger().info("kept", anything=value, rows=3, ratio=0.5, done=True, none=None)
    [line] = log_lines()
    assert line["anything"] == structured_log.WITHHELD
    assert (line["rows"], line["ratio"], line["done"], line["none"]) == (3, 0.5, True, None)


async def test_a_refusal_below_a_face_of_its_own_is_said_its_way_even_at_the_doorway() -> None:
    def scim(problem: Problem, correlation: str | None) -> Response:
        return Response(f"{problem.status_code} {correlation}", problem.status_code)

    app = Application(registry=CollectorRegistry(), faces={"/scim/": scim})
    answer = await ask(app, "GET", b"/scim/%00")
    assert answer.body == f"400 {answer.headers['x-request-id']}".encode()
