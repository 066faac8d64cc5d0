"""Which views a node keeps in its memory, and which an auditor's SQL may ask."""

from collections.abc import Mapping
from typing import Any, Final

from domain.access.credentials import ResidentViews
from domain.view import View
from projections import access, agents, directory, flags, tenants

RESIDENT: Final = ResidentViews(
    tenants=tenants.TENANTS,
    names=tenants.NAMES,
    directories=directory.DIRECTORIES,
    tokens=directory.TOKENS,
    api_keys=agents.API_KEYS,
    operator_keys=agents.OPERATOR_KEYS,
    roles=access.ROLES,
    assignments=access.ASSIGNMENTS,
    flags=flags.FLAGS,
    targets=flags.TARGETS,
)

AUDITED: Final[Mapping[str, View[Any]]] = {
    "users": directory.USERS,
    "groups": directory.GROUPS,
    "members": directory.MEMBERS,
    "directories": directory.DIRECTORIES,
    "roles": access.ROLES,
    "assignments": access.ASSIGNMENTS,
    "keys": agents.API_KEYS,
    "flags": flags.FLAGS,
    "flag_targets": flags.TARGETS,
    "settings": tenants.SETTINGS,
}
"""The views that SQL for auditors sees, by the names it uses."""
