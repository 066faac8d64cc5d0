"""Credentials, pre-merged: what the hash of each secret of a tenant opens, and what would take it back."""

from collections.abc import Callable
from typing import Any

import msgspec

from domain import agents
from domain.access.check import DIRECTORY_PERMISSIONS, Held, Subject, all_permissions
from domain.access.owners import OWNER
from domain.boundary import Expectation, Item
from domain.directory import feeds
from domain.event import Event
from domain.ids import DEPLOYMENT, CredentialId, DirectoryId, GroupId, RoleId, TenantId, UserId, is_id
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
    former: bool = False
    """Whether the secret was replaced by a rotation, and only opens until the overlap is over."""


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


class Secrets:
    """Which row the hash of each secret of a tenant belongs to, former secrets included; the row says what it opens."""

    def __init__(self, rows: Rows, views: ResidentViews) -> None:
        self._rows = rows
        self._views = views
        self._places: dict[bytes, tuple[str, str]] = {}

    def note(self, event: Event) -> None:
        """Before the rows follow it."""
        views = self._views
        match event:
            case agents.ApiKeyIssued(credential, secret_hash=hash):
                self._places[hash] = (views.api_keys.name, credential)
            case agents.ApiKeyRotated(credential, hash):
                self._forget_former(credential)
                self._places[hash] = (views.api_keys.name, credential)
            case agents.OperatorKeyIssued(_, credential, hash):
                self._places[hash] = (views.operator_keys.name, credential)
            case feeds.DirectoryTokenIssued(credential, secret_hash=hash):
                self._places[hash] = (views.tokens.name, credential)

    def _forget_former(self, credential: CredentialId) -> None:
        row = self._rows.rows[self._views.api_keys.name].get(credential)
        if row is not None and row.former_hash is not None:
            self._places.pop(row.former_hash, None)

    def find(self, digest: bytes) -> tuple[str, Any] | None:
        """The name of the view, and the row."""
        place = self._places.get(digest)
        row = self._rows.rows[place[0]].get(place[1]) if place else None
        return None if place is None or row is None else (place[0], row)


class Merging:
    """A merging of a tenant's credentials, one by one as they are asked for, for as long as what they merge is so."""

    def __init__(self, tenant: TenantId, rows: Rows, views: ResidentViews, person: Callable[[UserId], Person]) -> None:
        self.tenant = tenant
        self.rows = rows
        self._views = views
        self._person = person
        self._position = 0
        self._permissions: dict[str, frozenset[str]] = {}

    def merge(self, view: str, row: Any, digest: bytes, position: int) -> Credential:
        """What the hash of a secret of this row opens, as the tenant is at a position."""
        self._position = position
        if view == self._views.operator_keys.name:
            return self._operator_key(row)
        if view == self._views.tokens.name:
            return self._token(row)
        key = self._api_key(row)
        if digest == row.secret_hash:
            return key
        ends = [end for end in (row.former_until, key.expires_at) if end is not None]
        return msgspec.structs.replace(key, expires_at=min(ends), former=True)

    def _operator_key(self, row: Any) -> Credential:
        holds = self._holds(f"credential:{row.credential}", "OperatorKeyRevoked")
        operator = Subject(frozenset(), operator=True)
        return Credential(self.tenant, row.credential, "operator", row.operator, operator, (holds,))

    def _token(self, row: Any) -> Credential:
        revoked = self._holds(f"credential:{row.credential}", "DirectoryTokenRevoked")
        removed = self._holds(f"directory:{row.directory}", "DirectoryRemoved")
        return Credential(
            self.tenant,
            row.credential,
            "directory",
            row.directory,
            Subject(DIRECTORY_PERMISSIONS),
            (revoked, removed),
            row.expires_at,
            row.directory,
        )

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
        for subject in (user, *sorted(person.groups)):
            for _, assigned in self.rows.find(self._views.assignments, "subject", subject):
                held.append(Held(RoleId(assigned.role), self._permitted_by(assigned.role), assigned.expires_at))
                holds.append(self._holds(f"assignment:{assigned.role}/{subject}", "RoleWithdrawn"))
                if assigned.role != OWNER:
                    holds.append(self._holds(f"role:{assigned.role}", "RoleChanged", "RoleRetired"))
            if subject != user:
                holds.append(self._holds(f"member:{subject}/{user}", "MemberRemoved"))
                holds.append(self._holds(f"group:{subject}", "GroupDeleted"))
        return tuple(held), holds

    def _permitted_by(self, role: str) -> frozenset[str]:
        """Of a role, made once however many have it."""
        permissions = self._permissions.get(role)
        if permissions is None:
            row = self.rows.rows[self._views.roles.name].get(role)
            permissions = self._permissions[role] = frozenset(row.permissions) if row else frozenset()
        return permissions

    def _holds(self, tag: str, *types: str) -> Expectation:
        tenant = DEPLOYMENT if self.tenant == DEPLOYMENT else None
        return Expectation(Item((tag,), types, tenant), self._position)


def settled(credential: Credential, refusal: str | None) -> Credential:
    """With what does not depend on the time worked out."""
    subject = credential.subject
    timed = any(held.expires_at is not None for held in subject.roles or ())
    permits = None if subject.operator or timed else all_permissions(subject, 0)
    return msgspec.structs.replace(credential, permits=permits, refusal=credential.refusal or refusal)
