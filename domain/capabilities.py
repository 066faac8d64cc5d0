"""Every capability: its events by name, and who decides each command."""

from typing import Final

from domain import agents, audit, flags, retention, tenants
from domain.access import owners, roles
from domain.audit_actions import recording, registering
from domain.command import Command, Decider
from domain.directory import feeds, groups, life, users
from domain.event import Event
from domain.evidence import keys, witnesses
from domain.ledger import CommandHadNoEffect, CommandRefused, OpaqueRecorded, RefusalsSummarised
from domain.sinks import life as sinks_life
from domain.sinks import sending, sinks
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
    "evidence": (
        keys.CheckpointKeyAdded,
        keys.CheckpointKeyRetired,
        witnesses.WitnessAdded,
        witnesses.WitnessRemoved,
    ),
    "sinks": (
        sinks_life.SinkCreated,
        sinks_life.SinkChanged,
        sinks_life.SinkPaused,
        sinks_life.SinkResumed,
        sinks_life.SinkDisabled,
        sinks_life.SinkRemoved,
        sinks_life.SinkReplayRequested,
        sinks_life.SinkAdvanced,
        sending.SinkTestRequested,
        sending.SinkDeliveryFailed,
        sending.SinkRetryRequested,
        sending.SinkDeadLetterDelivered,
    ),
    "actions": (registering.AuditActionRegistered, registering.AuditActionRetired),
    "retention": (
        retention.RetentionChanged,
        retention.LegalHoldPlaced,
        retention.LegalHoldLifted,
        retention.HistoryTrimmed,
    ),
    "audit": (
        CommandRefused,
        RefusalsSummarised,
        CommandHadNoEffect,
        OpaqueRecorded,
        recording.ActionRecorded,
        audit.TrailAccessed,
        audit.TrailAccessesSummarised,
        audit.ExportRequested,
        audit.ExportFinished,
        audit.ExportFailed,
        audit.ExportExpired,
    ),
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
        sinks.decider,
        sending.decider,
        registering.decider,
        recording.decider,
        audit.decider,
        keys.decider,
        witnesses.decider,
        retention.decider,
    )
    for command in decider.commands
}
