"""A user's resource becomes columns and comes back the same."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.scim.errors import ScimError
from adapters.scim.resources import read_resource
from adapters.scim.schema import ENTERPRISE, USER
from api.protocols.scim_people import Person, decompose, recompose

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
entries = st.lists(
    st.fixed_dictionaries({}, optional={"value": texts, "type": texts, "display": texts}).filter(bool), max_size=3
)
users = st.fixed_dictionaries(
    {"schemas": st.just([USER.urn, ENTERPRISE]), "userName": texts.filter(str.strip)},
    optional={
        "externalId": texts,
        "displayName": texts,
        "active": st.booleans(),
        "name": st.dictionaries(st.sampled_from(["givenName", "familyName", "formatted"]), texts),
        "emails": entries,
        "phoneNumbers": entries,
        "title": texts,
        ENTERPRISE: st.dictionaries(st.sampled_from(["department", "costCenter", "manager"]), texts),
    },
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["emails", "name", "active", "userName", "groups", "roles", "title", "shoe", ENTERPRISE, "id"])

many = settings(max_examples=200, deadline=None)


@many
@given(users, st.integers(-1, 2))
def test_whatever_can_be_read_comes_back_the_same(sent: dict[str, Any], primary: int) -> None:
    if 0 <= primary < len(sent.get("emails", [])):
        sent["emails"][primary]["primary"] = True
    resource = read_resource(sent, USER)
    again, foreign = recompose(decompose(resource))
    assert again == resource
    assert foreign == {}
    assert list(again.get("emails", [])) == list(resource.get("emails", []))


@many
@given(users)
def test_each_value_is_kept_in_one_place(sent: dict[str, Any]) -> None:
    resource = read_resource({**sent, "userName": "the name", "emails": [{"value": "the address", "type": "t"}]}, USER)
    person = decompose(resource)
    assert person.email == "the address"
    assert "the address" not in (person.attributes or "")
    assert "the name" not in (person.attributes or "")


@many
@given(st.dictionaries(names, anything), st.none() | texts)
def test_whatever_others_wrote_there_a_user_can_be_answered_and_sent_back(
    sent: dict[str, Any], email: str | None
) -> None:
    written = decompose({"userName": "a", "active": True}, sent)
    person = Person(**{**{name: getattr(written, name) for name in Person.__struct_fields__}, "email": email})
    resource, foreign = recompose(person)
    assert resource["userName"] == "a"
    assert read_resource(resource, USER) == resource
    once = decompose(resource, foreign)
    assert recompose(once) == (resource, foreign)
    if "shoe" in sent:
        assert foreign["shoe"] == sent["shoe"]


def test_the_primary_address_has_the_column_else_the_first() -> None:
    addresses = [{"type": "home", "value": "h"}, {"type": "work", "value": "w"}]
    assert decompose({"userName": "a", "emails": addresses}).email == "h"
    assert decompose({"userName": "a", "emails": [addresses[0], {**addresses[1], "primary": True}]}).email == "w"
    assert decompose({"userName": "a", "emails": [{"type": "home"}, addresses[1]]}).email == "w"


def test_the_same_user_sent_in_another_order_is_the_same() -> None:
    first = {"userName": "a", "title": "t", "roles": [{"value": "r", "type": "x"}]}
    second = {"roles": [{"type": "x", "value": "r"}], "title": "t", "userName": "a"}
    assert decompose(first) == decompose(second)


def test_an_unassigned_activity_is_not_answered_and_means_active() -> None:
    person = decompose({"userName": "a"})
    assert person.active
    assert "active" not in recompose(person)[0]
    assert recompose(decompose({"userName": "a", "active": False}))[0]["active"] is False


def test_more_than_one_event_can_hold_is_refused() -> None:
    foreign = {"note": "x" * 20_000}
    resource = {"userName": "a", "addresses": [{"formatted": "y" * 15_000}]}
    with pytest.raises(ScimError) as refused:
        decompose(resource, foreign)
    assert refused.value.status == 413
