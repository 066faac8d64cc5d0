"""The registry's read side: what stock clients ask, and that nothing can be written to it or broken in it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka.schema_registry import Schema as ClientsSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from prometheus_client import CollectorRegistry

from api.http.application import Application
from api.protocols import schema_registry
from schemas.registry import published
from tests.node import NodeProcess
from tests.serving import served

FLAG_DEFINED = next(each for each in published() if each.event == "FlagDefined")
SUBJECT = "muniment.flags.FlagDefined"


def application() -> Application:
    """The face alone: it needs nothing of a node."""
    app = Application(registry=CollectorRegistry(), faces={schema_registry.PREFIX: schema_registry.render})
    app.include_router(schema_registry.routes)
    return app


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(application()) as address:
        yield f"{address}/schema-registry"


@pytest.fixture(scope="module")
def asked(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Accept": schema_registry.MEDIA_TYPE}) as client:
        yield client


@pytest.fixture
def stock(url: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": url}) as client:
        yield client


def test_a_stock_client_finds_every_schema_by_id(stock: SchemaRegistryClient) -> None:
    for each in published():
        found = stock.get_schema(each.id, subject_name="muniment.ledger-value")
        assert found.schema_type == "AVRO"
        assert found.schema_str is not None
        assert json.loads(found.schema_str) == each.avro


def test_a_stock_client_finds_its_way_from_subjects_to_schemas(stock: SchemaRegistryClient) -> None:
    subjects = stock.get_subjects()
    assert subjects == sorted({each.full_name for each in published()})
    assert SUBJECT in subjects
    assert "muniment.control.OwnerTookOver" in subjects
    seen = set()
    for subject in subjects:
        for version in stock.get_versions(subject):
            found = stock.get_version(subject, version)
            assert (found.subject, found.version) == (subject, version)
            assert found.schema_id is not None
            seen.add(found.schema_id)
        assert stock.get_latest_version(subject).version == version
    assert seen == {each.id for each in published()}


def test_a_stock_client_looks_up_what_it_has(stock: SchemaRegistryClient) -> None:
    spelt_otherwise = json.dumps(FLAG_DEFINED.avro, sort_keys=True)
    for text in (FLAG_DEFINED.text, spelt_otherwise):
        found = stock.lookup_schema(SUBJECT, ClientsSchema(text, "AVRO"))
        assert (found.schema_id, found.version, found.subject) == (FLAG_DEFINED.id, 1, SUBJECT)


def test_a_stock_client_learns_how_it_is_kept(stock: SchemaRegistryClient) -> None:
    assert stock.get_schema_types() == ["AVRO"]
    assert stock.get_compatibility() == stock.get_compatibility(SUBJECT) == "FULL_TRANSITIVE"
    assert stock.get_global_mode() == stock.get_mode(SUBJECT) == "READONLY"
    assert stock.get_contexts() == ["."]
    assert stock.get_subjects_by_schema_id(FLAG_DEFINED.id) == [SUBJECT]
    (version,) = stock.get_schema_versions(FLAG_DEFINED.id)
    assert (version.subject, version.version) == (SUBJECT, 1)
    assert stock.get_referenced_by(SUBJECT, 1) == []


def test_what_a_stock_client_would_write_is_not_permitted(stock: SchemaRegistryClient) -> None:
    schema = ClientsSchema(json.dumps({"type": "record", "name": "Mine", "fields": []}), "AVRO")
    attempts = (
        lambda: stock.register_schema("mine-value", schema),
        lambda: stock.register_schema(SUBJECT, schema),
        lambda: stock.delete_subject(SUBJECT),
        lambda: stock.delete_version(SUBJECT, 1),
        lambda: stock.set_compatibility(SUBJECT, "NONE"),
        lambda: stock.update_global_mode("READWRITE"),
    )
    for attempt in attempts:
        with pytest.raises(SchemaRegistryError) as refused:
            attempt()
        assert (refused.value.http_status_code, refused.value.error_code) == (422, 42205)
        assert "read only" in refused.value.error_message


ERRORS: dict[str, tuple[int, int]] = {
    "/schemas/ids/99999": (404, 40403),
    "/schemas/ids/0": (404, 40403),
    "/schemas/ids/-1": (404, 40403),
    "/schemas/ids/1e3": (404, 40403),
    "/schemas/ids/%D9%A1": (404, 40403),
    "/schemas/ids/99999999999999999999": (404, 40403),
    "/schemas/ids/99999/schema": (404, 40403),
    "/schemas/ids/99999/subjects": (404, 40403),
    "/schemas/ids/99999/versions": (404, 40403),
    "/subjects/muniment.ledger-value/versions": (404, 40401),
    "/subjects/muniment.ledger-value/versions/latest": (404, 40401),
    f"/subjects/{SUBJECT}/versions/2000": (404, 40402),
    f"/subjects/{SUBJECT}/versions/0": (422, 42202),
    f"/subjects/{SUBJECT}/versions/newest": (422, 42202),
    f"/subjects/{SUBJECT}/versions/2147483648": (422, 42202),
    "/config/nobody": (404, 40401),
    "/mode/nobody": (404, 40401),
    "/associations/resources/-/muniment.ledger?resourceType=topic&associationType=value": (404, 404),
    "/exporters": (404, 404),
    "/subjects/" + "a" * 301 + "/versions": (422, 422),
}


@pytest.mark.parametrize(("path", "expected"), ERRORS.items(), ids=[path[:60] for path in ERRORS])
def test_an_error_is_told_as_the_protocol_tells_it(asked: httpx.Client, path: str, expected: tuple[int, int]) -> None:
    answer = asked.get(path)
    said = answer.json()
    assert (answer.status_code, said["error_code"]) == expected
    assert said.keys() == {"error_code", "message"}
    assert len(said["message"]) > 10
    assert answer.headers["content-type"] == schema_registry.MEDIA_TYPE


LOOKUPS: tuple[tuple[bytes, tuple[int, int]], ...] = (
    (b'{"schema": "\\"string\\""}', (404, 40403)),
    (json.dumps({"schema": FLAG_DEFINED.text, "schemaType": "JSON"}).encode(), (404, 40403)),
    (b'{"schema": "not JSON"}', (422, 42201)),
    (json.dumps({"schema": "[" * 100_000}).encode(), (422, 42201)),
    (json.dumps({"schema": "[" * 200_001}).encode(), (422, 422)),
    (b"{}", (422, 422)),
    (b"[]", (422, 422)),
    (b"{", (400, 400)),
    (b'{"schema": NaN}', (400, 400)),
    (b'{"schema": "' + b"a" * 300_000 + b'"}', (413, 413)),
)


@pytest.mark.parametrize(("body", "expected"), LOOKUPS, ids=[repr(body[:40]) for body, _ in LOOKUPS])
def test_a_lookup_of_anything_is_refused(asked: httpx.Client, body: bytes, expected: tuple[int, int]) -> None:
    answer = asked.post(f"/subjects/{SUBJECT}", content=body, headers={"Content-Type": schema_registry.MEDIA_TYPE})
    assert (answer.status_code, answer.json()["error_code"]) == expected
    assert answer.headers["content-type"] == schema_registry.MEDIA_TYPE


def test_a_lookup_wants_json(asked: httpx.Client) -> None:
    answer = asked.post(f"/subjects/{SUBJECT}", content=b"<schema/>", headers={"Content-Type": "text/xml"})
    assert (answer.status_code, answer.json()["error_code"]) == (415, 415)


def test_a_schema_can_be_had_alone_and_kept_for_ever(asked: httpx.Client) -> None:
    by_id = asked.get(f"/schemas/ids/{FLAG_DEFINED.id}/schema")
    latest = asked.get(f"/subjects/{SUBJECT}/versions/latest/schema")
    assert by_id.text == latest.text == FLAG_DEFINED.text
    assert by_id.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert latest.headers["cache-control"] == "no-store"


def test_subjects_and_schemas_can_be_narrowed_by_a_prefix(asked: httpx.Client) -> None:
    subjects = asked.get("/subjects", params={"subjectPrefix": "muniment.flags."}).json()
    assert subjects
    assert all(each.startswith("muniment.flags.") for each in subjects)
    listed = asked.get("/schemas", params={"subjectPrefix": SUBJECT}).json()
    assert [(each["id"], each["subject"], each["version"]) for each in listed] == [(FLAG_DEFINED.id, SUBJECT, 1)]
    everything: list[dict[str, Any]] = asked.get("/schemas").json()
    assert [each["id"] for each in everything] == [each.id for each in published()]


def test_a_tool_that_asks_whether_a_registry_is_there_is_told(asked: httpx.Client) -> None:
    assert asked.get("/").json() == httpx.get(str(asked.base_url).rstrip("/")).json() == {}


def test_a_node_serves_it_without_credentials_and_passes_over_wrong_ones(node: NodeProcess) -> None:
    url = f"{node.url}/schema-registry"
    for config in ({"url": url}, {"url": url, "basic.auth.user.info": "somebody:wrong"}):
        with SchemaRegistryClient(config) as stock:
            assert stock.get_latest_version(SUBJECT).schema_id == FLAG_DEFINED.id
    document = httpx.get(f"{node.url}/openapi.json").json()
    assert "/schema-registry/schemas/ids/{id}" in document["paths"]
