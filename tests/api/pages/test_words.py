"""How things are said on a page."""

from typing import Any

import pytest

from api.pages import words

USER = "usr_0195c2d4a1b00123456789abcdef0123"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("UserDeactivated", "User deactivated"),
        ("ApiKeyIssued", "API key issued"),
        ("invoice.approved", "invoice.approved"),
        ("opaque:Thing", "opaque:Thing"),
        ("Überraschung", "Überraschung"),
    ],
)
def test_a_type_as_a_phrase(name: str, said: str) -> None:
    assert words.phrase(name) == said


def test_ids_are_told_by_their_ends() -> None:
    assert words.brief(USER) == "usr_…ef0123"
    assert words.brief("rol_owner") == "rol_owner"
    assert words.brief("<script>") == "<script>"


@pytest.mark.parametrize(
    ("value", "page"),
    [
        (USER, f"/t/state/users/{USER}"),
        ("rol_owner", "/t/state/roles/rol_owner"),
        ("dir_0195c2d4a1b00123456789abcdef0123", None),
        ("usr_owner", None),
        ("javascript:alert(1)", None),
        (USER + "/../x", None),
        ("", None),
    ],
)
def test_the_page_of_what_an_id_names(value: str, page: str | None) -> None:
    assert words.address_of(value, "/t") == page


def test_the_subject_of_a_tag() -> None:
    assert words.subject_of(f"user:{USER}") == USER
    assert words.subject_of("role:rol_owner") == "rol_owner"
    for tag in (
        f"member:grp_x/{USER}",
        f"actor:{USER}",
        "tenant:_deployment",
        "handle:hdl_1",
        "correlation:cor_1",
        "x",
    ):
        assert words.subject_of(tag) is None


@pytest.mark.parametrize(
    ("type_name", "mark"),
    [
        ("UserProvisioned", "new"),
        ("MemberRemoved", "gone"),
        ("UserDeactivated", "stopped"),
        ("CommandRefused", "refused"),
        ("UserRenamed", "changed"),
    ],
)
def test_the_mark_of_a_change(type_name: str, mark: str) -> None:
    assert words.mark_of(type_name) == mark


def test_a_query_string_keeps_what_was_asked_and_changes_what_is_new() -> None:
    assert words.query({"type": "A", "from": "1", "cursor": "x"}, cursor=None, to="2") == "?type=A&from=1&to=2"
    assert words.query({}) == "?"
    assert words.query({"text": 'a&b=<"c">'}) == "?text=a%26b%3D%3C%22c%22%3E"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "—"),
        (True, "yes"),
        (False, "no"),
        ("text", "text"),
        (7, "7"),
        ([], "none"),
        (["a", "b"], "a, b"),
        ({"b": 1, "a": "é"}, '{"a": "é", "b": 1}'),
    ],
)
def test_a_value_as_text(value: Any, said: str) -> None:
    assert words.plain_value(value) == said


def test_a_nested_value_by_its_parts() -> None:
    nested = {"name": {"given": "Ada", "none": None}, "mails": [{"value": "a@b"}, {"value": "c@d"}], "tags": ["x", "y"]}
    assert words.leaves(nested) == [
        ("name given", "Ada"),
        ("mails 1 value", "a@b"),
        ("mails 2 value", "c@d"),
        ("tags", ["x", "y"]),
    ]
    assert len(words.leaves({str(each): each for each in range(5_000)})) == 100


def test_text_that_looks_like_json_and_is_none_stays_text() -> None:
    assert words.parsed('{"a": 1}') == {"a": 1}
    assert words.parsed("{not json") == "{not json"
    assert words.parsed('{"a":' * 100_000) == '{"a":' * 100_000
    assert words.parsed(7) == 7


def test_what_turns_text_around_is_left_out_where_nothing_can_hold_it_in() -> None:
    assert words.flat("\u202etxt.exe\u2066") == "txt.exe"


def test_ids_in_a_sentence_get_their_names() -> None:
    sentence = f"rol_owner was assigned to {USER}"
    assert words.naming(sentence, {USER: "Ada \u202eL", "rol_owner": "owner"}) == "Owner was assigned to Ada L"
    assert words.naming(sentence, {}) == "Rol_owner was assigned to usr_…ef0123"
    assert words.ids_within([sentence, "nobody"]) == {USER, "rol_owner"}
