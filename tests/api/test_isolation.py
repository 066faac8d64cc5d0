"""The wall between tenants: with another tenant's ids, every route of the document answers 404."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def mine(node: NodeProcess) -> Organisation:
    return organisation(node, "Walled In")


@pytest.fixture(scope="module")
def theirs(node: NodeProcess) -> Organisation:
    return organisation(node, "Walled Out")


def operations(node: NodeProcess) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every (method, path template, operation) that names a tenant."""
    document = httpx.get(f"{node.url}/openapi.json").json()
    for path, item in document["paths"].items():
        if "{tenant}" in path:
            for method in METHODS:
                if method in item:
                    yield method, path, item[method]


def filled(path: str, organisation: Organisation) -> str:
    """The path with an organisation's ids in it."""
    return re.sub(r"{(\w+)}", lambda match: organisation.ids[match[1]], path)


def body_for(operation: dict[str, Any], organisation: Organisation) -> Any:
    """Something the schema accepts, so that what is refused is the tenant."""
    return organisation.bodies.get(operation["operationId"].rsplit("_v1_", 1)[0], {})


def test_another_tenants_key_finds_nothing_behind_any_route(
    node: NodeProcess, mine: Organisation, theirs: Organisation
) -> None:
    opened = []
    with node.client(theirs.key) as client:
        for method, path, operation in operations(node):
            json = body_for(operation, mine) if "requestBody" in operation else None
            answer = client.request(method, filled(path, mine), json=json)
            if answer.status_code != 404:
                opened.append((method, path, answer.status_code))
    assert not opened


def test_ones_own_tenant_with_another_tenants_ids_finds_nothing(
    node: NodeProcess, mine: Organisation, theirs: Organisation
) -> None:
    """The operator is let in everywhere, so here only the wall around the ids themselves can answer 404."""
    opened = []
    mixed = Organisation({**mine.ids, "tenant": theirs.ids["tenant"]}, mine.key, mine.bodies)
    with node.client() as client:
        for method, path, operation in operations(node):
            named = set(re.findall(r"{(\w+)}", path)) - {"tenant"}
            if not named - {"setting", "key", "tile", "action"} or operation["operationId"].startswith("evaluate"):
                continue
            json = body_for(operation, mine) if "requestBody" in operation else None
            answer = client.request(method, filled(path, mixed), json=json)
            reads_a_list = answer.status_code == 200 and answer.json().get("items") == []
            nothing_there = answer.status_code == 200 and answer.json().get("changed") is False
            if answer.status_code != 404 and not reads_a_list and not nothing_there:
                opened.append((method, path, answer.status_code, answer.text[:200]))
    assert not opened


def test_every_id_of_every_route_was_filled(node: NodeProcess, mine: Organisation) -> None:
    missing = {name for _, path, _ in operations(node) for name in re.findall(r"{(\w+)}", path) if name not in mine.ids}
    assert not missing
