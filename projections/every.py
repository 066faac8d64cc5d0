"""Every stored view, by capability."""

from typing import Any, Final

from domain.view import View
from projections import access, agents, audit, directory, flags, product_events, retention, sinks, tenants, webhooks

EVERY_VIEW: Final[tuple[View[Any], ...]] = (
    tenants.TENANTS,
    tenants.SETTINGS,
    tenants.NAMES,
    directory.USERS,
    directory.GROUPS,
    directory.MEMBERS,
    directory.DIRECTORIES,
    directory.TOKENS,
    access.ROLES,
    access.ASSIGNMENTS,
    agents.API_KEYS,
    agents.OPERATOR_KEYS,
    flags.FLAGS,
    flags.TARGETS,
    webhooks.WEBHOOKS,
    webhooks.DEAD_LETTERS,
    audit.EXPORTS,
    product_events.AUDIT_ACTIONS,
    sinks.SINKS,
    sinks.SINK_LETTERS,
    retention.RETENTION,
    retention.LEGAL_HOLDS,
)
