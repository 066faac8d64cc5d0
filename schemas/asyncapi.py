"""The AsyncAPI document of the ledger's topic: `python -m schemas.asyncapi` writes `docs/asyncapi.yaml`.

It is made of the released schemas alone, so that it can't say what the bytes don't; a test makes it again and compares.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from schemas.registry import Schema, published

PATH: Final = Path(__file__).parent.parent / "docs" / "asyncapi.yaml"
TOPIC: Final = "muniment.ledger"
AVRO: Final = "application/vnd.apache.avro;version=1.9.0"

_TEXT: Final = {"type": "string"}
_HEADERS: Final[dict[str, Any]] = {
    "muniment-commit": {
        "type": "string",
        "minLength": 56,
        "maxLength": 56,
        "description": "For Muniment's own readers, in base64: the commit's id, 16 bytes; then big-endian: place u32, "
        "count u32, epoch u64, sequence u64.",
    },
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {**_TEXT, "description": "Unique. Of an event: its event_id."},
    "ce_source": {**_TEXT, "format": "uri-reference", "description": "/tenants/<tenant>, or /ledger."},
    "ce_type": {**_TEXT, "description": "The full name of the record that the value is."},
    "ce_time": {**_TEXT, "format": "date-time", "description": "recorded_at, to the microsecond, in UTC."},
    "ce_dataschema": {
        **_TEXT,
        "format": "uri-reference",
        "description": "The schema, relative to a node's address; its number is Muniment's own id.",
    },
    "content-type": {"type": "string", "const": "application/avro"},
}
_SOMETIMES: Final = {
    "muniment-schema": {
        "type": "string",
        "pattern": "^[1-9][0-9]{0,9}$",
        "description": "Muniment's own schema id; only where an outside registry's is in the value.",
    },
    "muniment-ring": {
        "type": "string",
        "format": "binary",
        "minLength": 8,
        "maxLength": 8,
        "description": "For Muniment's own readers: the change of the keyring that comes before, in decimal digits.",
    },
}
_DESCRIPTION: Final = """\
Every event of every tenant, in the order of each tenant's history, and for ever. Read it with
isolation.level=read_committed. The key is the tenant; a record without a key is a control record and no event: pass
over it. docs/consuming.md says what is promised, and has consumers to begin with."""


def document() -> dict[str, Any]:
    """The document, as JSON would hold it."""
    messages = {_name(schema): _message(schema) for schema in published()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Muniment's ledger",
            "version": str(max(schema.id for schema in published())),
            "description": "The version is the number of the newest schema.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/avro",
        "servers": {
            "kafka": {
                "host": "{servers}",
                "protocol": "kafka-secure",
                "description": "Apache Kafka, and any node of Muniment as the schema registry.",
                "variables": {"servers": {"default": "kafka.example:9093"}},
                "bindings": {
                    "kafka": {
                        "schemaRegistryUrl": "https://muniment.example/schema-registry",
                        "schemaRegistryVendor": "confluent",
                        "bindingVersion": "0.5.0",
                    }
                },
            }
        },
        "channels": {
            "ledger": {
                "address": TOPIC,
                "title": "The ledger",
                "description": _DESCRIPTION,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {
                    "kafka": {
                        "topic": TOPIC,
                        "topicConfiguration": {
                            "cleanup.policy": ["delete"],
                            "retention.ms": -1,
                            "retention.bytes": -1,
                        },
                        "bindingVersion": "0.5.0",
                    }
                },
            }
        },
        "operations": {
            "record": {
                "action": "send",
                "channel": {"$ref": "#/channels/ledger"},
                "summary": "Muniment records what has happened; nobody else writes here.",
            }
        },
        "components": {
            "messageTraits": {
                "event": _trait({"type": "string", "description": "The tenant."}),
                "control": _trait(None),
            },
            "messages": messages,
        },
    }


def _name(schema: Schema) -> str:
    return f"{schema.event}.{schema.revision}"


def _message(schema: Schema) -> dict[str, Any]:
    avro = schema.avro
    return {
        "name": schema.full_name,
        "title": f"{schema.event}, revision {schema.revision}",
        **({"summary": avro["doc"]} if avro.get("doc") else {}),
        "tags": [{"name": avro["namespace"].rpartition(".")[2]}],
        "traits": [{"$ref": f"#/components/messageTraits/{'control' if schema.control else 'event'}"}],
        "payload": {"schemaFormat": AVRO, "schema": avro},
        "x-schema-id": schema.id,
    }


def _trait(key: dict[str, Any] | None) -> dict[str, Any]:
    kafka = {
        **({"key": key} if key else {}),
        "schemaIdLocation": "payload",
        "schemaIdPayloadEncoding": "confluent",
        "schemaLookupStrategy": "RecordNameStrategy",
        "bindingVersion": "0.5.0",
    }
    headers = {"type": "object", "required": list(_HEADERS), "properties": _HEADERS | _SOMETIMES}
    return {"contentType": "application/avro", "headers": headers, "bindings": {"kafka": kafka}}


_PLAIN: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$-]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def as_yaml(value: dict[str, Any]) -> str:
    """YAML 1.2 of what JSON can hold: one field of a schema a line, so that a change shows as what it is."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: dict[str, Any]) -> Iterator[str]:
    for key, each in value.items():
        name = key if _PLAIN.fullmatch(key) and key.lower() not in _WORDS else _flow(key)
        if isinstance(each, dict) and each:
            yield f"{name}:"
            yield from (f"  {line}" for line in _lines(each))
        elif isinstance(each, list) and any(isinstance(part, dict) for part in each):
            yield f"{name}:"
            yield from (f"  - {_flow(part)}" for part in each)
        else:
            yield f"{name}: {_flow(each)}"


def _flow(value: Any) -> str:
    """JSON is YAML."""
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    PATH.write_text(
        "# Written by `python -m schemas.asyncapi`; what it says comes from schemas/.\n" + as_yaml(document())
    )
