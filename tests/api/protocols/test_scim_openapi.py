"""The OpenAPI document is true of SCIM too: whatever it allows is answered as it says."""

import secrets
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.protocols.provisioning import Provider

MOST_EXAMPLES = 15
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def test_every_operation_answers_as_documented(provider: Provider) -> None:
    """With a name, an id and an operation that mean something in half of the examples."""
    document = schemathesis.openapi.from_url(f"{provider.operator.base_url}/openapi.json")
    failures: dict[str, str] = {}
    asked = 0
    for found in document.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path.startswith("/scim/"):
            asked += 1
            try:
                _fuzz(operation, provider)
            except Exception as problem:
                failures[operation.label] = str(problem)[:1500]
    assert asked > 15
    assert not failures


def _fuzz(operation: Any, provider: Provider) -> None:
    @given(case=operation.as_strategy(), exists=st.booleans(), patch=st.fixed_dictionaries(PATCHED))
    @settings(
        max_examples=MOST_EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: Any, exists: bool, patch: dict[str, Any]) -> None:
        parameters = case.path_parameters or {}
        case.path_parameters = {**parameters, "directory": provider.directory}
        if exists and "id" in parameters:
            case.path_parameters["id"] = _existing(provider, operation.path)
        if exists and operation.method.upper() == "PATCH" and isinstance(case.body, dict):
            case.body = {**case.body, "Operations": [patch]}
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {provider.token}"}
        case.validate_response(case.call(timeout=60), checks=CHECKS)

    answers()


def _existing(provider: Provider, path: str) -> str:
    name = secrets.token_hex(8)
    if "/Users/" in path:
        return str(provider.new_user(name)["id"])
    return str(provider.new_group(name)["id"]) if "/Groups/" in path else "User"


PATHS = (
    *(None, "", 7, "userName", "displayName", "name.givenName", "active", "members", "groups", "id", "externalId"),
    *('members[value eq "x"]', 'emails[type eq "work"].value', "roles"),
)
PATCHED: dict[str, Any] = {
    "op": st.sampled_from(["add", "Replace", "remove", "", None, 1]),
    "path": st.sampled_from(PATHS),
    "value": st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["value", "type", "primary", "active", "userName", "x"]), inner, max_size=3
            )
        ),
        max_leaves=6,
    ),
}
