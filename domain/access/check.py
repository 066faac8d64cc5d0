"""The decision: whether a subject may do an action, and because of what."""

from collections.abc import Iterable
from typing import Final

import msgspec

from domain.access.owners import OWNER
from domain.ids import RoleId

TENANT_PERMISSIONS: Final = frozenset(
    {
        "tenants:read",
        "tenants:settings",
        "users:read",
        "users:manage",
        "users:erase",
        "groups:read",
        "groups:manage",
        "directories:read",
        "directories:manage",
        "roles:read",
        "roles:manage",
        "roles:assign",
        "keys:read",
        "keys:manage",
        "flags:read",
        "flags:manage",
        "flags:evaluate",
        "sinks:read",
        "sinks:manage",
        "webhooks:read",
        "webhooks:manage",
        "people:unseal",
        "audit:read",
        "audit:record",
        "replay:read",
        "retention:manage",
        "holds:manage",
    }
)
"""What can be permitted inside a tenant. Its owners have all of it."""

DEPLOYMENT_PERMISSIONS: Final = frozenset(
    {"tenants:create", "tenants:manage", "operators:manage", "node:manage", "actions:manage"}
)
"""What only operators have."""

DIRECTORY_PERMISSIONS: Final = frozenset({"users:read", "users:manage", "groups:read", "groups:manage"})
"""What a directory's token may do, in its own directory."""


ONLY_OPERATORS: Final = "only operators may do this; use an operator's key"
"""What a tenant's key is told where the deployment as a whole is asked for."""


class Held(msgspec.Struct, frozen=True):
    """A role that a subject has, what it permits, and until when."""

    role: RoleId
    permissions: frozenset[str]
    expires_at: int | None = None


class Subject(msgspec.Struct, frozen=True):
    """Who asks: what their credential permits, and, for a person, the roles that bound it."""

    permitted: frozenset[str]
    roles: tuple[Held, ...] | None = None
    """None: the credential stands for itself and not for a person."""
    operator: bool = False


class Decision(msgspec.Struct, frozen=True):
    """Yes or no, with the reason, which the caller may be told."""

    allowed: bool
    because: str
    policies: tuple[str, ...] = ()
    """The roles that allowed it."""


def decide_access(subject: Subject, action: str, at: int) -> Decision:
    """Whether the subject may do what needs the permission `action`, at an instant."""
    if subject.operator:
        return Decision(True, "an operator may", ("operator",))
    if action in DEPLOYMENT_PERMISSIONS:
        return Decision(False, f"only operators have {action}")
    if action not in subject.permitted:
        return Decision(False, f"the key does not have {action}; use one that does, or issue one with it")
    if subject.roles is None:
        return Decision(True, f"the key has {action}", ("key",))
    granting = tuple(
        held.role
        for held in subject.roles
        if (held.expires_at is None or held.expires_at > at) and (held.role == OWNER or action in held.permissions)
    )
    if not granting:
        return Decision(False, f"no role of the key's holder grants {action}; assign one that does")
    return Decision(True, f"the key has {action} and its holder's role grants it", granting)


def all_permissions(subject: Subject, at: int) -> frozenset[str]:
    """Everything the subject may do: the most it can hand on."""
    if subject.operator:
        return TENANT_PERMISSIONS | DEPLOYMENT_PERMISSIONS
    permitted = subject.permitted & TENANT_PERMISSIONS
    if subject.roles is None:
        return permitted
    held = [each for each in subject.roles if each.expires_at is None or each.expires_at > at]
    if any(each.role == OWNER for each in held):
        return permitted
    return frozenset(action for action in permitted if any(action in each.permissions for each in held))


def end_of(subject: Subject, permissions: Iterable[str], at: int) -> int | None:
    """When the roles of a person stop granting all of these; None if no end is set. Each lasts as long as its last."""
    if subject.roles is None:
        return None
    held = [each for each in subject.roles if each.expires_at is None or each.expires_at > at]
    ends = []
    for action in permissions:
        granting = [each.expires_at for each in held if each.role == OWNER or action in each.permissions]
        limits = [end for end in granting if end is not None]
        if limits and len(limits) == len(granting):
            ends.append(max(limits))
    return min(ends, default=None)
