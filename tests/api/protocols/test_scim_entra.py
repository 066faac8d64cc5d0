"""What Microsoft Entra ID sends, against a running node."""

from typing import Any

import pytest

from adapters.scim.schema import ENTERPRISE
from tests.api.protocols.provisioning import SCIM, Provider, group, user


def test_e1_e2_an_operation_in_capitals_deactivates_with_a_string(provider: Provider) -> None:
    id = provider.new_user("ann")["id"]
    changed = provider.patch(f"/Users/{id}", {"op": "Replace", "path": "active", "value": "False"})
    assert changed.status_code == 200
    assert changed.json()["active"] is False
    assert provider.events()[-1]["type"] == "UserDeactivated"


@pytest.mark.parametrize("flag", ["aadOptscim062020", "AzureAdScimPatch2017"])
def test_e3_the_flag_in_the_address_changes_nothing(provider: Provider, flag: str) -> None:
    id = provider.new_user("ann")["id"]
    for operation in (
        {"op": "replace", "path": "displayName", "value": "Ann"},
        {"op": "Replace", "value": {"name.givenName": "Ann"}},
    ):
        assert provider.patch(f"/Users/{id}?{flag}", operation).status_code == 200
    found = provider.found(f"/Users/{id}?{flag}")
    assert (found["displayName"], found["name"]) == ("Ann", {"givenName": "Ann"})


def test_e4_e5_e6_members_are_added_and_only_those_named_are_removed(provider: Provider) -> None:
    ids = [provider.new_user(name)["id"] for name in ("ann", "ben", "cat")]
    crew = provider.new_group("Crew")["id"]
    added = {"op": "Add", "path": "members", "value": [{"$ref": None, "value": id} for id in ids]}
    assert provider.patch(f"/Groups/{crew}", added).status_code == 204
    assert provider.members(crew) == set(ids)
    listed = {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": ids[0]}]}
    assert provider.patch(f"/Groups/{crew}", listed).status_code == 204
    assert provider.members(crew) == set(ids[1:])
    selected = {"op": "remove", "path": f'members[value eq "{ids[1]}"]'}
    assert provider.patch(f"/Groups/{crew}", selected).status_code == 204
    assert provider.members(crew) == {ids[2]}


def test_e7_e9_dotted_and_urn_keys_reach_the_attributes_they_mean(provider: Provider) -> None:
    id = provider.new_user("ann")["id"]
    value = {"displayName": "B", "name.givenName": "K", f"{ENTERPRISE}:employeeNumber": "A"}
    provider.patch(f"/Users/{id}", {"op": "replace", "value": value})
    provider.patch(f"/Users/{id}", {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "R&D"})
    found = provider.found(f"/Users/{id}")
    assert found["name"] == {"givenName": "K"}
    assert found[ENTERPRISE] == {"employeeNumber": "A", "department": "R&D"}
    assert "name.givenName" not in found


def test_e8_e11_a_work_address_is_made_where_there_is_none(provider: Provider) -> None:
    id = provider.new_user("ann")["id"]
    changed = provider.patch(
        f"/Users/{id}",
        {"op": "Add", "path": 'emails[type eq "work"].Value', "value": "a@x.example"},
        {"op": "Add", "path": 'addresses[type eq "other"].Formatted', "value": "Here"},
    )
    assert changed.status_code == 200
    found = provider.found(f"/Users/{id}")
    assert found["emails"] == [{"type": "work", "value": "a@x.example"}]
    assert found["addresses"] == [{"type": "other", "formatted": "Here"}]


def test_e10_a_manager_comes_as_a_bare_string_and_goes(provider: Provider) -> None:
    id = provider.new_user("ann", **{ENTERPRISE: {"manager": "123456"}})["id"]
    assert provider.found(f"/Users/{id}")[ENTERPRISE] == {"manager": {"value": "123456"}}
    assert provider.patch(f"/Users/{id}", {"op": "Remove", "path": f"{ENTERPRISE}:manager"}).status_code == 200
    assert ENTERPRISE not in provider.found(f"/Users/{id}")


def test_e12_a_role_in_a_string_is_unwrapped_and_selected_by_a_string(provider: Provider) -> None:
    role = '{"id":"18d1","value":"25","displayName":"Role1234"}'
    id = provider.new_user("ann")["id"]
    provider.patch(f"/Users/{id}", {"op": "Add", "path": "roles", "value": [{"value": role, "primary": "True"}]})
    assert provider.found(f"/Users/{id}")["roles"] == [{"value": "25", "display": "Role1234", "primary": True}]
    assert [found["id"] for found in provider.find("Users", 'roles[primary eq "True"].value eq "25"')] == [id]


def test_e13_a_group_may_name_a_schema_that_nobody_else_knows(provider: Provider) -> None:
    body = group("Crew", externalId="8aa1a0c0")
    body["schemas"].append("http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group")
    answer = provider.ask("POST", "/Groups", body)
    assert answer.status_code == 201
    assert "members" not in answer.json()


def test_e14_members_that_are_excluded_are_not_answered(provider: Provider) -> None:
    crew = provider.new_group("Crew", provider.new_user("ann")["id"])["id"]
    assert "members" not in provider.found(f"/Groups/{crew}?excludedAttributes=members")
    listed = provider.found('/Groups?excludedAttributes=members&filter=displayName eq "Crew"')
    assert [found["id"] for found in listed["Resources"]] == [crew]
    assert "members" not in listed["Resources"][0]


@pytest.mark.parametrize(
    "filter_",
    [
        'userName eq "Ann@X.example"',
        'userName eq "ann@x.EXAMPLE"',
        'externalId eq "jyoung"',
        "externalId eq jyoung",
        'emails[type eq "work"].value eq "a@x.example"',
        'userName eq "ann@x.example" and externalId eq "jyoung"',
    ],
)
def test_e15_a_user_is_found_by_what_entra_matches_by(provider: Provider, filter_: str) -> None:
    id = provider.new_user("Ann@X.example", externalId="jyoung", emails=[{"type": "work", "value": "a@x.example"}])[
        "id"
    ]
    provider.new_user("ben@x.example", externalId="JYOUNG")
    assert [found["id"] for found in provider.find("Users", filter_)] == [id]


def test_e15_a_membership_is_asked_for_by_group_and_member(provider: Provider) -> None:
    ann, ben = (provider.new_user(name)["id"] for name in ("ann", "ben"))
    crew = provider.new_group("Crew", ann)["id"]
    assert [found["id"] for found in provider.find("Groups", f'id eq "{crew}" and members eq "{ann}"')] == [crew]
    assert provider.find("Groups", f'id eq "{crew}" and members eq "{ben}"') == []
    assert [found["id"] for found in provider.find("Groups", f'members[value eq "{ann}"]')] == [crew]


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_e16_e18_nothing_found_is_an_empty_list_and_an_unknown_id_is_404(provider: Provider, kind: str) -> None:
    attribute = "userName" if kind == "Users" else "displayName"
    listed = provider.found(f'/{kind}?filter={attribute} eq "7a5c7a2e-nobody"')
    assert (listed["totalResults"], listed["Resources"]) == (0, [])
    missing = provider.get(f"/{kind}/7a5c7a2e")
    assert missing.status_code == 404
    assert (missing.json()["status"], missing.headers["content-type"]) == ("404", SCIM)


def test_e17_a_disabled_user_is_answered_until_deleted(provider: Provider) -> None:
    id = provider.new_user("ann", active=False)["id"]
    assert provider.found(f"/Users/{id}")["active"] is False
    assert [found["id"] for found in provider.find("Users", 'userName eq "ann"')] == [id]
    assert provider.ask("DELETE", f"/Users/{id}").status_code == 204
    assert provider.get(f"/Users/{id}").status_code == 404
    assert provider.find("Users", 'userName eq "ann"') == []


def test_e19_a_patched_group_is_only_answered_if_it_is_asked_for(provider: Provider) -> None:
    ann, ben = (provider.new_user(name)["id"] for name in ("ann", "ben"))
    crew = provider.new_group("Crew", ann)["id"]
    add = {"op": "add", "path": "members", "value": [{"value": ben}]}
    quiet = provider.patch(f"/Groups/{crew}", add)
    assert (quiet.status_code, quiet.content) == (204, b"")
    told = provider.patch(f"/Groups/{crew}?attributes=members,displayName", add)
    assert told.status_code == 200
    assert {member["value"] for member in told.json()["members"]} == {ann, ben}
    assert told.headers["etag"] == quiet.headers["etag"] == provider.get(f"/Groups/{crew}").headers["etag"]


def test_e20_every_answer_is_scim_json_with_ids_and_without_nulls(provider: Provider) -> None:
    id = provider.new_user("ann")["id"]
    crew = provider.new_group("Crew", id)["id"]
    paths = (
        "/Users",
        "/Groups",
        f"/Users/{id}",
        f"/Groups/{crew}",
        "/Schemas",
        "/ResourceTypes",
        "/ServiceProviderConfig",
    )
    for path in paths:
        answer = provider.get(path)
        assert answer.headers["content-type"] == SCIM
        assert not has_null(answer.json())
    assert provider.found("/Schemas")["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]


def has_null(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(has_null(part) for part in parts)


def test_e21_values_come_back_exactly_as_they_were_sent(provider: Provider) -> None:
    sent = user(
        "Änn.O'Néill@X.Example",
        externalId=" 00u ",
        displayName="  Ann  ",
        name={"formatted": "Dr. Ann", "givenName": "Änn", "familyName": "O'Néill", "honorificPrefix": "Dr."},
        emails=[
            {"type": "home", "value": "Home@X.Example"},
            {"type": "work", "value": "Work@X.Example ", "primary": True},
            {"type": "other", "value": "not an address"},
        ],
        phoneNumbers=[{"type": "work", "value": "+49 (0)30 / 123-45"}, {"value": "tel:+1-201-555-0123"}],
        locale="de_DE",
        active=True,
        **{ENTERPRISE: {"employeeNumber": "007", "costCenter": "", "manager": {"value": "usr_x"}}},
    )
    id = provider.ask("POST", "/Users", sent).json()["id"]
    found = provider.found(f"/Users/{id}")
    assert {name: found[name] for name in sent} == sent
    assert provider.ask("PUT", f"/Users/{id}", sent).json() == found


def test_e23_a_request_without_user_agent_is_answered(provider: Provider) -> None:
    request = provider.http.build_request("GET", f"{provider.url}/Users")
    del request.headers["user-agent"]
    assert provider.http.send(request).status_code == 200


def test_e24_groups_within_groups_are_passed_over(provider: Provider) -> None:
    ann = provider.new_user("ann")["id"]
    inner = provider.new_group("Inner")["id"]
    outer = provider.new_group("Outer", ann, inner)["id"]
    add = {"op": "add", "path": "members", "value": [{"value": inner, "type": "Group"}]}
    assert provider.patch(f"/Groups/{outer}", add).status_code == 204
    assert provider.members(outer) == {ann}
