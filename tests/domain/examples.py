"""One made-up event of every type, every field filled in: the largest in tags that each can be."""

from collections.abc import Callable
from typing import Any, Final

from domain.audit_actions.recording import MOST_TARGETS
from domain.capabilities import EVENTS
from domain.directory.users import MOST_HANDLES
from domain.event import Code, Event, Instant, Sealed, annotations_of, types_within
from domain.ids import (
    CheckpointKeyId,
    CredentialId,
    DirectoryId,
    ExportId,
    FlagId,
    GroupId,
    Handle,
    HoldId,
    OperatorId,
    RoleId,
    SinkId,
    TenantId,
    UserId,
    WebhookId,
    WitnessId,
    id_from,
)

PREFIXES: Final = {
    TenantId: "ten",
    UserId: "usr",
    GroupId: "grp",
    DirectoryId: "dir",
    RoleId: "rol",
    CredentialId: "key",
    FlagId: "flg",
    OperatorId: "opr",
    WebhookId: "whk",
    SinkId: "snk",
    ExportId: "exp",
    CheckpointKeyId: "cpk",
    WitnessId: "wit",
    HoldId: "hld",
    Handle: "hdl",
}

_SCALARS: Final[dict[Any, Callable[[str, int], Any]]] = {
    Code: lambda name, number: f"{name}.{number}",
    Sealed: lambda name, number: Sealed(
        f"dek_{number:032x}", bytes(12), f"sealed {name}".encode(), bytes([number]) * 16
    ),
    Instant: lambda _, number: 1_700_000_000_000_000 + number,
    bytes: lambda name, number: f"{name} {number}".encode(),
    bool: lambda _, number: number % 2 == 1,
    int: lambda _, number: number,
}


def example(event: type[Event]) -> Event:
    """The same one every time, for the class as it is today."""
    hints = annotations_of(event)
    return event(**{name: value(name, hints[name], number) for number, name in enumerate(event.__struct_fields__, 1)})


def value(name: str, annotation: Any, number: int) -> Any:
    """A value for a field of this type."""
    if "tuple" in str(annotation):
        most = MOST_TARGETS if name == "targets" else MOST_HANDLES
        return tuple(_one(name, annotation, number * 100 + each) for each in range(most))
    return _one(name, annotation, number)


def _one(name: str, annotation: Any, number: int) -> Any:
    kinds = types_within(annotation)
    for kind, prefix in PREFIXES.items():
        if kind in kinds:
            return id_from(prefix, 1_700_000_000_000_000, number.to_bytes(10, "big"))
    (kind,) = kinds - {type(None)}
    return _SCALARS[kind](name, number)


EXAMPLES: Final = {name: example(event) for name, event in EVENTS.items()}
