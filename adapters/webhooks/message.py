"""What a receiver is sent: a CloudEvents 1.0 document in JSON that says one event, sealed values left out or opened."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from domain.event import Entry, Sealed
from domain.ids import TenantId

Open = Callable[[TenantId, str, Sealed], str | None]
"""The value of a field that was sealed; None if its key is destroyed."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode: Final = msgspec.json.Encoder().encode


def message_of(entry: Entry, unseal: Open | None) -> bytes:
    """`data` has the event's own fields. Without `unseal`, what is sealed is null, and named in `sealed`.

    With it, what an erased person's keys sealed is null, and named in `erased`. Hashes and sealed secrets are left out.
    """
    data, sealed, erased = dict[str, Any](), list[str](), list[str]()
    for name in entry.event.__struct_fields__:
        value = getattr(entry.event, name)
        if isinstance(value, Sealed):
            data[name] = unseal(entry.tenant, name, value) if unseal else None
            if data[name] is None:
                (erased if unseal else sealed).append(name)
        elif isinstance(value, bytes):
            if not name.endswith(("hash", "secret")):
                data[name] = value.hex()
        else:
            data[name] = value
    meta = entry.meta
    message: dict[str, Any] = {
        "specversion": "1.0",
        "id": meta.event_id,
        "source": f"/v1/tenants/{entry.tenant}",
        "type": entry.event.type_name,
        "time": time_text(entry.instant),
        "datacontenttype": "application/json",
        "tenant": entry.tenant,
        "position": entry.position,
        "actor": f"{meta.actor_kind}:{meta.actor_id}",
        "correlation": meta.correlation_id,
        "data": data,
    }
    for attribute, names in (("sealed", sealed), ("erased", erased)):
        if names:
            message[attribute] = ",".join(names)
    return _encode(message)


def time_text(instant: int) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=instant)).isoformat(timespec="microseconds").replace("+00:00", "Z")
