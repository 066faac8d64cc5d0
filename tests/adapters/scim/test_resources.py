"""A resource is read strictly by its schema, and kept exactly as it was sent."""

from typing import Any

import pytest

from adapters.scim.errors import ScimError, error_body
from adapters.scim.leniency import EVERY_LENIENCY, Leniency, Tolerance
from adapters.scim.resources import list_response, read_resource
from adapters.scim.schema import ENTERPRISE, GROUP, USER, ResourceType


def user(**attributes: Any) -> dict[str, Any]:
    return {"schemas": [USER.urn], "userName": "ann", **attributes}


def refusal(body: object, kind: ResourceType = USER, tolerance: Tolerance | None = None) -> ScimError:
    with pytest.raises(ScimError) as refused:
        read_resource(body, kind, tolerance)
    return refused.value


def test_values_are_kept_as_they_were_sent() -> None:
    sent = user(
        emails=[{"value": "Ann.BELL+x@Example.COM", "type": "Work"}],
        phoneNumbers=[{"value": " 0044 (0)20 "}],
        profileUrl="HTTP://Example.COM:80/%7eann",
        displayName="\uff21\uff4e\uff4e \ufb01",
    )
    assert read_resource(sent, USER) == sent


def test_names_are_matched_without_case_and_kept_as_the_schema_has_them() -> None:
    sent: dict[str, Any] = {"SCHEMAS": [USER.urn.upper()], "username": "ann", "Emails": [{"VALUE": "a@x.example"}]}
    sent[ENTERPRISE.lower()] = {"DEPARTMENT": "Tours"}
    kept = read_resource(sent, USER, Tolerance(frozenset()))
    assert kept == {
        "schemas": [USER.urn, ENTERPRISE],
        "userName": "ann",
        "emails": [{"value": "a@x.example"}],
        ENTERPRISE: {"department": "Tours"},
    }


def test_null_and_empty_are_absent() -> None:
    sent = user(title=None, emails=[], name={"givenName": None}, phoneNumbers=[None, {"value": None}])
    assert read_resource({**sent, ENTERPRISE: {}}, USER) == user()


def test_what_only_the_server_may_say_is_ignored() -> None:
    strict = Tolerance(frozenset())
    sent = user(id="x", meta={"version": "1"}, groups=[{"value": "group_1"}])
    assert read_resource(sent, USER, strict) == user()
    manager = {"value": "user_2", "displayName": "Boss"}
    assert read_resource(user(**{ENTERPRISE: {"manager": manager}}), USER, strict)[ENTERPRISE] == {
        "manager": {"value": "user_2"}
    }


def test_a_password_is_dropped_unread() -> None:
    assert read_resource(user(password={"deep": [1]}), USER) == user()
    assert "s3cret" not in refusal(user(password="s3cret"), USER, Tolerance(frozenset())).detail


def test_members_are_kept_without_the_names_sent_with_them() -> None:
    members = [{"value": "user_1", "display": "Ann", "$ref": None}]
    kept = read_resource({"schemas": [GROUP.urn], "displayName": "Crew", "members": members}, GROUP)
    assert kept["members"] == [{"value": "user_1"}]


@pytest.mark.parametrize(
    ("sent", "rule"),
    [
        (user(shoeSize=9), Leniency.UNKNOWN_ATTRIBUTE),
        (user(name={"nick": "A", "givenName": "Ann"}), Leniency.UNKNOWN_ATTRIBUTE),
        (user(**{"urn:other:2.0:Thing": {"size": 9}}), Leniency.UNKNOWN_SCHEMA),
        ({**user(), "schemas": [USER.urn, "urn:other:2.0:Thing"]}, Leniency.UNKNOWN_SCHEMA),
        ({"userName": "ann"}, Leniency.MISSING_SCHEMAS),
        ({"schemas": [ENTERPRISE], "userName": "ann"}, Leniency.MISSING_SCHEMAS),
    ],
)
def test_what_we_do_not_know_is_ignored_and_counted(sent: dict[str, Any], rule: Leniency) -> None:
    tolerance = Tolerance()
    kept = read_resource(sent, USER, tolerance)
    assert tolerance.used == {rule}
    assert kept["userName"] == "ann"
    assert kept["schemas"] == [USER.urn]
    assert set(kept) <= {"schemas", "userName", "name"}
    assert refusal(sent, USER, Tolerance(EVERY_LENIENCY - {rule})).scim_type == "invalidSyntax"


@pytest.mark.parametrize(
    ("sent", "scim_type"),
    [
        (None, "invalidSyntax"),
        ([user()], "invalidSyntax"),
        ({"schemas": [USER.urn, 7], "userName": "ann"}, "invalidSyntax"),
        ({"schemas": [USER.urn]}, "invalidValue"),
        (user(userName=None), "invalidValue"),
        (user(userName=""), "invalidValue"),
        (user(userName=["ann"]), "invalidValue"),
        (user(username="bob"), "invalidSyntax"),
        (user(title="a\0b"), "invalidValue"),
        (user(title="\udfff"), "invalidValue"),
        (user(active="perhaps"), "invalidValue"),
        (user(emails=[[["a"]]]), "invalidValue"),
        (user(name=7), "invalidValue"),
        (user(emails=[{"value": "a", "primary": True}, {"value": "b", "primary": True}]), "invalidValue"),
        (user(**{ENTERPRISE: "Tours"}), "invalidSyntax"),
        (user(**{USER.urn: {"userName": "bob"}}), "invalidSyntax"),
        (user(emails=[{"value": str(number)} for number in range(201)]), None),
        (user(photos=[{"value": "x" * 9_000, "type": str(number)} for number in range(4)]), None),
    ],
)
def test_what_is_no_user_is_refused(sent: object, scim_type: str | None) -> None:
    error = refusal(sent)
    assert error.scim_type == scim_type
    assert error.status == (400 if scim_type else 413)


def test_a_group_needs_a_name() -> None:
    assert refusal({"schemas": [GROUP.urn]}, GROUP).detail == "displayName is required"


def test_a_list_has_numbers_and_a_list_also_of_nothing() -> None:
    assert list_response([], 0) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 0,
        "startIndex": 1,
        "itemsPerPage": 0,
        "Resources": [],
    }
    assert list_response([user()], 12, 7)["itemsPerPage"] == 1


def test_an_error_has_its_status_as_a_string() -> None:
    assert error_body(ScimError(409, "uniqueness", "the userName is taken")) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "409",
        "scimType": "uniqueness",
        "detail": "the userName is taken",
    }
    assert "scimType" not in error_body(ScimError(404, None, "gone"))
