"""Raw requests: paths, queries and headers that can't be decoded faithfully never reach a route."""

from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from api.http.application import Application
from api.http.problems import Problem
from api.http.raw_request import MOST_BYTES, require_plain
from tests.api.http.asking import ask, scope_of

app = Application(registry=CollectorRegistry())


@app.get("/things/{thing}")
async def thing(thing: str, q: str = "") -> list[str]:
    return [thing, q]


REFUSED = {
    "NUL in the path": b"/things/a%00b",
    "NUL in the query": b"/things/a?q=%00",
    "NUL in the name of a parameter": b"/things/a?%00=1",
    "a line break in the path": b"/things/a%0d%0aSet-Cookie:x",
    "delete in the path": b"/things/%7F",
    "a surrogate in the path": b"/things/%ED%A0%80",
    "a surrogate in the query": b"/things/a?q=%ED%BF%BF",
    "half a character in the path": b"/things/%C3",
    "half a character in the query": b"/things/a?q=%C3&r=%A9",
    "an overlong NUL": b"/things/%C0%80",
    "a bare byte in the path": b"/things/\xc3\xa9",
    "a bare byte in the query": b"/things/a?q=\xc3\xa9",
    "a bare NUL": b"/things/\x00",
    "a space": b"/things/a b",
    "half an escape": b"/things/%4",
    "an escape that is none": b"/things/a?q=%zz",
    "an escape at the end": b"/things/a?q=%",
}


@pytest.mark.parametrize("target", REFUSED.values(), ids=REFUSED)
async def test_this_address_is_refused(target: bytes) -> None:
    answer = await ask(app, "GET", target)
    assert (answer.status, answer.json()["type"]) == (400, "/problems/bad-request")
    assert answer.headers["x-request-id"] == answer.json()["correlation_id"]


@pytest.mark.parametrize(
    "target", [b"/things/" + b"a" * MOST_BYTES, b"/things/a?q=" + b"a" * MOST_BYTES], ids=["path", "query"]
)
async def test_an_address_that_is_too_long_is_refused(target: bytes) -> None:
    answer = await ask(app, "GET", target)
    assert (answer.status, answer.json()["type"]) == (414, "/problems/uri-too-long")


async def test_headers_that_are_too_large_or_hold_nul_are_refused() -> None:
    assert (await ask(app, "GET", b"/things/a", [(b"x", b"a" * (MOST_BYTES + 1))])).status == 431
    assert (await ask(app, "GET", b"/things/a", [(b"x", b"a\0")])).status == 400


async def test_headers_and_addresses_of_the_longest_allowed_size_pass() -> None:
    path = b"/things/".ljust(MOST_BYTES, b"a")
    assert (await ask(app, "GET", path, [(b"x", b"a" * MOST_BYTES)])).status == 200


printable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: "/" not in text)


@given(printable, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
async def test_any_text_that_is_encoded_properly_arrives_whole(name: str, query: str) -> None:
    answer = await ask(app, "GET", f"/things/{quote(name)}?q={quote(query)}".encode())
    assert (answer.status, answer.json()) == (200, [name, query])


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_what_passes_is_text_without_nul_and_what_does_not_is_a_problem(path: bytes, query: bytes) -> None:
    scope = scope_of("GET", b"/" + quote_from_bytes(path).encode() + b"?" + quote_from_bytes(query).encode())
    try:
        require_plain(scope)
    except Problem:
        return
    assert "\0" not in path.decode("utf-8") + query.decode("utf-8")
