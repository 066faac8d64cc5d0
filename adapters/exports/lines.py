"""An event as files tell it: everything but what is sealed, which stays null and is named."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from domain.event import Entry, Sealed

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS: Final = pa.list_(pa.string())

COLUMNS: Final = pa.schema(
    [
        ("position", pa.int64()),
        ("recorded_at", pa.timestamp("us", tz="UTC")),
        ("event_id", pa.string()),
        ("type", pa.string()),
        ("actor_kind", pa.string()),
        ("actor_id", pa.string()),
        ("on_behalf_of", _TEXTS),
        ("credential", pa.string()),
        ("permission", pa.string()),
        ("decision", pa.string()),
        ("policies", _TEXTS),
        ("authority_position", pa.int64()),
        ("command", pa.string()),
        ("causation", pa.string()),
        ("correlation", pa.string()),
        ("tags", _TEXTS),
        ("nth", pa.list_(pa.int64())),
        ("schema_id", pa.int32()),
        ("data", pa.string()),
        ("sealed", _TEXTS),
    ]
)
"""As columns, for CSV and Parquet; `data` is JSON."""


def time_of(entry: Entry) -> datetime:
    return _EPOCH + timedelta(microseconds=entry.instant)


def time_text(entry: Entry) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return time_of(entry).isoformat(timespec="microseconds").replace("+00:00", "Z")


def data_of(entry: Entry) -> tuple[dict[str, Any], list[str]]:
    """An event's own fields without secrets, and which of them are sealed."""
    data: dict[str, Any] = {}
    sealed: list[str] = []
    for name in entry.event.__struct_fields__:
        value = getattr(entry.event, name)
        if is_secret(name, value):
            continue
        if _is_sealed(value):
            sealed.append(name)
            data[name] = None
        elif isinstance(value, bytes):
            data[name] = value.hex()
        else:
            data[name] = list(value) if isinstance(value, tuple) else value
    return data, sealed


def is_secret(name: str, value: Any) -> bool:
    """Whether a field is the hash of a secret, or a secret that nothing opens: it leaves in no form."""
    return isinstance(value, bytes) and ("secret" in name or "hash" in name)


def _is_sealed(value: Any) -> bool:
    return isinstance(value, Sealed) or (isinstance(value, tuple) and any(isinstance(each, Sealed) for each in value))


def public(entry: Entry) -> dict[str, Any]:
    """An event as the trail shows it to who may not unseal."""
    meta = entry.meta
    data, sealed = data_of(entry)
    if meta.request is not None:
        sealed.append("request")
    return {
        "position": entry.position,
        "recorded_at": time_text(entry),
        "type": entry.event.type_name,
        "id": meta.event_id,
        "actor": {"kind": meta.actor_kind, "id": meta.actor_id},
        "on_behalf_of": list(meta.on_behalf_of),
        "credential": meta.credential_id,
        "authority": {
            "permission": meta.authority_permission,
            "decision": meta.authority_decision,
            "policies": list(meta.authority_policies),
            "position": meta.authority_position,
        },
        "command": meta.command_id,
        "causation": meta.causation_id,
        "correlation": meta.correlation_id,
        "request": None,
        "tags": list(meta.tags),
        "nth": list(entry.nth),
        "schema_id": entry.schema,
        "data": data,
        "sealed": sealed,
    }


def row(entry: Entry) -> dict[str, Any]:
    """An event by columns."""
    meta = entry.meta
    data, sealed = data_of(entry)
    return {
        "position": entry.position,
        "recorded_at": time_of(entry),
        "event_id": meta.event_id,
        "type": entry.event.type_name,
        "actor_kind": meta.actor_kind,
        "actor_id": meta.actor_id,
        "on_behalf_of": list(meta.on_behalf_of),
        "credential": meta.credential_id,
        "permission": meta.authority_permission,
        "decision": meta.authority_decision,
        "policies": list(meta.authority_policies),
        "authority_position": meta.authority_position,
        "command": meta.command_id,
        "causation": meta.causation_id,
        "correlation": meta.correlation_id,
        "tags": list(meta.tags),
        "nth": list(entry.nth),
        "schema_id": entry.schema,
        "data": json.dumps(data, ensure_ascii=False),
        "sealed": sealed,
    }
