"""What a sink is sent of one event: a CloudEvents document whose data is what the trail shows, or OCSF's classes."""

import json
from typing import Any, Final

import msgspec

from adapters.exports.lines import public
from adapters.exports.ocsf import ocsf
from adapters.webhooks.message import Open
from domain.audit_actions.recording import ActionRecorded
from domain.event import Entry, Sealed

encode: Final = msgspec.json.Encoder().encode
CLOUDEVENTS: Final = "cloudevents"
OCSF: Final = "ocsf"
_JSON_OF_ACTIONS: Final = ("metadata", "personal", "called")


class Document(msgspec.Struct, frozen=True):
    """One event as it is sent, and what targets ask of it."""

    tenant: str
    position: int
    instant: int
    id: str
    type: str
    body: dict[str, Any]
    actor_kind: str = ""
    actor_id: str = ""
    correlation: str = ""


def document_of(entry: Entry, unseal: Open | None, format: str = CLOUDEVENTS) -> Document:
    """Without `unseal`, what is sealed is null, and named in `sealed`; with it, what can't be opened is in `erased`.

    OCSF is never told anything sealed.
    """
    meta = entry.meta
    body = ocsf(entry) if format == OCSF else _cloud_event(entry, unseal)
    said = (entry.tenant, entry.position, entry.instant, meta.event_id, entry.event.type_name)
    return Document(*said, body, meta.actor_kind, meta.actor_id, meta.correlation_id)


def _cloud_event(entry: Entry, unseal: Open | None) -> dict[str, Any]:
    said = public(entry)
    if unseal is not None:
        _open(entry, said, unseal)
    if isinstance(entry.event, ActionRecorded):
        for name in _JSON_OF_ACTIONS:
            if said["data"][name] is not None:
                said["data"][name] = json.loads(said["data"][name])
    return {
        "specversion": "1.0",
        "id": said["id"],
        "source": f"/v1/tenants/{entry.tenant}",
        "type": said["type"],
        "subject": f"{said['actor']['kind']}:{said['actor']['id']}",
        "time": said["recorded_at"],
        "datacontenttype": "application/json",
        "tenant": entry.tenant,
        "position": entry.position,
        "data": said,
    }


def _open(entry: Entry, said: dict[str, Any], unseal: Open) -> None:
    """Put what is sealed in its place."""
    erased = []
    for name in said["sealed"]:
        value = entry.meta.request if name == "request" else getattr(entry.event, name)
        opened = unseal(entry.tenant, name, value) if isinstance(value, Sealed) else None
        if opened is None:
            erased.append(name)
        elif name == "request":
            said["request"] = json.loads(opened)
        else:
            said["data"][name] = opened
    said["sealed"], said["erased"] = [], erased
