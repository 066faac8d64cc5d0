"""Our headers: each has one form, and whatever has another is refused or replaced."""

import re

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api.http import problems
from api.http.headers import (
    IdempotencyKey,
    KnownPosition,
    PositionToken,
    correlation_of,
    parse_idempotency_key,
    parse_position,
)
from api.http.problems import Problem
from tests.api.http.asking import ask

app = FastAPI()
problems.install(app)


@app.get("/")
async def told(key: IdempotencyKey, known: KnownPosition) -> list[str | None]:
    return [key, str(known) if known else None]


UUID = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.mark.parametrize("header", [UUID, f'"{UUID}"', f" {UUID}\t"])
def test_a_key_is_the_same_bare_and_as_a_quoted_string(header: str) -> None:
    assert parse_idempotency_key(header) == UUID


def test_a_quoted_key_is_unescaped() -> None:
    assert parse_idempotency_key(r'"a\"b\\ c"') == 'a"b\\ c'


@pytest.mark.parametrize("header", ["x", "x" * 255, "with a space", 'quote"inside', "{}", "~!"])
def test_a_key_may_be_any_printable_ascii(header: str) -> None:
    assert parse_idempotency_key(header) == header
    quoted = header.replace('"', '\\"')
    assert parse_idempotency_key(f'"{quoted}"') == header


@pytest.mark.parametrize(
    "header",
    ["", " ", '""', '"', '"a', "a\x00", "é", "x" * 256, '"' + "x" * 256 + '"', '"a"b"', r'"a\x"', "a\nb", "\x7f"],
)
def test_what_is_no_key_is_a_bad_request(header: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_idempotency_key(header)
    assert refused.value.status_code == 400


@given(st.text() | st.text(alphabet='"\\ a~', min_size=1))
def test_any_header_is_a_key_or_a_problem(header: str) -> None:
    try:
        key = parse_idempotency_key(header)
    except Problem:
        return
    assert 1 <= len(key) <= 255
    assert key.isascii()
    assert key.isprintable()


@given(st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True), st.integers(1, 2**63 - 1))
def test_a_position_token_is_read_as_it_was_written(tenant: str, position: int) -> None:
    assert parse_position(str(PositionToken(tenant, position))) == PositionToken(tenant, position)


@pytest.mark.parametrize(
    "header",
    [
        *("", "acme", "acme:", ":1", "acme:0", "acme:01", "acme:-1", "acme:1.0", "Acme:1", "acme:1:1", "acme:\u0661"),
        *("acme:9223372036854775808", "a" * 65 + ":1", "acme:1\n", "acme: 1", "acme:" + "9" * 5000),
    ],
)
def test_what_is_no_position_token_is_a_bad_request(header: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_position(header)
    assert refused.value.status_code == 400


@given(st.text())
def test_any_header_is_a_position_or_a_problem(header: str) -> None:
    try:
        token = parse_position(header)
    except Problem:
        return
    assert str(token) == header.strip(" \t")


async def test_routes_are_given_both_already_read() -> None:
    headers = [(b"idempotency-key", f'"{UUID}"'.encode()), (b"muniment-position", b"tnt_1:7")]
    assert (await ask(app, "GET", b"/", headers)).json() == [UUID, "tnt_1:7"]
    assert (await ask(app, "GET", b"/")).json() == [None, None]


@pytest.mark.parametrize("header", [(b"idempotency-key", b"\xff"), (b"muniment-position", b"tnt_1")])
async def test_a_route_is_not_reached_with_one_that_can_not_be_read(header: tuple[bytes, bytes]) -> None:
    answer = await ask(app, "GET", b"/", [header])
    assert (answer.status, answer.json()["type"]) == (400, "/problems/bad-request")


def test_a_callers_correlation_id_is_taken_over() -> None:
    assert correlation_of([(b"host", b"x"), (b"x-request-id", b"01JAR6Y7-trace_9")]) == "01JAR6Y7-trace_9"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"short",
        b"x" * 65,
        b"fry@planetexpress",
        b"a b c d e f",
        b'{"a":"bcdef"}',
        b"caf\xc3\xa9\xc3\xa9\xc3\xa9",
        b"line\r\nbreak",
    ],
)
def test_one_that_could_hold_anything_is_replaced(sent: bytes) -> None:
    first, second = (correlation_of([(b"x-request-id", sent)]) for _ in range(2))
    assert re.fullmatch(r"cor_[0-9a-f]{32}", first)
    assert sent.decode("latin-1") != first != second
