"""The Avro shape of an event: what the sequencer stamps, who and why, then the event's own fields."""

import types
import typing
from typing import Any, Final, get_args, get_origin

from domain.event import Event, Instant, Sealed, annotations_of, types_within

SEALED: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Sealed",
    "namespace": "muniment",
    "doc": "A personal value, encrypted under its subject's data key; eq is a keyed hash under the same key.",
    "fields": [
        {"name": "key", "type": "string"},
        {"name": "nonce", "type": "bytes"},
        {"name": "ciphertext", "type": "bytes"},
        {"name": "eq", "type": "bytes"},
    ],
}
INSTANT: Final = {"type": "long", "logicalType": "timestamp-micros"}

STAMP: Final[list[dict[str, Any]]] = [
    {"name": "position", "type": "long", "doc": "The place in the tenant's history, dense, from 1."},
    {"name": "recorded_at", "type": INSTANT},
    {
        "name": "nth",
        "type": {"type": "array", "items": "long"},
        "doc": "For each tag, in their order: the how-manieth event of the tenant with it this is.",
    },
]
HEAD: Final[list[dict[str, Any]]] = [
    {"name": "event_id", "type": "string", "doc": "UUIDv7; promises no order."},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
]
SHARED: Final[list[dict[str, Any]]] = [
    {"name": "actor_kind", "type": "string"},
    {"name": "actor_id", "type": "string"},
    {
        "name": "on_behalf_of",
        "type": {"type": "array", "items": "string"},
        "default": [],
        "doc": "kind:id, nearest first.",
    },
    {"name": "credential_id", "type": ["null", "string"], "default": None},
    {"name": "authority_permission", "type": "string"},
    {"name": "authority_decision", "type": "string"},
    {"name": "authority_policies", "type": {"type": "array", "items": "string"}, "default": []},
    {"name": "authority_position", "type": "long", "default": 0},
    {"name": "command_id", "type": "string"},
    {"name": "causation_id", "type": ["null", "string"], "default": None},
    {"name": "correlation_id", "type": "string"},
    {"name": "idempotency_key", "type": ["null", "bytes"], "default": None},
    {"name": "idempotency_body", "type": ["null", "bytes"], "default": None},
    {"name": "request", "type": ["null", "muniment.Sealed"], "default": None, "personal": True},
    {"name": "request_address", "type": ["null", "string"], "default": None},
]

_SCALARS: Final[dict[Any, Any]] = {str: "string", int: "long", bool: "boolean", bytes: "bytes"}


def schema_of(event: type[Event], capability: str) -> dict[str, Any]:
    """The whole schema of an event as its class is today."""
    hints = annotations_of(event)
    defaults = event.__struct_defaults__
    fields = event.__struct_fields__
    first_default = len(fields) - len(defaults)
    own = []
    for number, name in enumerate(fields):
        field: dict[str, Any] = {"name": name, "type": _avro(hints[name])}
        if number >= first_default:
            default = defaults[number - first_default]
            field["default"] = list(default) if isinstance(default, tuple) else default
        elif type(None) in types_within(hints[name]):
            field["default"] = None
        if Sealed in types_within(hints[name]):
            field["personal"] = True
        own.append(field)
    fields_of_all: list[dict[str, Any]] = [*STAMP, *HEAD, *SHARED, *own]
    _define_sealed_where_first_used(fields_of_all)
    return {
        "type": "record",
        "name": event.__name__,
        "namespace": f"muniment.{capability}",
        "doc": (event.__doc__ or "").strip(),
        "fields": fields_of_all,
    }


def _avro(annotation: Any) -> Any:
    if annotation is Instant:
        return INSTANT
    if annotation is Sealed:
        return "muniment.Sealed"
    while hasattr(annotation, "__supertype__"):
        annotation = annotation.__supertype__
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if get_origin(annotation) is tuple:
        return {"type": "array", "items": _avro(get_args(annotation)[0])}
    if get_origin(annotation) in (typing.Union, types.UnionType):
        inner = [each for each in get_args(annotation) if each is not type(None)]
        kinds = []
        for each in inner:
            if (kind := _avro(each)) not in kinds:
                kinds.append(kind)
        if len(kinds) != 1:
            raise TypeError(f"{annotation} has more than one Avro type")
        return ["null", kinds[0]] if len(inner) != len(get_args(annotation)) else kinds[0]
    raise TypeError(f"{annotation} has no Avro type here")


def _define_sealed_where_first_used(fields: list[dict[str, Any]]) -> None:
    """Avro wants a named type spelt out at its first use."""
    for place, field in enumerate(fields):
        if field["type"] == ["null", "muniment.Sealed"]:
            fields[place] = {**field, "type": ["null", SEALED]}
            return
