"""The AsyncAPI document: made of today's schemas, in the form of AsyncAPI 3, and true of the records there are."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]
from fastavro import parse_schema
from hypothesis import given
from hypothesis import strategies as st

from adapters.kafka.control import TakeOver, encode_takeover
from adapters.kafka.headers import SCHEMA, CommitMark, control_headers_of, headers_of
from adapters.kafka.ring_records import NUMBER
from domain.ids import TenantId
from schemas.asyncapi import PATH, as_yaml, document
from schemas.registry import published
from tests.golden import golden_events

NAME = r"^[A-Za-z0-9_.-]+$"
MARK = CommitMark(bytes(16), 0, 1, 1, 1)


def _object(required: str = "", **properties: Any) -> dict[str, Any]:
    """An object of AsyncAPI: no other members but those named, and extensions."""
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "patternProperties": {r"^x-[A-Za-z0-9_.-]+$": True},
        "additionalProperties": False,
    }


def _map(of: Any) -> dict[str, Any]:
    return {"type": "object", "patternProperties": {NAME: of}, "additionalProperties": False, "minProperties": 1}


TEXT = {"type": "string", "minLength": 1}
REFERENCE = _object("$ref", **{"$ref": {"type": "string", "pattern": "^#/"}})
VERSION = {"const": "0.5.0"}
KAFKA_SERVER = _object(
    "kafka", kafka=_object(schemaRegistryUrl=TEXT, schemaRegistryVendor=TEXT, bindingVersion=VERSION)
)
KAFKA_CHANNEL = _object(
    "kafka", kafka=_object(topic=TEXT, topicConfiguration={"type": "object"}, bindingVersion=VERSION)
)
KAFKA_MESSAGE = _object(
    "kafka",
    kafka=_object(
        key={"type": "object"},
        schemaIdLocation={"enum": ["payload", "header"]},
        schemaIdPayloadEncoding=TEXT,
        schemaLookupStrategy=TEXT,
        bindingVersion=VERSION,
    ),
)
MESSAGE = _object(
    "name payload",
    name=TEXT,
    title=TEXT,
    summary=TEXT,
    tags={"type": "array", "items": _object("name", name=TEXT)},
    traits={"type": "array", "items": REFERENCE},
    payload=_object("schemaFormat schema", schemaFormat=TEXT, schema={"type": "object"}),
)
# AsyncAPI 3.0.0, as far as the document uses it.
ASYNCAPI = _object(
    "asyncapi info channels operations components",
    asyncapi={"const": "3.0.0"},
    info=_object(
        "title version", title=TEXT, version=TEXT, description=TEXT, license=_object("name", name=TEXT, url=TEXT)
    ),
    defaultContentType=TEXT,
    servers=_map(
        _object(
            "host protocol",
            host=TEXT,
            protocol={"enum": ["kafka", "kafka-secure"]},
            description=TEXT,
            variables=_map(_object(default=TEXT)),
            bindings=KAFKA_SERVER,
        )
    ),
    channels=_map(
        _object(address=TEXT, title=TEXT, description=TEXT, messages=_map(REFERENCE), bindings=KAFKA_CHANNEL)
    ),
    operations=_map(_object("action channel", action={"enum": ["send", "receive"]}, channel=REFERENCE, summary=TEXT)),
    components=_object(
        messages=_map(MESSAGE),
        messageTraits=_map(_object(contentType=TEXT, headers={"type": "object"}, bindings=KAFKA_MESSAGE)),
    ),
)


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(PATH.read_text())
    return read


def test_the_document_is_that_of_todays_schemas(said: dict[str, Any]) -> None:
    assert said == document(), "schemas have come: `python -m schemas.asyncapi` writes the document again"
    assert PATH.read_text().partition("\n")[2] == as_yaml(document())


def test_it_has_the_form_of_asyncapi_3(said: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(ASYNCAPI)
    jsonschema.validate(said, ASYNCAPI, cls=jsonschema.Draft202012Validator)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def found(said: dict[str, Any], reference: str) -> Any:
    part: Any = said
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part


def test_every_reference_leads_somewhere(said: dict[str, Any]) -> None:
    named = list(references(said))
    assert len(named) == 2 * len(published()) + 1
    for each in named:
        assert found(said, each)


def test_every_schema_is_a_message_of_the_channel(said: dict[str, Any]) -> None:
    messages = [found(said, each["$ref"]) for each in said["channels"]["ledger"]["messages"].values()]
    assert [(each["x-schema-id"], each["name"]) for each in messages] == [
        (schema.id, schema.full_name) for schema in published()
    ]
    for message, schema in zip(messages, published(), strict=True):
        assert message["payload"]["schema"] == schema.avro
        parse_schema(message["payload"]["schema"])


def headers_described(said: dict[str, Any], name: str) -> dict[str, Any]:
    (trait,) = said["components"]["messages"][name]["traits"]
    described: dict[str, Any] = found(said, trait["$ref"])["headers"]
    return described


def test_the_headers_are_those_that_records_have(said: dict[str, Any]) -> None:
    taken = encode_takeover(TakeOver(1, 1, "http://node:8000", 0, bytes(32), 1))
    records = [
        (f"{kept.event}.{kept.revision}", headers_of(kept.stored, "id", 1, TenantId("ten_a"), MARK))
        for kept in golden_events()
    ]
    for name, headers in [*records, ("OwnerTookOver.1", control_headers_of(taken, 1, MARK))]:
        described = headers_described(said, name)
        jsonschema.validate({each: value.decode() for each, value in headers}, described)
        assert described["required"] == [each for each, _ in headers]
        assert described["properties"].keys() == {*described["required"], SCHEMA, NUMBER}


def test_only_control_records_have_no_key(said: dict[str, Any]) -> None:
    traits = said["components"]["messageTraits"]
    assert traits["event"]["bindings"]["kafka"]["key"]["type"] == "string"
    assert "key" not in traits["control"]["bindings"]["kafka"]
    of_control = [
        name
        for name, message in said["components"]["messages"].items()
        if message["traits"] == [{"$ref": "#/components/messageTraits/control"}]
    ]
    assert of_control == [f"{each.event}.{each.revision}" for each in published() if each.control]


words = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=10)


@given(value=st.dictionaries(words, st.dictionaries(words, words | st.lists(words) | st.integers()), max_size=4))
def test_what_is_written_as_yaml_reads_as_it_was(value: dict[str, Any]) -> None:
    assert (yaml.safe_load(as_yaml(value)) or {}) == value
