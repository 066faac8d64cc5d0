"""Every capability: its events by name, and who decides each command."""

from typing import Final

from domain import agents, flags, tenants
from domain.access import owners, roles
from domain.command import Command, Decider
from domain.directory import feeds, groups, life, users
from domain.event import Event
from domain.ledger import CommandHadNoEffect, CommandRefused, OpaqueRecorded, RefusalsSummarised
from domain.webhooks import deliveries, hooks
from domain.webhooks import life as webhooks

EVENTS_OF: Final[dict[str, tuple[type[Event], ...]]] = {
    "tenants": (
        tenants.TenantCreated,
        tenants.TenantRenamed,
        tenants.TenantSettingChanged,
        tenants.TenantSuspended,
        tenants.TenantResumed,
        tenants.TenantDeleted,
        tenants.TenantNameReserved,
        tenants.TenantNameConfirmed,
        tenants.TenantNameReleased,
    ),
    "directory": (
        life.UserProvisioned,
        users.UserProfileChanged,
        users.UserRenamed,
        users.UserExternalIdChanged,
        life.UserDeactivated,
        life.UserReactivated,
        life.UserDeleted,
        life.SubjectErased,
        life.GroupCreated,
        groups.GroupRenamed,
        groups.GroupExternalIdChanged,
        life.GroupDeleted,
        groups.MemberAdded,
        groups.MemberRemoved,
        feeds.DirectoryCreated,
        feeds.DirectoryRenamed,
        feeds.DirectoryRemoved,
        feeds.DirectoryTokenIssued,
        feeds.DirectoryTokenRevoked,
    ),
    "access": (
        roles.RoleDefined,
        roles.RoleChanged,
        roles.RoleRetired,
        owners.RoleAssigned,
        owners.RoleWithdrawn,
        owners.AssignmentExpired,
    ),
    "agents": (
        agents.ApiKeyIssued,
        agents.ApiKeyRotated,
        agents.ApiKeyRevoked,
        agents.OperatorKeyIssued,
        agents.OperatorKeyRevoked,
    ),
    "flags": (
        flags.FlagDefined,
        flags.FlagDefaultChanged,
        flags.FlagTargeted,
        flags.FlagSwitchedOff,
        flags.FlagSwitchedOn,
        flags.FlagArchived,
    ),
    "webhooks": (
        webhooks.WebhookCreated,
        webhooks.WebhookChanged,
        webhooks.WebhookSecretRotated,
        webhooks.WebhookPaused,
        webhooks.WebhookResumed,
        webhooks.WebhookDisabled,
        webhooks.WebhookRemoved,
        webhooks.WebhookReplayRequested,
        webhooks.WebhookAdvanced,
        deliveries.WebhookTestRequested,
        deliveries.WebhookDeliveryFailed,
        deliveries.WebhookRetryRequested,
        deliveries.WebhookDeadLetterDelivered,
    ),
    "audit": (CommandRefused, RefusalsSummarised, CommandHadNoEffect, OpaqueRecorded),
}

EVENTS: Final[dict[str, type[Event]]] = {event.__name__: event for of in EVENTS_OF.values() for event in of}

ENDS_WITH: Final[dict[type[Event], str]] = {event: event.ends_with for event in EVENTS.values() if event.ends_with}
"""What ends with a person: the events that begin it, and the field that names the person."""

DECIDERS: Final[dict[type[Command], Decider]] = {
    command: decider
    for decider in (
        tenants.decider,
        users.decider,
        groups.decider,
        feeds.decider,
        roles.decider,
        agents.decider,
        flags.decider,
        hooks.decider,
        deliveries.decider,
    )
    for command in decider.commands
}
