"""A session's cookie: sealed, bound to its time, and open to every node that has the deployment's key."""

import os
from typing import Any

import pytest

from api.pages.sessions import FORM, LASTS, MOST_CHARACTERS, SESSION, Sessions, cookie_of, is_page, presented

KEY = b"k" * 32
SECRET = "mun_opr_" + "a" * 49
NOW = 1_790_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def request(path: str, **headers: str) -> dict[str, Any]:
    return {"path": path, "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]}


def test_a_cookie_opens_on_every_node_and_says_nothing_by_itself() -> None:
    one, other = Sessions(KEY, Clock()), Sessions(KEY, Clock())
    cookie = one.seal(SECRET)
    assert other.open(cookie) == SECRET
    assert SECRET not in cookie
    assert cookie != one.seal(SECRET)


def test_a_cookie_of_another_deployment_opens_nothing() -> None:
    assert Sessions(b"o" * 32, Clock()).open(Sessions(KEY, Clock()).seal(SECRET)) is None


def test_a_session_is_over_when_its_time_is() -> None:
    clock = Clock()
    sessions = Sessions(KEY, clock)
    cookie = sessions.seal(SECRET)
    clock.now = NOW + LASTS * 1_000_000 - 1
    assert sessions.open(cookie) == SECRET
    clock.now = NOW + LASTS * 1_000_000
    assert sessions.open(cookie) is None
    assert LASTS <= 8 * 3600


def test_a_changed_cookie_opens_nothing() -> None:
    sessions = Sessions(KEY, Clock())
    cookie = sessions.seal(SECRET)
    for place in range(len(cookie) - 1):
        changed = cookie[:place] + ("A" if cookie[place] != "A" else "B") + cookie[place + 1 :]
        assert sessions.open(changed) is None


@pytest.mark.parametrize(
    "cookie", ["", "x", "=", "é", "A" * 15, "A" * MOST_CHARACTERS, "A" * (MOST_CHARACTERS + 1), "\udc80", "%00", "a b"]
)
def test_what_is_no_cookie_of_ours_opens_nothing(cookie: str) -> None:
    assert Sessions(KEY, Clock()).open(cookie) is None


def test_random_cookies_open_nothing() -> None:
    sessions = Sessions(KEY, Clock())
    assert all(sessions.open(os.urandom(60).hex()) is None for _ in range(200))


def test_a_form_is_ours_with_the_token_of_its_own_cookie_alone() -> None:
    sessions = Sessions(KEY, Clock())
    token = sessions.form_token("one")
    assert sessions.sent_by_our_form("one", token)
    assert not sessions.sent_by_our_form("other", token)
    assert not sessions.sent_by_our_form("one", "")
    assert not sessions.sent_by_our_form("one", "é")
    assert not sessions.sent_by_our_form("", sessions.form_token(""))
    assert token != Sessions(b"o" * 32, Clock()).form_token("one")


def test_pages_take_the_cookie_and_everything_else_the_header() -> None:
    sessions = Sessions(KEY, Clock())
    both = {"cookie": f"{SESSION}={sessions.seal(SECRET)}", "authorization": "Bearer other"}
    assert presented(sessions, request("/console/tenants", **both)) == SECRET
    assert presented(sessions, request("/v1/tenants", **both)) == "other"
    assert presented(sessions, request("/v1/tenants", cookie=both["cookie"])) == ""
    assert presented(sessions, request("/console", authorization="Bearer other")) == ""
    assert presented(sessions, request("/v1/tenants", authorization="Basic other")) == ""


@pytest.mark.parametrize(
    ("path", "page"), [("/console", True), ("/console/x", True), ("/consoles", False), ("/", False)]
)
def test_what_a_page_is(path: str, page: bool) -> None:
    assert is_page(path) is page


def test_a_cookie_is_found_among_others_that_are_broken() -> None:
    scope = request("/console", cookie=f'a="; b; {FORM}=here; c=d')
    assert cookie_of(scope, FORM) == "here"
    assert cookie_of(scope, SESSION) == ""
