"""The list of schemas: dense, unique, what the classes of today say, and readable by anybody."""

import hashlib
import json
from typing import Any

import pytest

from adapters.avro.shape import schema_of
from domain.capabilities import EVENTS, EVENTS_OF
from domain.event import Sealed, annotations_of, types_within
from schemas.registry import FOLDER, Schema, by_id, control, current, published, released

every_schema = pytest.mark.parametrize("schema", published(), ids=lambda schema: f"{schema.event}.{schema.revision}")

SCALARS = {"string", "long", "boolean", "bytes"}
SEALED = "muniment.Sealed"


def test_ids_are_dense_from_one_in_the_order_of_release() -> None:
    assert [schema.id for schema in published()] == list(range(1, len(published()) + 1))
    assert by_id() == {schema.id: schema for schema in published()}


def test_every_file_is_one_schemas_and_every_schema_has_its_file() -> None:
    listed = [schema.file for schema in published()]
    assert len(listed) == len(set(listed))
    assert set(listed) == {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.avsc")}


def test_every_event_has_a_schema() -> None:
    assert current().keys() == EVENTS.keys()
    assert {schema.event for schema in released()} == EVENTS.keys()


def test_control_records_are_no_events() -> None:
    assert control().keys() == {"OwnerTookOver"}
    assert [schema for schema in published() if schema not in released()] == list(control().values())
    for schema in control().values():
        assert schema.event not in EVENTS
        assert schema.avro["namespace"] == "muniment.control"
        assert {"position", "nth", "event_id", "tags"}.isdisjoint(field["name"] for field in schema.avro["fields"])


@pytest.mark.parametrize(("capability", "event"), [(word, each) for word, of in EVENTS_OF.items() for each in of])
def test_the_newest_schema_is_what_the_class_of_today_says(capability: str, event: type[Any]) -> None:
    schema = current()[event.__name__]
    assert schema.text == json.dumps(schema_of(event, capability), indent=2) + "\n", (
        "the class has changed: `python -m adapters.avro.draft` drafts its next revision"
    )
    assert schema.file.startswith(f"{capability}/")


@every_schema
def test_a_schema_is_flat_and_has_strings_rather_than_enums(schema: Schema) -> None:
    assert schema.avro["type"] == "record"
    assert schema.avro["name"] == schema.event
    for field in schema.avro["fields"]:
        assert plain_type(field["type"]) <= SCALARS | {SEALED}, field["name"]


def plain_type(kind: Any) -> set[str]:
    """The scalars (and sealed values) that a type comes to; anything else by its own name."""
    match kind:
        case str():
            return {kind}
        case ["null", other]:
            return plain_type(other)
        case {"type": "array", "items": items}:
            return plain_type(items)
        case {"type": "long", "logicalType": "timestamp-micros"}:
            return {"long"}
        case {"type": "record", "name": "Sealed", "namespace": "muniment", "fields": fields}:
            assert {field["type"] for field in fields} <= SCALARS
            return {SEALED}
    return {json.dumps(kind)}


@every_schema
def test_what_is_sealed_is_marked_as_personal_and_nothing_else(schema: Schema) -> None:
    for field in schema.avro["fields"]:
        sealed = SEALED in plain_type(field["type"])
        assert field.get("personal", False) is sealed, field["name"]


@every_schema
def test_a_sealed_value_is_spelt_out_once_where_it_first_comes(schema: Schema) -> None:
    with_sealed = [field["type"] for field in schema.avro["fields"] if SEALED in plain_type(field["type"])]
    assert bool(with_sealed) is not schema.control
    assert all(isinstance(kind[1], dict) for kind in with_sealed[:1])
    assert all(kind in (SEALED, ["null", SEALED]) for kind in with_sealed[1:])


@every_schema
def test_what_may_be_absent_is_absent_by_default(schema: Schema) -> None:
    for field in schema.avro["fields"]:
        if isinstance(field["type"], list):
            assert field["default"] is None, field["name"]


def test_every_personal_field_of_a_class_is_personal_in_its_schema() -> None:
    for name, event in EVENTS.items():
        hints = annotations_of(event)
        personal = {each for each in event.__struct_fields__ if Sealed in types_within(hints[each])}
        marked = {field["name"] for field in current()[name].avro["fields"] if field.get("personal")}
        assert marked == personal | {"request"}


@every_schema
def test_the_fingerprint_is_that_of_the_parsing_canonical_form(schema: Schema) -> None:
    form = json.dumps(canonical(schema.avro, ""), separators=(",", ":"), ensure_ascii=False)
    assert schema.canonical == form
    assert schema.fingerprint == hashlib.sha256(form.encode()).hexdigest()


def canonical(schema: Any, namespace: str) -> Any:
    """Avro 1.11, Parsing Canonical Form for Schemas: full names, only what parsing needs, in the order it gives."""
    if isinstance(schema, list):
        return [canonical(each, namespace) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema["type"] == "array":
        return {"type": "array", "items": canonical(schema["items"], namespace)}
    if schema["type"] != "record":
        return schema["type"]
    namespace = schema.get("namespace", namespace)
    fields = [{"name": field["name"], "type": canonical(field["type"], namespace)} for field in schema["fields"]]
    return {"name": f"{namespace}.{schema['name']}", "type": "record", "fields": fields}
