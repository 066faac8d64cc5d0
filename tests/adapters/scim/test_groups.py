"""A PATCH of a group becomes explicit changes, the same that applying it to the whole group would make."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from adapters.scim.errors import ScimError
from adapters.scim.groups import GroupChange, Member, group_changes, members_of
from adapters.scim.leniency import EVERY_LENIENCY, Leniency, Tolerance
from adapters.scim.patch import apply
from adapters.scim.resources import read_resource
from adapters.scim.schema import GROUP
from adapters.scim.values import MAX_MEMBERS
from tests.adapters.scim.door import changed

STRICT = Tolerance(frozenset())


def ids(*names: str) -> list[dict[str, Any]]:
    return [{"value": name} for name in names]


def members(*names: str) -> tuple[Member, ...]:
    return tuple(Member(name) for name in names)


def change(*operations: dict[str, Any], strict: bool = True) -> GroupChange:
    return group_changes(operations, STRICT if strict else Tolerance())


def test_members_are_added_and_removed_by_id() -> None:
    removed = {"op": "remove", "path": 'members[value eq "a"]'}
    added = {"op": "add", "path": "members", "value": [{"value": "b", "display": "Bee", "type": "user"}]}
    assert change(removed, added) == GroupChange(add=(Member("b", "User"),), remove=("a",))


def test_okta_replaces_all_members_also_with_none() -> None:
    pushed = {"op": "replace", "path": "members", "value": ids("a", "b", "a")}
    assert change(pushed) == GroupChange(replace=members("a", "b"))
    assert change({"op": "replace", "path": "members", "value": []}) == GroupChange(replace=())
    empty = {"op": "replace", "value": {"members": [], "id": "group_1", "displayName": "Crew"}}
    assert change(empty, strict=False) == GroupChange(display_name="Crew", replace=())


def test_a_rename_says_nothing_of_members() -> None:
    renamed = {"op": "replace", "value": {"id": "group_1", "displayName": "Crew"}}
    tolerance = Tolerance()
    assert group_changes([renamed], tolerance) == GroupChange(display_name="Crew")
    assert tolerance.used == {Leniency.READ_ONLY_IN_VALUE}


def test_entra_removes_only_the_members_it_lists() -> None:
    tolerance = Tolerance()
    removed = {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "a"}]}
    assert group_changes([removed], tolerance) == GroupChange(remove=("a",))
    assert tolerance.used == {Leniency.OPERATION_CASE, Leniency.REMOVE_LISTED_VALUES}
    with pytest.raises(ScimError) as refused:
        group_changes([removed], Tolerance(EVERY_LENIENCY - {Leniency.REMOVE_LISTED_VALUES}))
    assert refused.value.scim_type == "invalidValue"
    assert change({**removed, "value": []}, strict=False) == GroupChange()


def test_entra_adds_members_with_an_empty_reference_and_no_type() -> None:
    added = {"op": "Add", "path": "members", "value": [{"$ref": None, "value": "a"}]}
    assert change(added, strict=False) == GroupChange(add=members("a"))


def test_a_removal_without_value_empties_the_group() -> None:
    assert change({"op": "remove", "path": "members"}) == GroupChange(replace=())


def test_members_have_several_names() -> None:
    for path in ("Members", f"{GROUP.urn}:members", f"{GROUP.urn.upper()}:MEMBERS"):
        assert change({"op": "add", "path": path, "value": ids("a")}) == GroupChange(add=members("a"))
    by_key = {"op": "add", "value": {f"{GROUP.urn}:members": ids("a")}}
    assert change(by_key, strict=False) == GroupChange(add=members("a"))


def test_the_last_operation_on_a_member_wins() -> None:
    add_a, remove_a = (
        {"op": "add", "path": "members", "value": ids("a")},
        {"op": "remove", "path": 'members[value eq "a"]'},
    )
    everyone = {"op": "replace", "path": "members", "value": ids("a", "b")}
    assert change(add_a, remove_a) == GroupChange(remove=("a",))
    assert change(remove_a, add_a) == GroupChange(add=members("a"))
    assert change(everyone, remove_a) == GroupChange(replace=members("b"))
    assert change(add_a, everyone, remove_a) == GroupChange(replace=members("b"))
    assert change(remove_a, {"op": "remove", "path": "members"}, add_a) == GroupChange(replace=members("a"))


def test_names_and_external_ids_are_set_and_taken_away() -> None:
    assert change({"op": "replace", "path": "externalId", "value": "x"}) == GroupChange(external_id="x")
    assert change({"op": "remove", "path": "externalId"}) == GroupChange(external_id=None)
    assert change({"op": "add", "path": "externalId", "value": None}).external_id is UNSET
    assert change({"op": "add", "path": "displayName", "value": "Crew"}) == GroupChange(display_name="Crew")


def test_a_member_is_exchanged_for_another() -> None:
    exchange = {"op": "replace", "path": 'members[value eq "a"]', "value": {"value": "b"}}
    assert change(exchange) == GroupChange(add=members("b"), remove=("a",))
    several = {"op": "remove", "path": 'members[value eq "a" or value eq "b"]'}
    assert change(several) == GroupChange(remove=("a", "b"))


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "remove", "path": "displayName"}, "mutability"),
        ({"op": "replace", "path": "displayName", "value": None}, "mutability"),
        ({"op": "replace", "path": "displayName", "value": ""}, "invalidValue"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "replace", "value": {"id": "x"}}, "mutability"),
        ({"op": "replace", "path": 'members[value eq "a"].value', "value": "b"}, "mutability"),
        ({"op": "replace", "path": 'members[value eq "a"].display', "value": "b"}, "mutability"),
        ({"op": "remove", "path": 'members[type eq "User"]'}, "invalidFilter"),
        ({"op": "remove", "path": "members.size"}, "invalidPath"),
        ({"op": "add", "path": "members", "value": [{"display": "Bee"}]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [{"value": ""}]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [{"value": "a", "type": "Robot"}]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": ["a"]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [7]}, "invalidValue"),
        ({"op": "add", "path": "members"}, "invalidValue"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "add", "path": "emails", "value": []}, "invalidPath"),
        ({"op": "add", "value": {"colour": "red"}}, "invalidSyntax"),
    ],
)
def test_a_bad_operation_is_refused_by_its_number(operation: dict[str, Any], scim_type: str) -> None:
    with pytest.raises(ScimError) as refused:
        change({"op": "add", "path": "members", "value": ids("z")}, operation)
    assert (refused.value.status, refused.value.scim_type) == (400, scim_type)
    assert refused.value.detail.startswith("operation 2: ")


def test_too_many_members_for_one_request_are_refused() -> None:
    many = ids(*map(str, range(10_000)))
    halves = [
        {"op": "add", "path": "members", "value": many[:MAX_MEMBERS]},
        {"op": "add", "path": "members", "value": many[MAX_MEMBERS:]},
    ]
    for operations in ([{"op": "add", "path": "members", "value": many}], halves):
        with pytest.raises(ScimError) as refused:
            group_changes(operations)
        assert refused.value.status == 413
    with pytest.raises(ScimError) as refused:
        read_resource({"schemas": [GROUP.urn], "displayName": "Crew", "members": many}, GROUP)
    assert refused.value.status == 413


def test_the_members_of_a_new_group_come_once_each() -> None:
    sent = {"schemas": [GROUP.urn], "displayName": "Crew", "members": [*ids("a", "b"), {"value": "a", "type": "Group"}]}
    assert members_of(read_resource(sent, GROUP)) == (Member("a", "Group"), Member("b"))
    assert members_of({}) == ()


people = st.sampled_from(["a", "b", "c", "d"])
lists = st.lists(people, max_size=3).map(lambda names: ids(*names))
operations = st.one_of(
    st.builds(lambda value: {"op": "add", "path": "members", "value": value}, lists),
    st.builds(lambda value: {"op": "replace", "path": "members", "value": value}, lists),
    st.builds(lambda value: {"op": "Remove", "path": "members", "value": value}, lists),
    st.builds(lambda name: {"op": "remove", "path": f'members[value eq "{name}"]'}, people),
    st.just({"op": "remove", "path": "members"}),
    st.builds(lambda name: {"op": "replace", "value": {"displayName": name}}, people),
    st.builds(lambda name: {"op": "add", "path": "externalId", "value": name}, people),
    st.just({"op": "remove", "path": "externalId"}),
)


@settings(max_examples=200, deadline=None)
@given(start=st.sets(people), patch=st.lists(operations, max_size=6))
def test_changes_amount_to_what_patching_the_whole_group_does(start: set[str], patch: list[dict[str, Any]]) -> None:
    group = {"schemas": [GROUP.urn], "displayName": "Crew", "members": ids(*sorted(start))}
    whole = apply(group, patch, GROUP)
    quick = changed(group, group_changes(patch))
    assert {one["value"] for one in quick.get("members", [])} == {one["value"] for one in whole.get("members", [])}
    assert (quick["displayName"], quick.get("externalId")) == (whole["displayName"], whole.get("externalId"))
