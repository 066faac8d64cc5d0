"""Every stored view, by capability."""

from typing import Any, Final

from domain.view import View
from projections import access, agents, directory, flags, tenants, webhooks

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
)
