"""The OpenAPI document is true: whatever it allows is answered as it says, and nothing makes the node stumble."""

from typing import Any

import httpx
import pytest
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

from tests.api.organisation import PERMISSIONS, Organisation, organisation
from tests.node import NodeProcess

MOST_EXAMPLES = 12
NEVER_AS_OPERATOR = ("/v1/operator/rotate", "/v1/node/backup", "/v1/node/rebuild")
OPEN = ("/v1/evidence/keys", "/v1/evidence/log/")
"""What anybody may read: it tells nothing of any tenant."""
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def fuzzed(node: NodeProcess) -> Organisation:
    return organisation(node, "Fuzzed")


@pytest.fixture(scope="module")
def calm(node: NodeProcess) -> Organisation:
    """One that no random call has changed."""
    return organisation(node, "Calm")


def test_every_operation_answers_as_documented(node: NodeProcess, fuzzed: Organisation) -> None:
    """With ids that exist in half of the examples, so that more than the first look-up is reached."""
    document = schemathesis.openapi.from_url(f"{node.url}/openapi.json")
    failures: dict[str, str] = {}
    for found in document.get_all_operations():
        assert isinstance(found, Ok), "the document has an operation that is not valid OpenAPI"
        operation = found.ok()
        try:
            _fuzz(operation, node, fuzzed)
        except Exception as problem:
            failures[operation.label] = str(problem)[:1500]
    assert not failures


def _fuzz(operation: Any, node: NodeProcess, fuzzed: Organisation) -> None:
    @given(case=operation.as_strategy(), exists=st.booleans())
    @settings(
        max_examples=MOST_EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: Any, exists: bool) -> None:
        if exists:
            real = {name: fuzzed.ids[name] for name in case.path_parameters or {} if name in fuzzed.ids}
            case.path_parameters = {**(case.path_parameters or {}), **real}
        end_soon(case)
        key = fuzzed.key if operation.path in NEVER_AS_OPERATOR else node.operator_key
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {key}"}
        case.validate_response(case.call(timeout=60), checks=CHECKS)

    answers()


def end_soon(case: Any) -> None:
    """A stream or a long poll ends, so that the next example can come."""
    if case.operation.path.endswith("/events/stream"):
        case.query = {**(case.query or {}), "lasts": 0.2}
    elif case.operation.path.endswith("/events"):
        case.query = {name: value for name, value in (case.query or {}).items() if name != "wait"}


HOSTILE = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b'{"user_name": "a\\u0000b"}',
    b'{"user_name": "\\ud800"}',
    b'{"user_name": NaN}',
    b'{"user_name": 1}',
    b'{"user_name": ["a"]}',
    b'{"user_name": "a", "user_name": "b"}',
    b"\xff\xfe",
    b'{"attributes": ' + b'{"a":' * 100 + b"1" + b"}" * 100 + b', "user_name": "deep"}',
    b'{"user_name": "' + b"a" * 2_000_000 + b'"}',
    b'{"user_name": "x", "attributes": {"n": 123456789012345678901234567890}}',
)


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:24]))
def test_a_hostile_body_is_refused_and_not_echoed(node: NodeProcess, calm: Organisation, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    with node.client() as client:
        for path in ("users", "groups", "roles", "keys", "flags", "directories"):
            answer = client.post(f"/v1/tenants/{calm.ids['tenant']}/{path}", content=body, headers=headers)
            assert 400 <= answer.status_code < 500, (path, answer.status_code)
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert len(answer.content) < 5_000


def test_every_permission_of_the_tests_is_one_that_keys_can_have(node: NodeProcess, calm: Organisation) -> None:
    with node.client(calm.key) as client:
        found = client.get(f"/v1/tenants/{calm.ids['tenant']}/keys/{calm.ids['key']}").json()
    assert sorted(found["permissions"]) == sorted(PERMISSIONS)


def test_without_a_key_nothing_but_health_answers(node: NodeProcess, calm: Organisation) -> None:
    document = httpx.get(f"{node.url}/openapi.json").json()
    for path, item in document["paths"].items():
        if path.startswith("/v1") and not path.startswith(OPEN) and "get" in item:
            filled = path.format(**{**calm.ids, "key": "new"}) if "{" in path else path
            assert httpx.get(node.url + filled).status_code in (401, 422), path
