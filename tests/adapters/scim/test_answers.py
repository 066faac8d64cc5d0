"""What an answer shows, in which order and on which page, and what the discovery documents promise."""

import json
from typing import Any

import pytest

from adapters.scim import discovery
from adapters.scim.errors import ScimError
from adapters.scim.projection import Projection, project
from adapters.scim.queries import Query, read_query, sort
from adapters.scim.schema import ENTERPRISE, GROUP, RESOURCE_TYPES, USER

ANN: dict[str, Any] = {
    "schemas": [USER.urn, ENTERPRISE],
    "id": "user_1",
    "userName": "ann",
    "name": {"givenName": "Ann", "familyName": "Bell"},
    "emails": [{"type": "work", "value": "a@x.example"}, {"type": "home"}],
    ENTERPRISE: {"department": "Tours", "manager": {"value": "user_2"}},
    "meta": {"resourceType": "User", "version": 'W/"3"'},
}
ALWAYS = {"schemas": [USER.urn], "id": "user_1"}


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        (["userName"], {"userName": "ann"}),
        (["USERNAME", "shoeSize"], {"userName": "ann"}),
        (["shoeSize"], {}),
        (["name.familyName"], {"name": {"familyName": "Bell"}}),
        (["name.familyName", "name"], {"name": ANN["name"]}),
        (["emails.value"], {"emails": [{"value": "a@x.example"}]}),
        (["meta.version"], {"meta": {"version": 'W/"3"'}}),
        ([ENTERPRISE], {ENTERPRISE: ANN[ENTERPRISE], "schemas": ANN["schemas"]}),
        ([f"{ENTERPRISE}:manager.value"], {ENTERPRISE: {"manager": {"value": "user_2"}}, "schemas": ANN["schemas"]}),
        ([f"{USER.urn}:userName"], {"userName": "ann"}),
        (["password"], {}),
    ],
)
def test_attributes_show_what_they_name_and_what_is_always_shown(attributes: list[str], shown: dict[str, Any]) -> None:
    assert project({**ANN, "password": "s3cret"}, USER, attributes) == {**ALWAYS, **shown}


@pytest.mark.parametrize(
    ("excluded", "gone"),
    [
        (["userName"], {"userName"}),
        (["id", "schemas"], set()),
        (["emails.type", "emails.value"], {"emails"}),
        (["meta", "name"], {"meta", "name"}),
        ([ENTERPRISE], {ENTERPRISE}),
        ([f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager"], {ENTERPRISE}),
    ],
)
def test_excluded_attributes_are_left_out(excluded: list[str], gone: set[str]) -> None:
    shown = project(ANN, USER, excluded=excluded)
    assert set(shown) == set(ANN) - gone
    assert shown["schemas"] == [urn for urn in ANN["schemas"] if urn not in gone]


def test_a_part_can_be_excluded() -> None:
    assert project(ANN, USER, excluded=["name.givenName"])["name"] == {"familyName": "Bell"}


def test_nothing_asked_shows_everything_but_what_is_never_shown() -> None:
    assert project({**ANN, "password": "s3cret", "shoeSize": 9}, USER) == ANN


def test_attributes_and_excluded_attributes_exclude_each_other() -> None:
    with pytest.raises(ScimError, match="exclude each other"):
        Projection(USER, ["userName"], ["name"])


def test_a_projection_says_whether_members_are_needed_before_they_are_read() -> None:
    assert Projection(GROUP).returns("members")
    assert Projection(GROUP, ["members.value"]).returns("members")
    assert not Projection(GROUP, excluded=["Members"]).returns("members")
    assert not Projection(GROUP, ["displayName"]).returns("members")


def people(*names: str | None) -> list[dict[str, Any]]:
    given = [{} if name is None else {"displayName": name} for name in names]
    return [{"schemas": [USER.urn], "id": str(number), **name} for number, name in enumerate(given)]


def order(resources: list[dict[str, Any]], by: str, *, descending: bool = False) -> list[str]:
    return [one["id"] for one in sort(resources, by, descending, RESOURCE_TYPES)]


def test_resources_are_sorted_without_case_and_those_without_a_value_come_last() -> None:
    assert order(people("b", None, "A", "c"), "displayName") == ["2", "0", "3", "1"]
    assert order(people("b", None, "A", "c"), "DISPLAYNAME", descending=True) == ["1", "3", "0", "2"]


def test_equal_resources_keep_their_order() -> None:
    assert order(people("a", "A", "a"), "displayName") == ["0", "1", "2"]
    assert order(people("a", "A", "a"), "displayName", descending=True) == ["0", "1", "2"]


def test_of_several_values_the_primary_one_sorts() -> None:
    first, second = people(None, None)
    first["emails"] = [{"value": "a"}, {"value": "z", "primary": True}]
    second["emails"] = [{"value": "m"}, {"value": "b"}]
    assert order([first, second], "emails") == ["1", "0"]
    assert order([first, second], "emails.value", descending=True) == ["0", "1"]


def test_users_and_groups_sort_together() -> None:
    group = {"schemas": [GROUP.urn], "id": "g", "displayName": "B"}
    assert order([*people("c", "a"), group], "displayName") == ["1", "g", "0"]
    assert order([group, *people("c")], "userName") == ["g", "0"]


def test_sorting_by_nothing_we_have_is_refused() -> None:
    with pytest.raises(ScimError) as refused:
        sort([], "shoeSize", False, RESOURCE_TYPES)
    assert refused.value.scim_type == "invalidPath"


def test_a_query_is_read_from_a_url_and_from_a_body() -> None:
    expected = Query(
        attributes=("userName", "name.familyName"),
        filter="title pr",
        sort_by="userName",
        descending=True,
        start_index=3,
        count=0,
    )
    url = {"attributes": "userName, name.familyName", "filter": "title pr", "sortBy": "userName"}
    assert read_query({**url, "sortOrder": "Descending", "startIndex": "3", "count": "-5"}) == expected
    body = {**url, "attributes": ["userName", "name.familyName"], "startIndex": 3, "count": 0, "schemas": ["x"]}
    assert read_query({**body, "sortOrder": "descending"}) == expected
    assert read_query({"startIndex": "-1", "aadOptscim062020": "", "filter": "", "sortBy": ""}) == Query()
    assert read_query({"excludedAttributes": "members", "count": None}) == Query(excluded=("members",))


@pytest.mark.parametrize(
    "parameters",
    [
        {"startIndex": "one"},
        {"startIndex": ""},
        {"startIndex": "1e9"},
        {"startIndex": True},
        {"count": "9" * 5_000},
        {"count": 10**5_000},
        {"count": 1.5},
        {"count": "²"},
        {"sortOrder": "up"},
        {"sortBy": 7},
        {"filter": ["title pr"]},
        {"filter": "x" * 10_000},
        {"attributes": 7},
        {"attributes": [7]},
        {"attributes": {"userName": 1}},
        {"attributes": ["\ud800"]},
        {"attributes": ",".join(["userName"] * 300)},
    ],
)
def test_what_is_no_query_is_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(ScimError) as refused:
        read_query(parameters)
    assert refused.value.status == 400


def test_discovery_promises_what_is_there() -> None:
    config = discovery.service_provider_config("https://scim.example")
    supported = {
        name: part["supported"] for name, part in config.items() if isinstance(part, dict) and "supported" in part
    }
    assert supported == {
        "patch": True,
        "bulk": False,
        "filter": True,
        "changePassword": False,
        "sort": True,
        "etag": True,
    }
    assert config["meta"]["location"] == "https://scim.example/ServiceProviderConfig"


def test_discovery_documents_are_found_by_their_names_and_no_others() -> None:
    listed = discovery.schemas("https://scim.example")["Resources"]
    for document in listed:
        assert discovery.schema("https://scim.example", document["id"].upper()) == document
        assert document["meta"]["location"] == f"https://scim.example/Schemas/{document['id']}"
    assert {USER.urn, ENTERPRISE, GROUP.urn} <= {document["id"] for document in listed}
    assert discovery.resource_type("https://scim.example", "User")["endpoint"] == "/Users"
    for find in (discovery.schema, discovery.resource_type):
        with pytest.raises(ScimError) as refused:
            find("https://scim.example", "urn:none")
        assert refused.value.status == 404


def test_discovery_has_no_nulls_and_no_password() -> None:
    everything = json.dumps(
        [discovery.schemas("x"), discovery.resource_types("x"), discovery.service_provider_config("x")]
    )
    assert "null" not in everything
    assert '"password"' not in everything


def test_every_published_attribute_is_one_we_read() -> None:
    for kind in RESOURCE_TYPES:
        for urn in (kind.urn, *kind.extensions):
            for attribute in discovery.schema("x", urn)["attributes"]:
                found = kind.resolve(f"{urn}:{attribute['name']}")
                assert found is not None
                assert found.attribute is not None
                assert found.attribute.multi_valued == attribute["multiValued"]
                assert found.attribute.mutability == attribute["mutability"]
