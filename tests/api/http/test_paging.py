"""Cursors: one comes back as it went out, for the listing it was made for, or not at all."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.http.paging import Cursors, Page
from api.http.problems import Problem

KEY = bytes(range(32))
cursors = Cursors(KEY)


class Place(msgspec.Struct):
    after: str
    position: int


def refusal(cursor: str, *, of: str = "users of tnt_1", by: Cursors = cursors) -> Problem:
    with pytest.raises(Problem) as refused:
        by.decode(cursor, Place, of=of)
    return refused.value


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**63 - 1), st.text(max_size=50))
def test_a_cursor_comes_back_as_it_went_out(after: str, position: int, of: str) -> None:
    of = of.encode("utf-8", "replace").decode()
    cursor = cursors.encode(Place(after, position), of=of)
    assert cursors.decode(cursor, Place, of=of) == Place(after, position)
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_dictionary_does_for_a_place() -> None:
    cursor = cursors.encode({"after": "usr_1", "position": 7}, of="users of tnt_1")
    assert cursors.decode(cursor, Place, of="users of tnt_1") == Place("usr_1", 7)
    assert cursors.decode(cursor, dict[str, str | int], of="users of tnt_1") == {"after": "usr_1", "position": 7}


def test_a_cursor_of_another_listing_is_refused() -> None:
    cursor = cursors.encode(Place("usr_1", 7), of="users of tnt_2")
    assert refusal(cursor).status_code == 400


def test_a_cursor_of_another_key_is_refused() -> None:
    refusal(cursors.encode(Place("usr_1", 7), of="users of tnt_1"), by=Cursors(bytes(32)))


def test_a_place_of_another_shape_is_refused() -> None:
    refusal(cursors.encode({"after": 1}, of="users of tnt_1"))


def test_every_changed_character_is_noticed() -> None:
    cursor = cursors.encode(Place("usr_1", 7), of="users of tnt_1")
    for at, character in enumerate(cursor):
        changed = cursor[:at] + ("A" if character != "A" else "B") + cursor[at + 1 :]
        assert "exactly as it was returned" in refusal(changed).detail


def test_a_cursor_has_one_spelling() -> None:
    cursor = cursors.encode(Place("usr_1", 7), of="users of tnt_1")
    for other in (cursor + "=", cursor + "\n", " " + cursor, cursor[:5] + "!" + cursor[5:], cursor + "AAAA"):
        refusal(other)


@given(st.text() | st.binary(max_size=60).map(lambda data: data.hex()))
@example("")
@example("A")
@example("A" * 100_000)
@example("\ud800")
@example("é")
def test_whatever_else_is_sent_is_refused(cursor: str) -> None:
    assert refusal(cursor).status_code == 400


def test_a_short_key_is_not_taken() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Cursors(b"short")


def test_a_page_says_what_moment_it_is_of() -> None:
    page = Page[str](items=["usr_1"], next=None, position=7, as_of="2026-01-31T12:00:00Z")
    assert page.model_dump() == {"items": ["usr_1"], "next": None, "position": 7, "as_of": "2026-01-31T12:00:00Z"}
