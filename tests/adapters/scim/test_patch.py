"""PATCH as RFC 7644 §3.5.2 has it."""

import copy
from typing import Any

import pytest

from adapters.scim.errors import ScimError
from adapters.scim.leniency import Tolerance
from adapters.scim.patch import MAX_OPERATIONS, apply, read_patch
from adapters.scim.schema import ENTERPRISE, USER, Attribute, ResourceType

ANN: dict[str, Any] = {
    "schemas": [USER.urn, ENTERPRISE],
    "id": "user_1",
    "userName": "ann",
    "name": {"givenName": "Ann", "familyName": "Bell"},
    "emails": [
        {"type": "work", "value": "ann@work.example", "primary": True},
        {"type": "home", "value": "ann@home.example"},
    ],
    "addresses": [{"type": "work", "locality": "Hollywood", "region": "CA"}],
    ENTERPRISE: {"department": "Tours", "manager": {"value": "user_2", "$ref": "https://scim.example/Users/user_2"}},
}

STRICT = Tolerance(frozenset())


def patched(*operations: dict[str, Any], start: dict[str, Any] = ANN, strict: bool = True) -> dict[str, Any]:
    before = copy.deepcopy(start)
    after = apply(start, operations, USER, STRICT if strict else Tolerance())
    assert start == before
    return after


def refused(*operations: object) -> tuple[str | None, str]:
    with pytest.raises(ScimError) as error:
        apply(ANN, operations, USER, STRICT)
    assert error.value.status == 400
    return error.value.scim_type, error.value.detail


def add(path: str | None, value: object) -> dict[str, Any]:
    return {"op": "add", "value": value} | ({} if path is None else {"path": path})


def replace(path: str | None, value: object) -> dict[str, Any]:
    return {**add(path, value), "op": "replace"}


def remove(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}


def test_add_without_path_merges_the_attributes_of_its_value() -> None:
    after = patched(add(None, {"emails": [{"value": "babs@jensen.org", "type": "other"}], "nickName": "Babs"}))
    assert [email["type"] for email in after["emails"]] == ["work", "home", "other"]
    assert after["nickName"] == "Babs"
    assert after["name"] == ANN["name"]


def test_add_to_a_complex_attribute_leaves_its_other_parts() -> None:
    assert patched(add("name", {"middleName": "C"}))["name"] == {**ANN["name"], "middleName": "C"}


def test_add_of_a_value_that_is_there_changes_nothing() -> None:
    assert patched(add("emails", [{"type": "home", "value": "ann@home.example"}])) == ANN


def test_add_to_selected_values_adds_to_those_only() -> None:
    emails = patched(add('emails[type eq "home"]', {"display": "Home"}))["emails"]
    assert emails == [ANN["emails"][0], {**ANN["emails"][1], "display": "Home"}]


def test_replace_of_a_list_replaces_all_of_it() -> None:
    assert patched(replace("emails", [{"value": "x@y.example"}]))["emails"] == [{"value": "x@y.example"}]


def test_replace_of_a_complex_attribute_leaves_what_it_does_not_name() -> None:
    assert patched(replace("name", {"givenName": "Anna"}))["name"] == {"givenName": "Anna", "familyName": "Bell"}


def test_replace_of_selected_values_replaces_them_whole() -> None:
    after = patched(replace('addresses[type eq "work"]', {"type": "work", "locality": "Oslo"}))
    assert after["addresses"] == [{"type": "work", "locality": "Oslo"}]


def test_replace_of_a_part_of_selected_values_leaves_their_rest() -> None:
    after = patched(replace('addresses[type eq "work"].locality', "Oslo"))
    assert after["addresses"] == [{"type": "work", "locality": "Oslo", "region": "CA"}]


def test_replace_without_path_touches_only_what_it_names() -> None:
    after = patched(replace(None, {"title": "Pilot", ENTERPRISE: {"department": "Flights"}}))
    assert after == {**ANN, "title": "Pilot", ENTERPRISE: {**ANN[ENTERPRISE], "department": "Flights"}}


def test_replace_with_null_or_an_empty_list_unassigns() -> None:
    after = patched(replace("emails", []), replace("name.givenName", None), replace(f"{ENTERPRISE}:manager", None))
    assert "emails" not in after
    assert after["name"] == {"familyName": "Bell"}
    assert after[ENTERPRISE] == {"department": "Tours"}


def test_remove_takes_an_attribute_a_part_or_selected_values() -> None:
    after = patched(remove("name.givenName"), remove('emails[type eq "home"]'), remove("addresses"))
    assert after["name"] == {"familyName": "Bell"}
    assert after["emails"] == ANN["emails"][:1]
    assert "addresses" not in after


def test_remove_of_a_part_of_selected_values_leaves_their_rest() -> None:
    after = patched(remove('emails[type eq "work" and value ew "work.example"].primary'))
    assert after["emails"][0] == {"type": "work", "value": "ann@work.example"}


def test_what_is_left_without_values_is_gone() -> None:
    after = patched(remove("emails[value pr]"), remove("name.givenName"), remove("name.familyName"))
    assert "emails" not in after
    assert "name" not in after


def test_a_removed_extension_leaves_the_schemas() -> None:
    after = patched(remove(ENTERPRISE))
    assert ENTERPRISE not in after
    assert after["schemas"] == [USER.urn]


def test_removing_what_is_not_there_changes_nothing() -> None:
    operations = (
        remove("title"),
        remove('emails[type eq "fax"]'),
        remove("ims.value"),
        remove(f"{ENTERPRISE}:division"),
    )
    assert patched(*operations) == ANN


def test_operations_see_what_those_before_them_did() -> None:
    after = patched(add("title", "Pilot"), replace("title", "Captain"), remove("title"), add("nickName", "A"))
    assert after == {**ANN, "nickName": "A"}


def test_a_value_made_primary_takes_it_from_the_others() -> None:
    for operation in (
        add("emails", [{"type": "other", "value": "new@x.example", "primary": True}]),
        replace('emails[type eq "home"].primary', True),
    ):
        emails = patched(operation)["emails"]
        assert [email.get("primary") for email in emails][-1] is True
        assert sum(email.get("primary") is True for email in emails) == 1
        assert emails[0]["primary"] is False


def test_two_primary_values_in_one_operation_are_refused() -> None:
    two = [{"value": "a@x.example", "primary": True}, {"value": "b@x.example", "primary": True}]
    assert refused(replace("emails", two))[0] == "invalidValue"
    assert refused(add("emails", two))[0] == "invalidValue"
    assert refused(replace("emails.primary", True))[0] == "invalidValue"


def test_a_new_manager_does_not_keep_the_reference_to_the_old_one() -> None:
    assert patched(replace(f"{ENTERPRISE}:manager.value", "user_3"))[ENTERPRISE]["manager"] == {"value": "user_3"}


def test_a_urn_is_split_at_the_longest_schema_we_know() -> None:
    after = patched(
        replace(f"{ENTERPRISE}:department", "Flights"),
        replace(f"{ENTERPRISE}:manager.value", "user_3"),
        replace(f"{USER.urn.upper()}:NAME.GivenName", "Anna"),
        replace(f'{USER.urn}:emails[type eq "home"].value', "h@x.example"),
    )
    assert after[ENTERPRISE] == {"department": "Flights", "manager": {"value": "user_3"}}
    assert after["name"]["givenName"] == "Anna"
    assert after["emails"][1]["value"] == "h@x.example"
    assert set(after) == set(ANN)


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        (replace("shoeSize", "9"), "invalidPath"),
        (replace("emails.shoeSize", "9"), "invalidPath"),
        (replace("name.givenName.first", "9"), "invalidPath"),
        (replace("urn:other:2.0:Thing:size", "9"), "invalidPath"),
        (replace("", "9"), "invalidPath"),
        (replace('emails[type eq "work"].', "9"), "invalidPath"),
        (replace('emails[type eq "work"]value', "9"), "invalidPath"),
        (replace('emails[type eq "work"] .value extra', "9"), "invalidPath"),
        (replace('name[givenName eq "Ann"]', {}), "invalidPath"),
        (replace('title[value eq "x"]', "y"), "invalidPath"),
        (replace('emails.value[type eq "work"]', "y"), "invalidPath"),
        (replace("title\0", "y"), "invalidPath"),
        (replace("emails[type is 1]", {}), "invalidFilter"),
        (replace('emails[type eq "work"', {}), "invalidPath"),
        (replace('emails[type eq "fax"].value', "x"), "noTarget"),
        (replace('emails[type eq "fax"]', {"value": "x"}), "noTarget"),
        (add('emails[not (type eq "work") and type eq "fax"].value', "x"), "noTarget"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "remove", "path": None}, "noTarget"),
        (replace("id", "user_9"), "mutability"),
        (replace("meta.version", "9"), "mutability"),
        (replace("groups", []), "mutability"),
        (replace("schemas", []), "mutability"),
        (replace(f"{ENTERPRISE}:manager.displayName", "x"), "mutability"),
        (remove("userName"), "mutability"),
        (replace("userName", None), "mutability"),
        (replace("userName", " "), "invalidValue"),
        (replace("userName", 7), "invalidValue"),
        (replace("userName", "a\0b"), "invalidValue"),
        (replace("userName", "\ud800"), "invalidValue"),
        (replace("userName", "x" * 20_000), "invalidValue"),
        (replace("active", "yes"), "invalidValue"),
        (replace("active", 1), "invalidValue"),
        (replace("name", "Ann"), "invalidValue"),
        (replace("name", ["Ann"]), "invalidValue"),
        (replace("emails", [7]), "invalidValue"),
        (replace("x509Certificates", [{"value": "not base64"}]), "invalidValue"),
        ({"op": "add", "path": "title"}, "invalidValue"),
        (replace(None, "title"), "invalidSyntax"),
        (replace(None, {"title": "a", "TITLE": "b"}), "invalidSyntax"),
        (replace("name", {"givenName": "a", "GIVENNAME": "b"}), "invalidSyntax"),
        (replace(None, {ENTERPRISE: {ENTERPRISE: {}}}), "invalidSyntax"),
        ({"op": "move", "path": "title", "value": "x"}, "invalidSyntax"),
        ({"op": ["add"], "path": "title", "value": "x"}, "invalidSyntax"),
        ({"path": "title", "value": "x"}, "invalidSyntax"),
        ({"op": "add", "path": ["title"], "value": "x"}, "invalidSyntax"),
        ("add", "invalidSyntax"),
    ],
)
def test_a_bad_operation_is_refused_by_its_number_and_nothing_is_applied(operation: object, scim_type: str) -> None:
    before = copy.deepcopy(ANN)
    found, detail = refused(add("title", "Pilot"), operation)
    assert (found, detail.split(":")[0]) == (scim_type, "operation 2")
    assert before == ANN


def test_what_is_sent_is_not_repeated_in_a_refusal() -> None:
    for operation in (replace("active", "s3cret"), replace("s3cret", "x"), replace('emails[s3cret is "x"]', {})):
        assert "s3cret" not in refused(operation)[1]


def test_a_patch_may_not_grow_a_resource_beyond_its_bounds() -> None:
    many = [{"value": f"{number}@x.example"} for number in range(150)]
    others = [{"value": f"{number}@y.example"} for number in range(150)]
    for operations in (
        [add("emails", many), add("emails", others)],
        [add("title", "x" * 16_000), add("nickName", "x" * 16_000), add("locale", "x" * 9_000)],
    ):
        with pytest.raises(ScimError) as error:
            apply(ANN, operations, USER)
        assert error.value.status == 413
    with pytest.raises(ScimError, match="413"):
        apply(ANN, [add("title", "x")] * (MAX_OPERATIONS + 1), USER)


def test_the_body_of_a_patch_is_a_patch_op() -> None:
    urn = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
    assert read_patch({"schemas": [urn], "Operations": [1]}, STRICT) == [1]
    assert read_patch({"schemas": [urn], "operations": [1]}, STRICT) == [1]
    bodies: list[object] = [None, [], {"schemas": [urn]}, {"schemas": [urn], "Operations": []}, {"Operations": [1]}]
    for body in bodies:
        with pytest.raises(ScimError) as error:
            read_patch(body, STRICT)
        assert error.value.scim_type == "invalidSyntax"


def test_of_two_schemas_that_begin_alike_the_longer_is_meant() -> None:
    short, long = "urn:example:2.0:User", "urn:example:2.0:User:More"
    size = {"size": Attribute(name="size")}
    kind = ResourceType(
        "Thing", "/Things", "urn:example:2.0:Thing", {"more": Attribute(name="more")}, {short: size, long: size}
    )
    after = apply({}, [add(f"{long}:size", "9"), add(f"{short}:size", "1")], kind)
    assert (after[long], after[short]) == ({"size": "9"}, {"size": "1"})
