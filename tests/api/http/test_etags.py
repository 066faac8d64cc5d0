"""Entity tags and the conditions on them, as RFC 9110 §8.8.3 and §13.1 say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.etags import (
    MOST_TAGS,
    Condition,
    Etag,
    Version,
    etag,
    matches_none,
    parse_condition,
    require_match,
    require_no_match,
)
from api.http.problems import Problem

NOW = etag(10423, 2)


def status_of(problem: pytest.ExceptionInfo[Problem]) -> int:
    return problem.value.status_code


def test_a_tag_is_made_from_the_position_and_the_erasure_epoch() -> None:
    assert str(NOW) == '"10423.2"'
    assert str(etag(10423, 2, weak=True)) == 'W/"10423.2"'
    assert NOW.version == Version(10423, 2)


@given(st.integers(0, 10**18), st.integers(0, 10**18), st.booleans())
def test_a_tag_is_read_as_it_was_written(position: int, epoch: int, weak: bool) -> None:
    condition = parse_condition(str(etag(position, epoch, weak=weak)))
    assert condition == Condition(False, (Etag(f"{position}.{epoch}", weak),))
    assert condition.versions() == frozenset({Version(position, epoch)})


# RFC 9110 §13.1.1 and §13.1.2, and the forms that §5.6.1 lets a recipient meet in a list.
@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ('"xyzzy"', [Etag("xyzzy")]),
        ('W/"67ab43", "54ed21", "7892dd"', [Etag("67ab43", True), Etag("54ed21"), Etag("7892dd")]),
        ('"xyzzy", "r2d2xxxx", "c3piozzzz"', [Etag("xyzzy"), Etag("r2d2xxxx"), Etag("c3piozzzz")]),
        ('""', [Etag("")]),
        ("", []),
        (" , ,", []),
        ('"a,b","c"', [Etag("a,b"), Etag("c")]),
        (' , "a" ,, "b",\t', [Etag("a"), Etag("b")]),
    ],
)
def test_the_lists_of_the_standard_are_read(header: str, tags: list[Etag]) -> None:
    assert parse_condition(header) == Condition(False, tuple(tags))


@pytest.mark.parametrize(
    "header", ["1.0", '"a', 'w/"a"', '"a" "b"', '*, "a"', '"a", *', "**", '"a" x', '"\x00"', '"é\u0100"', 'W/ "a"']
)
def test_what_is_no_condition_is_a_bad_request(header: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_condition(header)
    assert status_of(refused) == 400


def test_more_tags_than_anyone_needs_are_a_bad_request() -> None:
    assert len(parse_condition(", ".join(['"a"'] * MOST_TAGS)).tags) == MOST_TAGS
    with pytest.raises(Problem):
        parse_condition(", ".join(['"a"'] * (MOST_TAGS + 1)))


@given(st.text(alphabet='W/"*, a\t.0é') | st.text())
def test_any_header_is_a_condition_or_a_problem(header: str) -> None:
    try:
        condition = parse_condition(header)
    except Problem:
        return
    assert not (condition.anything and condition.tags)


def test_a_change_that_names_the_present_tag_goes_through() -> None:
    for header in (None, "*", '"10423.2"', '"9.0", "10423.2"'):
        require_match(header, NOW)


@pytest.mark.parametrize("header", ["", '"10422.2"', '"10423.1"', 'W/"10423.2"', '"elsewhere"'])
def test_a_change_that_names_another_tag_fails(header: str) -> None:
    with pytest.raises(Problem) as refused:
        require_match(header, NOW)
    assert status_of(refused) == 412


@pytest.mark.parametrize("header", ["*", '"10423.2"'])
def test_nothing_matches_what_is_not_there(header: str) -> None:
    with pytest.raises(Problem) as refused:
        require_match(header, None)
    assert status_of(refused) == 412


def test_scims_weak_tags_match_when_compared_weakly() -> None:
    now = etag(7, weak=True)
    require_match('W/"7.0"', now, weakly=True)
    require_match('"7.0"', now, weakly=True)
    with pytest.raises(Problem):
        require_match('W/"7.0"', now)


def test_a_read_of_what_has_not_changed_is_noticed() -> None:
    assert matches_none('"10423.2"', NOW)
    assert matches_none('W/"10423.2"', NOW)
    assert matches_none("*", NOW)
    assert not matches_none('"10422.2"', NOW)
    assert not matches_none(None, NOW)
    assert not matches_none("*", None)


def test_creating_only_if_nothing_is_there() -> None:
    require_no_match("*", None)
    with pytest.raises(Problem) as refused:
        require_no_match("*", NOW)
    assert status_of(refused) == 412


def test_a_command_is_told_which_versions_it_may_find() -> None:
    assert parse_condition("*").versions() is None
    assert parse_condition('"7.0", W/"8.1", "elsewhere"').versions() == frozenset({Version(7, 0), Version(8, 1)})
    assert parse_condition('"elsewhere"').versions() == frozenset()
