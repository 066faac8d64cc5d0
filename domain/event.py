"""An event: a fact in a tenant's history, past tense and frozen; what it is about follows from its fields."""

import typing
from typing import Any, ClassVar, Final, NewType, dataclass_transform

import msgspec

from domain.ids import (
    AssignmentId,
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
    kind_of,
)

Instant = NewType("Instant", int)
"""Microseconds since 1970 in UTC."""

Code = NewType("Code", str)
"""Text of a restricted alphabet that names nobody: a permission, a flag's key. Free text is Sealed instead."""

MOST_TAGS: Final = 16
MOST_BYTES: Final = 65_535


class Sealed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A personal value, encrypted under its subject's data key.

    `eq` is a keyed hash of the value under the same key: equal values of one subject have equal `eq`, so rules can see
    that nothing changed without opening anything, and once the key is gone it says nothing.
    """

    key: str
    nonce: bytes
    ciphertext: bytes
    eq: bytes

    def same_as(self, other: "Sealed | None") -> bool:
        """Whether both hold the same value (of the same subject and field)."""
        return other is not None and self.key == other.key and self.eq == other.eq


SUBJECTS: Final = frozenset(
    {
        TenantId,
        UserId,
        GroupId,
        DirectoryId,
        RoleId,
        AssignmentId,
        CredentialId,
        FlagId,
        OperatorId,
        WebhookId,
        SinkId,
        ExportId,
        CheckpointKeyId,
        WitnessId,
        HoldId,
        Handle,
    }
)
"""A field of one of these types names a subject of the event, and becomes a tag."""


@dataclass_transform(frozen_default=True)
class Event(msgspec.Struct, frozen=True, gc=False):
    """The base of all events. A subclass's fields are the fact; `edges` names pairs of fields that form a relation."""

    edges: ClassVar[tuple[tuple[str, str, str], ...]] = ()
    """Each: the tag kind, and the two fields it joins: `("member", "group", "member")`."""
    names: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Each: the tag kind, and a field whose text becomes a tag: `("role_name", "name")`."""
    ends_with: ClassVar[str | None] = None
    """The field that names the person with whom the thing this event begins must end."""

    @property
    def type_name(self) -> str:
        """What the event is called in searches and streams."""
        return type(self).__name__

    def subject_tags(self) -> list[str]:
        """The tags that follow from the fields: every subject, and every edge."""
        subjects, edges = _shape_of(type(self))
        tags = []
        for name in subjects:
            value = getattr(self, name)
            if value is None:
                continue
            if type(value) is str:
                tags.append(f"{kind_of(value)}:{value}")
            else:
                tags.extend(f"{kind_of(each)}:{each}" for each in value)
        for kind, left, right in edges:
            tags.append(f"{kind}:{getattr(self, left)}/{getattr(self, right)}")
        for kind, name in self.names:
            tags.append(f"{kind}:{getattr(self, name)}")
        return tags


_shapes: dict[type[Event], tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]]] = {}


def _shape_of(event: type[Event]) -> tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]]:
    shape = _shapes.get(event)
    if shape is None:
        hints = annotations_of(event)
        subjects = tuple(name for name in event.__struct_fields__ if SUBJECTS & types_within(hints[name]))
        shape = _shapes[event] = (subjects, event.edges)
    return shape


def annotations_of(event: type[Event]) -> dict[str, Any]:
    """The fields' types, with NewTypes kept."""
    return typing.get_type_hints(event)


def types_within(annotation: Any) -> frozenset[Any]:
    """The leaf types of an annotation: `UserId | None` gives UserId and NoneType; `tuple[RoleId, ...]` gives RoleId."""
    arguments = typing.get_args(annotation)
    if not arguments:
        return frozenset({annotation})
    return frozenset().union(*(types_within(each) for each in arguments if each is not Ellipsis))


class Meta(msgspec.Struct, frozen=True, gc=False):
    """Who caused an event, for whom, under what authority, when asked and from where."""

    event_id: str
    actor_kind: str
    actor_id: str
    on_behalf_of: tuple[str, ...]
    credential_id: str | None
    authority_permission: str
    authority_decision: str
    authority_policies: tuple[str, ...]
    authority_position: int
    command_id: str
    causation_id: str | None
    correlation_id: str
    idempotency_key: bytes | None
    idempotency_body: bytes | None
    request: Sealed | None
    request_address: str | None
    tags: tuple[str, ...]


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in its tenant's history."""

    tenant: TenantId
    position: int
    instant: Instant
    event: Event


class Entry(msgspec.Struct, frozen=True, gc=False):
    """All that the ledger holds of one event: the trail's line."""

    tenant: TenantId
    position: int
    instant: Instant
    event: Event
    meta: Meta
    nth: tuple[int, ...]
    schema: int
