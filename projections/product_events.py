"""The product's own audit actions at a moment: which versions of each are registered, with their schemas."""

from collections.abc import Sequence

import msgspec

from domain.audit_actions import registering
from domain.audit_actions.registering import key_of
from domain.event import Event, Instant, Recorded, Sealed
from domain.view import Close, View


class AuditActionRow(msgspec.Struct, frozen=True):
    """`registered_at_position` is where the schema as it is was registered: events name it."""

    action: str
    version: int
    schema: str
    registered_at: Instant
    registered_at_position: int
    changed_at: Instant
    description: Sealed | None = None


class AuditActions(View[AuditActionRow]):
    """Keyed `action@version`, the version in four digits."""

    name = "audit_actions"
    row = AuditActionRow
    follows = (registering.AuditActionRegistered, registering.AuditActionRetired)
    indexes = ("action",)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        match event:
            case registering.AuditActionRegistered(_, action, version):
                return (key_of(action, version),)
            case registering.AuditActionRetired(_, action):
                return (Close("action", action),)
        return ()

    def evolve(self, row: AuditActionRow | None, recorded: Recorded) -> AuditActionRow | None:
        at, position = recorded.instant, recorded.position
        match recorded.event:
            case registering.AuditActionRegistered(_, action, version, schema, description):
                since = at if row is None else row.registered_at
                return AuditActionRow(action, version, schema, since, position, at, description)
        return row


AUDIT_ACTIONS = AuditActions()
