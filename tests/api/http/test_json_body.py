"""JSON bodies: what can't be kept faithfully is refused with a typed 4xx, and nothing else is."""

import json
from typing import Annotated, Any

import pytest
from fastapi import Body, FastAPI, Request
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from api.http import problems
from api.http.json_body import MOST_BYTES, MOST_LEVELS, JsonRoute, JsonRouter, at_most, is_json, parse
from api.http.problems import Problem
from tests.api.http.asking import ask, post_json

app = FastAPI()
app.router.route_class = JsonRoute
problems.install(app)
router = JsonRouter(prefix="/v1")
read: list[int] = []


class User(BaseModel):
    name: str


@app.post("/users")
async def create(user: User) -> User:
    return user


@app.post("/anything")
async def anything(value: Annotated[Any, Body()]) -> dict[str, Any]:
    return {"got": value}


@app.post("/maybe")
async def maybe(value: Annotated[User | None, Body()] = None) -> dict[str, bool]:
    return {"given": value is not None}


@router.post("/small")
@at_most(10)
async def small(value: Annotated[Any, Body()]) -> int:
    return len(value)


@app.post("/raw")
async def raw(request: Request) -> int:
    return len(await request.body())


@app.post("/own")
async def own(request: Request) -> Any:
    return await request.json()


app.include_router(router)

REFUSED = {
    "nothing": b"",
    "half an object": b'{"a":',
    "two values": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "bytes that are not UTF-8": b'{"a":"\xff"}',
    "an overlong encoding of /": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "a high surrogate alone": b'{"a":"\\ud800"}',
    "a low surrogate alone": b'{"a":"\\uDC00x"}',
    "surrogates in the wrong order": b'{"a":"\\udc00\\ud800"}',
    "a surrogate in a name": b'{"\\ud800":1}',
    "a surrogate in a list in a list": b'[["\\ud800"]]',
    "NUL bare": b'{"a":"\x00"}',
    "NUL escaped": b'{"a":"\\u0000"}',
    "NUL in a name": b'{"a\\u0000":1}',
    "NUL deep": b'[{"a":["\\u0000"]}]',
    "a line break in a string": b'{"a":"\n"}',
    "NaN": b'{"a":NaN}',
    "Infinity": b"[Infinity]",
    "negative infinity": b"-Infinity",
    "infinity as a number": b'{"a":1e999}',
    "a name twice": b'{"a":1,"a":1}',
    "a name twice, once escaped": b'{"a":1,"\\u0061":2}',
    "a name twice in an inner object": b'[{"x":{"a":{},"a":{}}}]',
    "an integer of 64 bits and one more": b"[9223372036854775808]",
    "a negative integer beyond 64 bits": b"-9223372036854775809",
    "an integer of 5,000 digits": b"1" * 5000,
    "a leading zero": b"01",
    "33 levels": b"[" * 33 + b"]" * 33,
    "33 levels of objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "33 levels beside shallow ones": b"[{},{}," + b"[" * 32 + b"]" * 32 + b"]",
    "300,000 levels": b"[" * 300_000,
    "a comment": b"{} // no",
    "a comma too many": b"[1,]",
    "single quotes": b"{'a':1}",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
async def test_this_is_refused_as_malformed(body: bytes) -> None:
    answer = await post_json(app, b"/own", body)
    assert (answer.status, answer.json()["type"]) == (400, "/problems/malformed-json"), answer.body
    assert answer.json()["detail"]


ACCEPTED = {
    "an empty object": (b"{}", {}),
    "white space around": (b' \r\n\t{"a" : 1 }\n', {"a": 1}),
    "a pair of surrogates": (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
    "a pair in capitals": (b'"\\uD83D\\uDE00"', "\N{GRINNING FACE}"),
    "a backslash before u0000": (b'"\\\\u0000"', "\\u0000"),
    "a backslash before ud800": (b'"\\\\ud800"', "\\ud800"),
    "the largest integer": (b"9223372036854775807", 2**63 - 1),
    "the smallest integer": (b"-9223372036854775808", -(2**63)),
    "a name again in another object": (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
    "a number with a long fraction": (b"0." + b"1" * 400, 0.1111111111111111),
    "brackets in a string": (b'"' + b"[" * 100 + b'"', "[" * 100),
    "many shallow lists": (b"[" + b"[]," * 99 + b"[]]", [[]] * 100),
}


@pytest.mark.parametrize(("body", "value"), ACCEPTED.values(), ids=ACCEPTED)
async def test_this_is_understood(body: bytes, value: Any) -> None:
    answer = await post_json(app, b"/anything", body)
    assert (answer.status, answer.json()) == (200, {"got": value})


async def test_thirty_two_levels_are_understood() -> None:
    body = b'{"a":[' * (MOST_LEVELS // 2) + b"]}" * (MOST_LEVELS // 2)
    assert (await post_json(app, b"/own", body)).status == 200


async def test_no_refusal_repeats_the_body() -> None:
    for body in (
        b'{"hunter2":1,"hunter2":2}',
        b'{"hunter2":"\\u0000"}',
        b'["hunter2" hunter2]',
        b'{"name":["hunter2"]}',
    ):
        answer = await post_json(app, b"/users", body)
        assert answer.status in (400, 422)
        assert b"hunter2" not in answer.body


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@given(values, st.booleans())
def test_every_faithful_value_is_understood_however_it_is_escaped(value: Any, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary() | st.text(alphabet='{}[]",:\\u0d8e1-NaI \x00é').map(str.encode))
@example(b'"\\ud800"')
def test_any_bytes_are_understood_or_refused_and_what_is_understood_can_be_written_again(body: bytes) -> None:
    try:
        value = parse(body)
    except Problem:
        return
    again = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    assert parse(again) == value


OTHER_TYPES = """text/plain application/jsonp application/x-www-form-urlencoded multipart/form-data text/json
    application/json;charset=utf-16 application/json,application/json application/+json application/a/b+json \xff"""


@pytest.mark.parametrize("content_type", [b"", *OTHER_TYPES.encode("latin-1").split()])
async def test_another_media_type_is_refused(content_type: bytes) -> None:
    for target in (b"/users", b"/own", b"/maybe"):
        answer = await post_json(app, target, b'{"name":"Fry"}', content_type)
        assert (answer.status, answer.json()["type"]) == (415, "/problems/unsupported-media-type")


JSON_TYPES = """application/json Application/JSON application/json;charset=UTF-8 application/json;charset="utf-8"
    application/scim+json application/scim+json;charset=utf-8 application/merge-patch+json"""


@pytest.mark.parametrize("content_type", [b"application/json; charset=utf-8", *JSON_TYPES.encode().split()])
async def test_json_by_any_of_its_names_is_read(content_type: bytes) -> None:
    answer = await post_json(app, b"/users", b'{"name":"Fry"}', content_type)
    assert (answer.status, answer.json()) == (200, {"name": "Fry"})


async def test_a_compressed_body_is_refused() -> None:
    headers = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
    assert (await ask(app, "POST", b"/users", headers, [b"\x1f\x8b"])).status == 415


async def test_no_body_needs_no_media_type() -> None:
    answer = await ask(app, "POST", b"/maybe")
    assert (answer.status, answer.json()) == (200, {"given": False})


async def test_a_body_that_is_missing_is_said_to_be() -> None:
    answer = await ask(app, "POST", b"/users")
    assert (answer.status, answer.json()["errors"][0]["location"]) == (422, "body")


@given(st.text())
def test_any_content_type_is_judged_without_failing(content_type: str) -> None:
    assert is_json(content_type) in (True, False)


async def test_a_body_that_says_it_is_too_large_is_refused_unread() -> None:
    for declared in (str(MOST_BYTES + 1).encode(), b"9" * 5000):
        headers = [(b"content-type", b"application/json"), (b"content-length", declared)]
        answer = await ask(app, "POST", b"/users", headers, [b"not read, so not refused as JSON"])
        assert (answer.status, answer.json()["most"]) == (413, MOST_BYTES)


async def test_a_body_that_grows_too_large_is_refused_when_it_does() -> None:
    piece = b"[" * (MOST_BYTES // 4)
    for target in (b"/users", b"/own", b"/raw"):
        answer = await ask(app, "POST", target, [(b"content-type", b"application/json")], [piece] * 5)
        assert (answer.status, answer.json()["type"]) == (413, "/problems/payload-too-large")


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert (await ask(app, "POST", b"/raw", (), [b"a" * (MOST_BYTES - 1), b"a"])).body == str(MOST_BYTES).encode()


async def test_a_route_can_have_a_limit_of_its_own_also_in_an_included_router() -> None:
    assert (await post_json(app, b"/v1/small", b'["345678"]')).status == 200
    answer = await post_json(app, b"/v1/small", b'["3456789"]')
    assert (answer.status, answer.json()["most"]) == (413, 10)
