"""Filters are read as RFC 7644 §3.4.2.2 writes them, and as providers send them."""

from typing import Any

import pytest

from adapters.scim.errors import ScimError
from adapters.scim.filters import MAX_DEPTH, parse
from adapters.scim.leniency import Leniency, Tolerance
from adapters.scim.matching import equality, matches
from adapters.scim.scanner import MAX_LENGTH
from adapters.scim.schema import ENTERPRISE, GROUP, USER

BJENSEN: dict[str, Any] = {
    "schemas": [USER.urn, ENTERPRISE],
    "id": "user_1",
    "externalId": "Ext-7",
    "userName": "BJensen",
    "name": {"familyName": "O'Malley", "givenName": "Barbara"},
    "title": "Vice President",
    "userType": "Employee",
    "active": True,
    "emails": [
        {"type": "work", "value": "bjensen@example.com", "primary": True},
        {"type": "home", "value": "babs@jensen.org"},
    ],
    ENTERPRISE: {"employeeNumber": "701984", "manager": {"value": "user_9"}},
    "meta": {"resourceType": "User", "lastModified": "2011-05-13T04:42:34Z"},
}


def holds(text: str, resource: dict[str, Any] = BJENSEN) -> bool:
    return matches(parse(text, USER), resource)


def refusal(text: str) -> ScimError:
    with pytest.raises(ScimError) as refused:
        parse(text, USER)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidFilter")
    return refused.value


# The examples of RFC 7644 §3.4.2.2, figure 2.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('userName eq "bjensen"', True),
        ('name.familyName co "O\'Malley"', True),
        ('userName sw "J"', False),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName sw "B"', True),
        ("title pr", True),
        ('meta.lastModified gt "2011-05-13T04:42:34Z"', False),
        ('meta.lastModified ge "2011-05-13T04:42:34Z"', True),
        ('meta.lastModified lt "2011-05-13T04:42:34Z"', False),
        ('meta.lastModified le "2011-05-13T04:42:34Z"', True),
        ('title pr and userType eq "Employee"', True),
        ('title pr or userType eq "Intern"', True),
        ('schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"', True),
        ('userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")', True),
        ('userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")', False),
        ('userType eq "Employee" and (emails.type eq "work")', True),
        ('userType eq "Employee" and emails[type eq "work" and value co "@example.com"]', True),
        ('emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]', True),
    ],
)
def test_the_examples_of_the_rfc_hold(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('userName ew "SEN"', True),
        ('userName gt "a"', True),
        ('userName lt "a"', False),
        ('userName ne "bjensen"', False),
        ('nickName ne "Babs"', True),
        ("nickName pr", False),
        ("nickName eq null", True),
        ("title ne null", True),
        ("active eq true", True),
        ("active ne true", False),
        ('emails ne "babs@jensen.org"', False),
        ('emails[type eq "home" and value co "@example.com"]', False),
        ('externalId eq "ext-7"', False),
        ('externalId eq "Ext-7"', True),
        ('USERNAME EQ "bjensen" AND NOT (Title eq "x")', True),
        (f'{ENTERPRISE}:employeeNumber eq "701984"', True),
        (f'{ENTERPRISE.upper()}:manager.VALUE eq "user_9"', True),
        (f'{ENTERPRISE}:manager eq "user_9"', True),
        ('meta.lastModified eq "2011-05-13T06:42:34+02:00"', True),
        ('meta.lastModified eq "2011-05-13T04:42:34"', True),
        (r'userName eq "bjensen"', True),
        ('name[familyName sw "o"]', True),
    ],
)
def test_operators_follow_the_schema(text: str, expected: bool) -> None:
    assert holds(text) is expected


def test_and_binds_closer_than_or_and_brackets_closer_than_both() -> None:
    assert holds('title eq "x" and title eq "y" or active eq true')
    assert not holds('title eq "x" and (title eq "y" or active eq true)')


def test_an_attribute_the_resource_type_lacks_never_matches() -> None:
    for text in ('shoeSize eq "9"', "shoeSize pr", 'shoes[size eq "9"]', 'urn:other:2.0:Thing:size eq "9"'):
        assert not holds(text)
    assert holds("not (shoeSize pr)")


def test_a_password_can_not_be_searched_for() -> None:
    assert not matches(parse('password sw "a"', USER), {**BJENSEN, "password": "abc"})
    assert not matches(parse("password pr", USER), {**BJENSEN, "password": "abc"})


def test_a_bracketed_path_filter_is_one_value_that_satisfies_both() -> None:
    assert holds('emails[type eq "work"].value eq "bjensen@example.com"')
    assert not holds('emails[type eq "home"].value eq "bjensen@example.com"')
    assert holds('emails[type eq "work"].Value pr')


def test_a_literal_without_quotes_is_accepted_and_counted() -> None:
    for text in ("userName eq bjensen", f"{ENTERPRISE}:employeeNumber eq 701984", "(userName eq bjensen)"):
        tolerance = Tolerance()
        assert matches(parse(text, USER, tolerance), BJENSEN)
        assert tolerance.used == {Leniency.UNQUOTED_LITERAL}


def test_a_boolean_in_quotes_is_accepted_and_counted() -> None:
    tolerance = Tolerance()
    assert matches(parse('emails[primary eq "True"].value co "bjensen"', USER, tolerance), BJENSEN)
    assert tolerance.used == {Leniency.STRING_BOOLEAN}


def test_leniencies_can_be_switched_off() -> None:
    for text in ("userName eq bjensen", 'active eq "True"'):
        with pytest.raises(ScimError, match="filter"):
            parse(text, USER, Tolerance(frozenset()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "userName",
        "userName eq",
        'userName is "x"',
        'userName eq "x',
        'userName eq "x" and',
        'userName eq "x" userName eq "y"',
        '(userName eq "x"',
        'userName eq "x")',
        "not userName pr",
        'emails[type eq "work"',
        'emails[type eq "work"] eq "x"',
        'emails[emails[type eq "work"]]',
        'userName[value eq "x"]',
        'emails.value[type eq "x"]',
        'name eq "x"',
        'userName eq "\\q"',
        'userName eq "\\ud800"',
        'userName eq "\\u0000"',
        "userName eq \ud800",
        "userName eq a\0b",
        "title gt null",
        "active gt true",
        'active co "tr"',
        "active eq 1",
        'x509Certificates.value gt "aGk="',
        'meta.created co "2011"',
        'meta.created gt "yesterday"',
        'meta.created gt "0001-01-01T00:00:00+14:00"',
        '1name eq "x"',
        'a..b eq "x"',
        "and and and",
    ],
)
def test_what_is_no_filter_is_refused_without_repeating_it(text: str) -> None:
    assert not text.strip() or text not in refusal(text).detail


def test_length_and_depth_are_bounded() -> None:
    assert "longer" in refusal("a" * (MAX_LENGTH + 1)).detail
    assert "deep" in refusal("(" * (MAX_DEPTH + 1) + "title pr" + ")" * (MAX_DEPTH + 1)).detail
    assert holds("(" * MAX_DEPTH + "title pr" + ")" * MAX_DEPTH)
    assert "more than" in refusal(" or ".join(["title pr"] * 200)).detail
    refusal("(" * MAX_LENGTH)
    refusal("not(" * (MAX_LENGTH // 4))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('userName eq "bjensen"', ("userName", "bjensen")),
        ('(USERNAME eq "BJensen")', ("userName", "BJensen")),
        (f'{USER.urn}:externalId eq "7"', ("externalId", "7")),
        ("id eq user_1", ("id", "user_1")),
        ('userName ne "bjensen"', None),
        ("userName eq null", None),
        ("active eq true", None),
        ('emails eq "x"', None),
        ('name.familyName eq "x"', None),
        (f'{ENTERPRISE}:department eq "x"', None),
        ('userName eq "a" and active eq true', None),
        ('not (userName eq "a")', None),
        ("title pr", None),
    ],
)
def test_an_index_can_answer_a_plain_equality(text: str, expected: tuple[str, str] | None) -> None:
    assert equality(parse(text, USER)) == expected


def test_a_group_is_found_by_its_members() -> None:
    group = {"schemas": [GROUP.urn], "displayName": "Crew", "members": [{"value": "user_1", "type": "User"}]}
    assert matches(parse('displayName eq "crew" and members.value eq "user_1"', GROUP), group)
    assert not matches(parse('members[value eq "User_1"]', GROUP), group)
