"""Resident views: the folds that must answer in microseconds, in memory by tenant, loaded from the index when asked.

A tenant's credentials are pre-merged: one look-up by the hash of a secret gives who it is and what it may do. What
decides is judged again at each use: ends and expiry by the clock, everything else by events as they come.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from domain.access.check import DIRECTORY_PERMISSIONS, Held, Subject
from domain.access.owners import OWNER
from domain.boundary import Expectation, Item
from domain.directory import groups, life
from domain.event import Event, Recorded
from domain.ids import DEPLOYMENT, DirectoryId, GroupId, RoleId, TenantId, UserId, is_id
from domain.ledger import History, Query
from domain.view import Rows, View

MOST_TENANTS: Final = 10_000
_PAGE: Final = 10_000

LIVES: Final = (
    life.UserProvisioned,
    life.UserDeactivated,
    life.UserReactivated,
    life.UserDeleted,
    life.SubjectErased,
)
MEMBERSHIPS: Final = (groups.MemberAdded, groups.MemberRemoved)


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

    def opens(self, at: int) -> bool:
        """Whether it opens anything at an instant (microseconds)."""
        return self.refusal is None and (self.expires_at is None or self.expires_at > at)


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


class ResidentTenant:
    """One tenant in memory."""

    def __init__(self, tenant: TenantId, views: ResidentViews, history: History) -> None:
        self.tenant = tenant
        self._views = views
        self._history = history
        self.rows = Rows(views.every)
        self._types = tuple(sorted(event.__name__ for event in self.rows.follows))
        self._merging = frozenset(self.rows.follows) - set(views.flags.follows)
        self._people: dict[UserId, Person] = {}
        self._credentials: dict[bytes, Credential] | None = None
        self.position = 0

    def catch_up(self, head: int) -> None:
        """Read from the index what was recorded up to `head` and matters here."""
        while self.position < head:
            query = Query(types=self._types, after=self.position, until=head)
            found = self._history.recorded(self.tenant, query, _PAGE)
            for recorded in found:
                self._evolve(recorded)
            self.position = found[-1].position if len(found) == _PAGE else head
        # People are few, and read anew when they are asked for again.
        self._people.clear()
        self._credentials = None

    def follow(self, recorded: Sequence[Recorded], head: int) -> None:
        """What a commit brought, if nothing is missing before it; else the next question reads it."""
        if not recorded or recorded[0].position != self.position + 1:
            return
        for each in recorded:
            self._evolve(each)
        self.position = head

    def _evolve(self, recorded: Recorded) -> None:
        self.rows.evolve(recorded)
        event = recorded.event
        if type(event) in self._merging:
            self._credentials = None
        if self._people and isinstance(event, (*LIVES, *MEMBERSHIPS, life.GroupDeleted)):
            self._touch(event)

    def _touch(self, event: Event) -> None:
        if isinstance(event, life.GroupDeleted):
            self._people.clear()
            self._credentials = None
            return
        user = getattr(event, "member", None) or getattr(event, "user", None)
        if user in self._people:
            del self._people[UserId(user)]
            self._credentials = None

    @property
    def life(self) -> str:
        """active, suspended, deleted or none"""
        if self.tenant == DEPLOYMENT:
            return "active"
        row = self.rows.rows[self._views.tenants.name].get(self.tenant)
        return row.life if row else "none"

    def credential(self, digest: bytes) -> Credential | None:
        """What the hash of a secret opens."""
        if self._credentials is None:
            self._credentials = self._merge()
        return self._credentials.get(digest)

    def _merge(self) -> dict[bytes, Credential]:
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
        return Expectation(Item((tag,), types, tenant), self.position)

    def _person(self, user: UserId) -> Person:
        person = self._people.get(user)
        if person is None:
            types = tuple(event.__name__ for event in (*LIVES, *MEMBERSHIPS))
            lives = life.Lives()
            member_of: set[GroupId] = set()
            query = Query(tags=(f"user:{user}",), types=types, until=self.position)
            while found := self._history.recorded(self.tenant, query, _PAGE):
                for recorded in found:
                    lives.evolve(recorded)
                    match recorded.event:
                        case groups.MemberAdded(group, member) if member == user:
                            member_of.add(group)
                        case groups.MemberRemoved(group, member) if member == user:
                            member_of.discard(group)
                query = msgspec.structs.replace(query, after=found[-1].position)
            alive = {group for group in member_of if self._group_lives(group)}
            person = self._people[user] = Person(lives.users.get(user) == "active", alive)
        return person

    def _group_lives(self, group: GroupId) -> bool:
        ended = Query(tags=(f"group:{group}",), types=("GroupDeleted",), until=self.position)
        return not self._history.recorded(self.tenant, ended, 1)


class Residents:
    """The tenants that are in memory; the least recently asked leave first."""

    def __init__(self, views: ResidentViews, history: History) -> None:
        self._views = views
        self._history = history
        self._tenants: OrderedDict[TenantId, ResidentTenant] = OrderedDict()

    def tenant(self, tenant: TenantId, head: int) -> ResidentTenant:
        """A tenant in memory, at least as new as `head`."""
        found = self._tenants.get(tenant)
        if found is None:
            found = self._tenants[tenant] = ResidentTenant(tenant, self._views, self._history)
            if len(self._tenants) > MOST_TENANTS:
                self._tenants.popitem(last=False)
        else:
            self._tenants.move_to_end(tenant)
        if found.position < head:
            found.catch_up(head)
        return found

    def committed(self, recorded: Iterable[Recorded], heads: Mapping[TenantId, int]) -> None:
        """Follow a commit: the tenants that are in memory take what is theirs."""
        by_tenant: dict[TenantId, list[Recorded]] = {}
        for each in recorded:
            if each.tenant in self._tenants:
                by_tenant.setdefault(each.tenant, []).append(each)
        for tenant, events in by_tenant.items():
            self._tenants[tenant].follow(events, heads[tenant])

    @property
    def count(self) -> int:
        return len(self._tenants)
