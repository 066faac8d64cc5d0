"""Whatever comes in, it is read or refused as a ScimError: nothing else is ever raised."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adapters.scim.errors import ScimError
from adapters.scim.filters import parse
from adapters.scim.groups import group_changes
from adapters.scim.leniency import Tolerance
from adapters.scim.matching import equality, matches
from adapters.scim.patch import apply, read_patch
from adapters.scim.paths import parse_path
from adapters.scim.projection import project
from adapters.scim.queries import read_query, sort
from adapters.scim.resources import read_resource
from adapters.scim.schema import ENTERPRISE, RESOURCE_TYPES, USER

many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

anything = st.text(st.characters(exclude_categories=()), max_size=40)
pieces = st.sampled_from(
    f"""userName emails members name.givenName active meta.created x509Certificates {ENTERPRISE} {ENTERPRISE}:manager
    urn:x:y ( ) [ ] .value type value not and or pr eq ne co gt true null 1e999 -0 "work" "2011-05-13T04:42:34Z"
    "\\ud800" " \\ \0""".split()
)
sentences = st.lists(pieces | anything, max_size=12).map(" ".join) | anything
names = st.sampled_from(
    f"""schemas id meta userName USERNAME name name.givenName active emails password roles groups members displayName
    externalId value type primary $ref display manager x509Certificates {ENTERPRISE} {ENTERPRISE}:manager {USER.urn}
    urn:x:y . :""".split()
) | st.just("")
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | anything | st.just('{"value":"25","displayName":"x"}')
)
values = st.recursive(
    scalars,
    lambda deeper: st.lists(deeper, max_size=4) | st.dictionaries(names | anything, deeper, max_size=5),
    max_leaves=12,
)
users = st.dictionaries(names, values, max_size=6).map(lambda body: {"userName": "ann", **body})
operation = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "Add", "REMOVE"]) | values},
    optional={"path": sentences | names | values, "value": values},
)


def attempt(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except ScimError as error:
        refused = error
    assert 400 <= refused.status < 500
    assert refused.detail.isprintable()
    return None


@many
@given(text=sentences, resource=values.filter(lambda value: isinstance(value, dict)))
@example(text='emails[type eq "work"].value eq "x"', resource={"emails": [None, [], {"type": {}}]})
def test_a_filter_is_read_or_refused_and_then_matches_anything(text: str, resource: dict[str, Any]) -> None:
    for kind in RESOURCE_TYPES:
        read = attempt(lambda kind=kind: parse(text, kind))  # type: ignore[misc]
        if read is not None:
            assert isinstance(matches(read, resource), bool)
            equality(read)


@many
@given(text=sentences)
def test_a_path_is_read_or_refused(text: str) -> None:
    for kind in RESOURCE_TYPES:
        attempt(lambda kind=kind: parse_path(text, kind))  # type: ignore[misc]


@many
@given(body=users | values)
def test_a_resource_is_read_or_refused_and_can_be_stored(body: Any) -> None:
    for kind in RESOURCE_TYPES:
        read = attempt(lambda kind=kind: read_resource(body, kind))  # type: ignore[misc]
        if read is not None:
            assert "\\u0000" not in json.dumps(read)
            json.dumps(read, ensure_ascii=False).encode()
            assert "password" not in read
            assert read_resource(read, kind) == read


@many
@given(body=users, operations=st.lists(operation | values, max_size=4))
def test_a_patch_is_applied_or_refused_and_leaves_a_resource(body: dict[str, Any], operations: list[Any]) -> None:
    start = attempt(lambda: read_resource(body, USER)) or {"schemas": [USER.urn], "userName": "ann"}
    before = json.dumps(start)
    after = attempt(lambda: apply(start, operations, USER))
    assert json.dumps(start) == before
    if after is not None:
        assert read_resource(after, USER) == after
    attempt(lambda: group_changes(operations))
    attempt(lambda: read_patch({"Operations": operations}, Tolerance()))


@many
@given(
    parameters=st.dictionaries(
        st.sampled_from(["filter", "sortBy", "sortOrder", "startIndex", "count", "attributes"]), values
    )
)
def test_a_query_is_read_or_refused(parameters: dict[str, Any]) -> None:
    query = attempt(lambda: read_query(parameters))
    if query is not None:
        project({"schemas": [USER.urn], "id": "1"}, USER, query.attributes)
        attempt(lambda: sort([{"schemas": [USER.urn]}], query.sort_by or "id", query.descending, RESOURCE_TYPES))


@pytest.mark.parametrize("kind", RESOURCE_TYPES, ids=lambda kind: str(kind.name))
def test_deep_nesting_is_refused_or_passed_over(kind: Any) -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    for name in ("userName", "displayName", "emails", "members", "name", "unknown", "password", "meta"):
        attempt(lambda name=name: read_resource({"userName": "a", "displayName": "b", name: deep}, kind))  # type: ignore[misc]
        for op in ("add", "replace", "remove"):
            patch = [{"op": op, "path": name, "value": deep}]
            attempt(lambda patch=patch: apply({"userName": "a", "displayName": "b"}, patch, kind))  # type: ignore[misc]
            attempt(lambda patch=patch: group_changes(patch))  # type: ignore[misc]
    while isinstance(deep, list):
        deep = deep.pop()


def test_a_role_nested_deeply_in_a_string_stays_a_string() -> None:
    wrapped = '{"value":' + "[" * 16_000
    kept = read_resource({"schemas": [USER.urn], "userName": "ann", "roles": [{"value": wrapped}]}, USER)
    assert kept["roles"] == [{"value": wrapped}]
    nulled = json.dumps({"value": "a\0b"})
    assert attempt(lambda: read_resource({"userName": "ann", "roles": [{"value": nulled}]}, USER)) is None


def test_the_longest_filter_is_read_quickly_enough_to_be_no_weapon() -> None:
    wide = " or ".join(['emails[type eq "w" and value co "x"]'] * 40)
    resource = {"emails": [{"type": "w", "value": "y" * 10_000}] * 200}
    assert not matches(parse(wide, USER), resource)
    attempt(lambda: parse("a:" * 4_000, USER))
    attempt(lambda: parse('userName eq "' + "\\" * 8_000, USER))
