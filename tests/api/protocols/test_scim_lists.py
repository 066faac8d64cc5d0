"""Lists of a directory's users and groups: filtered, sorted, paged and searched, on a running node."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.protocols.provisioning import Provider, group
from tests.node import NodeProcess

CREW = [
    ("fry", "Philip", "Delivery"),
    ("leela", "Turanga", "Captain"),
    ("bender", "Bender", "Delivery"),
    ("hermes", "Hermes", "Bureaucrat"),
    ("amy", "Amy", None),
]


@pytest.fixture(scope="module")
def crew(node: NodeProcess) -> Iterator[Provider]:
    """A directory with five people and two groups, which these tests only read."""
    made = Provider(node)
    ids = {}
    for name, given, title in CREW:
        attributes = {"title": title} if title else {}
        ids[name] = made.new_user(f"{name}@px.example", name={"givenName": given}, **attributes)["id"]
    made.new_group("Ship", *(ids[name] for name in ("fry", "leela", "bender")))
    made.new_group("Office", ids["hermes"])
    yield made
    made.close()


def names(listed: Any) -> list[str]:
    return [each["userName"].partition("@")[0] for each in listed["Resources"]]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ('title eq "delivery"', {"fry", "bender"}),
        ('title eq "Delivery" and name.givenName sw "B"', {"bender"}),
        ('title ne "Delivery"', {"leela", "hermes", "amy"}),
        ("not (title pr)", {"amy"}),
        ('userName eq "fry@px.example" or userName eq "AMY@px.example"', {"fry", "amy"}),
        ('userName co "e"', {"fry", "leela", "bender", "hermes", "amy"}),
        ('meta.created gt "2020-01-01T00:00:00Z"', {"fry", "leela", "bender", "hermes", "amy"}),
        ('meta.created lt "2020-01-01T00:00:00Z"', set()),
        ('groups.display eq "ship"', {"fry", "leela", "bender"}),
        ("active eq true", {"fry", "leela", "bender", "hermes", "amy"}),
        ('shoeSize eq "42"', set()),
    ],
)
def test_a_filter_selects_users_whatever_it_looks_at(crew: Provider, filter_: str, expected: set[str]) -> None:
    for _ in range(2):  # once opening what is sealed, once from memory
        assert set(names({"Resources": crew.find("Users", filter_)})) == expected


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ('displayName eq "ship"', {"Ship"}),
        ("members pr", {"Ship", "Office"}),
        ('members.type eq "Group"', set()),
        ('meta.lastModified gt "2020-01-01T00:00:00Z"', {"Ship", "Office"}),
    ],
)
def test_a_filter_selects_groups(crew: Provider, filter_: str, expected: set[str]) -> None:
    assert {each["displayName"] for each in crew.find("Groups", filter_)} == expected


def test_users_are_sorted_and_paged_with_an_exact_total(crew: Provider) -> None:
    ordered = ["amy", "bender", "fry", "hermes", "leela"]
    pages = [crew.found(f"/Users?sortBy=userName&startIndex={start}&count=2") for start in (1, 3, 5)]
    assert [name for page in pages for name in names(page)] == ordered
    assert {page["totalResults"] for page in pages} == {5}
    assert names(crew.found("/Users?sortBy=userName&sortOrder=descending")) == ordered[::-1]
    filtered = crew.found('/Users?filter=title eq "Delivery"&sortBy=name.givenName&count=1')
    assert (names(filtered), filtered["totalResults"]) == (["bender"], 2)


def test_attributes_choose_what_is_answered(crew: Provider) -> None:
    for found in crew.found("/Users?attributes=userName")["Resources"]:
        assert found.keys() == {"schemas", "id", "userName"}
    for found in crew.found("/Groups?excludedAttributes=members,meta")["Resources"]:
        assert found.keys() == {"schemas", "id", "displayName"}


def test_a_search_is_a_list_that_is_asked_for_in_a_body(crew: Provider) -> None:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": 'title eq "Delivery"',
        "attributes": ["userName"],
        "sortBy": "userName",
        "startIndex": 2,
        "count": 5,
    }
    found = crew.ask("POST", "/Users/.search", body)
    assert found.status_code == 200
    assert (names(found.json()), found.json()["totalResults"]) == (["fry"], 2)
    assert crew.ask("POST", "/Groups/.search", {"filter": 'displayName eq "Ship"'}).json()["totalResults"] == 1


def test_everything_is_searched_at_once(crew: Provider) -> None:
    everything = crew.ask("POST", "/.search", {"count": 100}).json()
    assert everything["totalResults"] == 7
    assert {each["meta"]["resourceType"] for each in everything["Resources"]} == {"User", "Group"}
    assert crew.found('?filter=displayName eq "Office"')["totalResults"] == 1
    assert crew.ask("POST", "/.search", {"filter": "userName pr"}).json()["totalResults"] == 5


@pytest.mark.parametrize(
    "filter_", ["userName", 'userName eq "', "userName xx 1", "(" * 50 + 'userName eq "a"' + ")" * 50]
)
def test_what_is_no_filter_is_refused(crew: Provider, filter_: str) -> None:
    answer = crew.http.get(f"{crew.url}/Users", params={"filter": filter_})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


def test_a_list_longer_than_is_read_at_once_is_whole(provider: Provider) -> None:
    """More users than one read of rows has, so that pages begin and end inside of reads."""
    ids = [provider.new_user(f"user{number:04}")["id"] for number in range(510)]
    seen: list[str] = []
    while page := provider.found(f"/Users?startIndex={len(seen) + 1}&count=150&attributes=id")["Resources"]:
        seen += [found["id"] for found in page]
    assert seen == sorted(ids)
    assert len(provider.found("/Users?startIndex=505&count=1000&attributes=id")["Resources"]) == 6
    assert provider.found("/Users?attributes=id")["itemsPerPage"] == 100
    assert provider.found('/Users?filter=userName sw "user05"')["totalResults"] == 10
    whole = provider.ask("PUT", f"/Groups/{provider.new_group('All')['id']}", group("All", *ids))
    assert len(whole.json()["members"]) == 510
    assert provider.members(whole.json()["id"]) == set(ids)
    of_all = provider.found(f'/Users?filter=groups eq "{whole.json()["id"]}"&count=7')
    assert (of_all["totalResults"], of_all["itemsPerPage"]) == (510, 7)
