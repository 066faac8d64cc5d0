"""What identity providers really send: each is accepted, counted by its leniency, and refused where that is off."""

from typing import Any

import pytest

from adapters.scim.errors import ScimError
from adapters.scim.leniency import EVERY_LENIENCY, Leniency, Tolerance
from adapters.scim.patch import apply
from adapters.scim.resources import read_resource
from adapters.scim.schema import ENTERPRISE, GROUP, USER

ANN: dict[str, Any] = {"schemas": [USER.urn], "id": "user_1", "userName": "ann", "active": True}
ROLE = '{"id":"18d1","value":"25","displayName":"Role1234"}'


def after(operation: dict[str, Any], *leniencies: Leniency, start: dict[str, Any] = ANN) -> dict[str, Any]:
    """The resource after one operation, which needs exactly these leniencies."""
    tolerance = Tolerance()
    result = apply(start, [operation], USER, tolerance)
    assert tolerance.used == set(leniencies)
    for rule in leniencies:
        if rule not in {Leniency.KEEP_SELECTOR, Leniency.JSON_IN_STRING}:
            with pytest.raises(ScimError):
                apply(start, [operation], USER, Tolerance(EVERY_LENIENCY - {rule}))
    return result


@pytest.mark.parametrize("op", ["Replace", "REPLACE", "Add"])
def test_the_name_of_an_operation_may_be_capitalised(op: str) -> None:
    assert after({"op": op, "path": "title", "value": "Pilot"}, Leniency.OPERATION_CASE)["title"] == "Pilot"


@pytest.mark.parametrize(("sent", "kept"), [("False", False), ("false", False), ("True", True), ("TRUE", True)])
def test_a_boolean_may_come_as_a_string(sent: str, kept: bool) -> None:
    assert after({"op": "replace", "path": "active", "value": sent}, Leniency.STRING_BOOLEAN)["active"] is kept
    assert after({"op": "replace", "value": {"active": sent}}, Leniency.STRING_BOOLEAN)["active"] is kept


def test_only_booleans_are_read_as_booleans() -> None:
    assert after({"op": "replace", "path": "title", "value": "False"})["title"] == "False"


def test_paths_as_keys_are_expanded_and_never_kept_as_names() -> None:
    value = {"displayName": "B", "name.givenName": "K", "name.familyName": "U", f"{ENTERPRISE}:employeeNumber": "A"}
    for op in ("add", "replace"):
        result = after({"op": op, "value": value}, Leniency.PATH_AS_KEY)
        assert result["name"] == {"givenName": "K", "familyName": "U"}
        assert result[ENTERPRISE] == {"employeeNumber": "A"}
        assert result["schemas"] == [USER.urn, ENTERPRISE]
        assert set(result) == {*ANN, "displayName", "name", ENTERPRISE}


@pytest.mark.parametrize("op", ["add", "replace"])
@pytest.mark.parametrize("path", ['emails[type eq "work"].value', 'emails[type eq "work"].Value'])
def test_a_selected_value_that_is_missing_is_made(op: str, path: str) -> None:
    work = {"type": "work", "value": "a@x.example"}
    operation = {"op": op, "path": path, "value": "a@x.example"}
    assert after(operation, Leniency.CREATE_MISSING_ENTRY)["emails"] == [work]
    home = {"type": "home", "value": "b@x.example"}
    start = {**ANN, "emails": [home]}
    assert after(operation, Leniency.CREATE_MISSING_ENTRY, start=start)["emails"] == [home, work]


def test_a_replaced_value_keeps_what_it_was_selected_by() -> None:
    start = {**ANN, "emails": [{"type": "work", "value": "a@x.example", "display": "A"}]}
    operation = {"op": "replace", "path": 'emails[type eq "work"]', "value": {"value": "b@x.example"}}
    result = after(operation, Leniency.KEEP_SELECTOR, start=start)
    assert result["emails"] == [{"type": "work", "value": "b@x.example"}]


def test_a_manager_may_be_a_bare_string_and_be_removed() -> None:
    path = f"{ENTERPRISE}:manager"
    managed = after({"op": "add", "path": path, "value": "123456"}, Leniency.BARE_VALUE)
    assert managed[ENTERPRISE] == {"manager": {"value": "123456"}}
    body = {"schemas": [USER.urn, ENTERPRISE], "userName": "ann", ENTERPRISE: {"manager": "123456"}}
    assert read_resource(body, USER)[ENTERPRISE] == {"manager": {"value": "123456"}}
    assert ENTERPRISE not in after({"op": "remove", "path": path}, start=managed)


def test_a_role_may_be_an_object_in_a_string() -> None:
    added = after({"op": "add", "path": "roles", "value": [{"value": ROLE}]}, Leniency.JSON_IN_STRING)
    assert added["roles"] == [{"display": "Role1234", "value": "25"}]
    strict = apply(ANN, [{"op": "add", "path": "roles", "value": [{"value": ROLE}]}], USER, Tolerance(frozenset()))
    assert strict["roles"] == [{"value": ROLE}]


def test_roles_that_a_replacement_does_not_name_are_gone() -> None:
    start = {**ANN, "roles": [{"value": "24"}, {"value": "25"}]}
    operation = {"op": "replace", "path": "roles", "value": [{"value": ROLE}]}
    assert [role["value"] for role in after(operation, Leniency.JSON_IN_STRING, start=start)["roles"]] == ["25"]


def test_the_primary_role_is_selected_by_a_boolean_in_quotes() -> None:
    operation = {"op": "add", "path": 'roles[primary eq "True"].value', "value": "25"}
    made = after(operation, Leniency.STRING_BOOLEAN, Leniency.CREATE_MISSING_ENTRY)
    assert made["roles"] == [{"primary": True, "value": "25"}]
    start = {**ANN, "roles": [{"value": "1", "primary": True}, {"value": "2"}]}
    assert after(operation, Leniency.STRING_BOOLEAN, start=start)["roles"][0] == {"value": "25", "primary": True}


def test_a_deactivation_without_path_merges() -> None:
    assert after({"op": "replace", "value": {"active": False}}) == {**ANN, "active": False}


def test_an_id_inside_a_value_is_passed_over() -> None:
    operation = {"op": "replace", "value": {"id": "user_1", "title": "Pilot"}}
    assert after(operation, Leniency.READ_ONLY_IN_VALUE) == {**ANN, "title": "Pilot"}


def test_some_values_of_a_list_are_removed_by_naming_them() -> None:
    start = {**ANN, "emails": [{"type": "work", "value": "A@x.example"}, {"type": "home", "value": "a@x.example"}]}
    operation = {"op": "remove", "path": "emails", "value": [{"type": "home", "value": "a@x.example"}]}
    result = after(operation, Leniency.REMOVE_LISTED_VALUES, start=start)
    assert result["emails"] == [{"type": "work", "value": "A@x.example"}]
    assert after({**operation, "value": []}, Leniency.REMOVE_LISTED_VALUES, start=start)["emails"] == start["emails"]


def test_one_value_may_stand_for_a_list() -> None:
    operation = {"op": "add", "path": "emails", "value": {"value": "a@x.example"}}
    assert after(operation, Leniency.SINGLE_FOR_LIST)["emails"] == [{"value": "a@x.example"}]


def test_a_password_is_dropped_wherever_it_comes() -> None:
    assert after({"op": "replace", "path": "password", "value": "s3cret"}, Leniency.PASSWORD_DROPPED) == ANN
    assert after({"op": "replace", "value": {"password": "s3cret"}}, Leniency.PASSWORD_DROPPED) == ANN
    assert after({"op": "remove", "path": "password"}, Leniency.PASSWORD_DROPPED) == ANN


def test_okta_creates_a_user() -> None:
    body = {
        "schemas": [USER.urn],
        "userName": "leela@planet.example",
        "name": {"givenName": "Turanga", "familyName": "Leela"},
        "emails": [{"primary": True, "value": "Leela@Planet.Example", "type": "work"}],
        "displayName": "Turanga Leela",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
    }
    tolerance = Tolerance()
    kept = read_resource(body, USER, tolerance)
    assert kept == {name: value for name, value in body.items() if name not in {"password", "groups"}}
    assert tolerance.used == {Leniency.PASSWORD_DROPPED}


def test_entra_creates_a_group_with_a_schema_of_its_own() -> None:
    body = {
        "schemas": [GROUP.urn, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "crew",
        "meta": {"resourceType": "Group"},
    }
    tolerance = Tolerance()
    kept = read_resource(body, GROUP, tolerance)
    assert kept == {"schemas": [GROUP.urn], "externalId": body["externalId"], "displayName": "crew"}
    assert tolerance.used == {Leniency.UNKNOWN_SCHEMA}
