"""Credentials, pre-merged: what the hash of each secret of a tenant opens, and what would take it back."""

from collections.abc import Callable
from typing import Any

import msgspec

from domain.access.check import DIRECTORY_PERMISSIONS, TENANT_PERMISSIONS, Held, Subject, decide_access
from domain.access.owners import OWNER
from domain.boundary import Expectation, Item
from domain.ids import DEPLOYMENT, DirectoryId, GroupId, RoleId, TenantId, UserId, is_id
from domain.view import Rows, View


class Credential(msgspec.Struct, frozen=True):
    """What the hash of a secret opens, everything merged that does not depend on the time."""

    tenant: TenantId
    id: str
    actor_kind: str
    actor_id: str
    subject: Subject
    holds: tuple[Expectation, ...]
    expires_at: int | None = None
    directory: DirectoryId | None = None
    """The only directory it opens, if it is a directory's token."""
    refusal: str | None = None
    """Why it opens nothing although the secret is right."""
    permits: frozenset[str] | None = None
    """All that it permits, where that does not depend on the time; None: decide_access must be asked."""


class Person(msgspec.Struct):
    """A holder of keys: whether they are active, and which groups give them roles."""

    active: bool
    groups: set[GroupId]


class ResidentViews(msgspec.Struct, frozen=True):
    """The views that a node keeps in memory, named by what is asked of them; each a View of projections."""

    tenants: View[Any]
    names: View[Any]
    directories: View[Any]
    tokens: View[Any]
    api_keys: View[Any]
    operator_keys: View[Any]
    roles: View[Any]
    assignments: View[Any]
    flags: View[Any]
    targets: View[Any]

    @property
    def every(self) -> tuple[View[Any], ...]:
        return msgspec.structs.astuple(self)


class Merging:
    """One merging of a tenant's credentials, from its views in memory as they are at a position."""

    def __init__(
        self, tenant: TenantId, rows: Rows, views: "ResidentViews", position: int, person: Callable[[UserId], Person]
    ) -> None:
        self.tenant = tenant
        self.rows = rows
        self._views = views
        self._position = position
        self._person = person

    def merge(self) -> dict[bytes, Credential]:
        """By the hash of the secret."""
        merged: dict[bytes, Credential] = {}
        for row in self.rows.rows[self._views.operator_keys.name].values():
            operator = Subject(frozenset(), operator=True)
            holds = self._holds(f"credential:{row.credential}", "OperatorKeyRevoked")
            merged[row.secret_hash] = Credential(
                self.tenant, row.credential, "operator", row.operator, operator, (holds,)
            )
        for row in self.rows.rows[self._views.tokens.name].values():
            holds = self._holds(f"credential:{row.credential}", "DirectoryTokenRevoked")
            removed = self._holds(f"directory:{row.directory}", "DirectoryRemoved")
            merged[row.secret_hash] = Credential(
                self.tenant,
                row.credential,
                "directory",
                row.directory,
                Subject(DIRECTORY_PERMISSIONS),
                (holds, removed),
                row.expires_at,
                row.directory,
            )
        for row in self.rows.rows[self._views.api_keys.name].values():
            key = self._api_key(row)
            merged[row.secret_hash] = key
            if row.former_hash is not None and row.former_until is not None:
                until = row.former_until if key.expires_at is None else min(row.former_until, key.expires_at)
                merged[row.former_hash] = msgspec.structs.replace(key, expires_at=until)
        return merged

    def _api_key(self, row: Any) -> Credential:
        holds = [self._holds(f"credential:{row.credential}", "ApiKeyRevoked", "ApiKeyRotated")]
        refusal = "the key is revoked" if row.revoked_at is not None else None
        permitted = frozenset(row.permissions)
        if not is_id(row.holder, "usr"):
            return Credential(
                self.tenant,
                row.credential,
                "service",
                row.credential,
                Subject(permitted),
                tuple(holds),
                row.expires_at,
                refusal=refusal,
            )
        user = UserId(row.holder)
        person = self._person(user)
        held, tags = self._roles_of(user, person)
        holds.append(self._holds(f"user:{user}", "UserDeactivated", "UserDeleted", "SubjectErased"))
        holds += tags
        if refusal is None and not person.active:
            refusal = "the key's holder is not active"
        return Credential(
            self.tenant,
            row.credential,
            "user",
            user,
            Subject(permitted, held),
            tuple(holds),
            row.expires_at,
            refusal=refusal,
        )

    def _roles_of(self, user: UserId, person: Person) -> tuple[tuple[Held, ...], list[Expectation]]:
        """The roles of a person, directly and through groups, and what would take one back."""
        held, holds = [], []
        roles = self.rows.rows[self._views.roles.name]
        for subject in (user, *sorted(person.groups)):
            for _, assigned in self.rows.find(self._views.assignments, "subject", subject):
                row = roles.get(assigned.role)
                permissions = frozenset(row.permissions) if row else frozenset()
                held.append(Held(RoleId(assigned.role), permissions, assigned.expires_at))
                holds.append(self._holds(f"assignment:{assigned.role}/{subject}", "RoleWithdrawn"))
                if assigned.role != OWNER:
                    holds.append(self._holds(f"role:{assigned.role}", "RoleChanged", "RoleRetired"))
            if subject != user:
                holds.append(self._holds(f"member:{subject}/{user}", "MemberRemoved"))
                holds.append(self._holds(f"group:{subject}", "GroupDeleted"))
        return tuple(held), holds

    def _holds(self, tag: str, *types: str) -> Expectation:
        tenant = DEPLOYMENT if self.tenant == DEPLOYMENT else None
        return Expectation(Item((tag,), types, tenant), self._position)


def settled(credential: Credential, refusal: str | None) -> Credential:
    """With what does not depend on the time worked out."""
    subject = credential.subject
    if subject.roles is None:
        permits: frozenset[str] | None = None if subject.operator else subject.permitted & TENANT_PERMISSIONS
    elif any(held.expires_at is not None for held in subject.roles):
        permits = None
    else:
        permits = frozenset(each for each in subject.permitted if decide_access(subject, each, 0).allowed)
    return msgspec.structs.replace(credential, permits=permits, refusal=credential.refusal or refusal)
