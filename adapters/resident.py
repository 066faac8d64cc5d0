"""Resident views: the folds that must answer in microseconds, in memory by tenant, loaded from the index when asked.

A tenant's credentials are pre-merged: one look-up by the hash of a secret gives who it is and what it may do. What
decides is judged again at each use: ends and expiry by the clock, everything else by events as they come.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from domain import agents
from domain.access.credentials import Credential, Merging, Person, ResidentViews, Secrets, settled
from domain.directory import feeds, groups, life
from domain.event import Event, Recorded
from domain.ids import DEPLOYMENT, GroupId, TenantId, UserId
from domain.ledger import History, Query
from domain.view import Rows

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
ISSUES: Final = frozenset({agents.ApiKeyIssued, agents.OperatorKeyIssued, feeds.DirectoryTokenIssued})
"""What brings a new secret changes nothing about those there are."""


class ResidentTenant:
    """One tenant in memory. `merged` is shared by all tenants: what opens something now, by the hash of its secret."""

    def __init__(
        self, tenant: TenantId, views: ResidentViews, history: History, merged: dict[bytes, Credential]
    ) -> None:
        self._merged = merged
        self.tenant = tenant
        self._views = views
        self._history = history
        self.rows = Rows(views.every)
        self._types = tuple(sorted(event.__name__ for event in self.rows.follows))
        self._deciding = frozenset(self.rows.follows) - set(views.flags.follows) - ISSUES
        self._people: dict[UserId, Person] = {}
        self._secrets = Secrets(self.rows, views)
        self._credentials: dict[bytes, Credential] = {}
        self._merging = self._new_merging()
        self.position = 0

    def _new_merging(self) -> Merging:
        return Merging(self.tenant, self.rows, self._views, self._person)

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
        self.unmerge()

    def follow(self, recorded: Sequence[Recorded], head: int) -> None:
        """What a commit brought, if nothing is missing before it; else the next question reads it."""
        if recorded[0].position != self.position + 1:
            self.unmerge()
            return
        for each in recorded:
            self._evolve(each)
        self.position = head

    def _evolve(self, recorded: Recorded) -> None:
        event = recorded.event
        self._secrets.note(event)
        self.rows.evolve(recorded)
        if type(event) in self._deciding:
            self.unmerge()
        if self._people and isinstance(event, (*LIVES, *MEMBERSHIPS, life.GroupDeleted)):
            self._touch(event)

    def _touch(self, event: Event) -> None:
        if isinstance(event, life.GroupDeleted):
            self._people.clear()
            self.unmerge()
            return
        user = getattr(event, "member", None) or getattr(event, "user", None)
        if user in self._people:
            del self._people[UserId(user)]
            self.unmerge()

    def unmerge(self) -> None:
        """Something has changed that credentials depend on: they are merged again when one is asked for."""
        for digest in self._credentials:
            self._merged.pop(digest, None)
        self._credentials.clear()
        self._merging = self._new_merging()

    @property
    def life(self) -> str:
        """active, suspended, deleted or none"""
        if self.tenant == DEPLOYMENT:
            return "active"
        row = self.rows.rows[self._views.tenants.name].get(self.tenant)
        return row.life if row else "none"

    def credential(self, digest: bytes) -> Credential | None:
        """What the hash of a secret opens."""
        merged = self._credentials.get(digest)
        if merged is not None:
            return merged
        found = self._secrets.find(digest)
        if found is None:
            return None
        refusal = None if self.life == "active" else f"the tenant is {self.life}"
        merged = settled(self._merging.merge(*found, digest, self.position), refusal)
        self._credentials[digest] = merged
        if merged.refusal is None:
            self._merged[digest] = merged
        return merged

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
        self._merged: dict[bytes, Credential] = {}

    def check(self, secret: str, permission: str, at: int) -> Credential | None:
        """The credential, if memory alone shows that it permits this now; None: ask the long way, which says why not.

        Expiry is judged here; revocation, rotation, suspension, a holder who left and changed roles take it out.
        """
        found = self._merged.get(sha256(secret.encode()).digest())
        if found is None or found.permits is None or permission not in found.permits:
            return None
        return found if found.expires_at is None or found.expires_at > at else None

    def known(self, digest: bytes, at: int) -> Credential | None:
        """The credential that a hash opens, if memory alone shows it."""
        found = self._merged.get(digest)
        return found if found is not None and (found.expires_at is None or found.expires_at > at) else None

    def tenant(self, tenant: TenantId, head: int) -> ResidentTenant:
        """A tenant in memory, at least as new as `head`."""
        found = self._tenants.get(tenant)
        if found is None:
            found = self._tenants[tenant] = ResidentTenant(tenant, self._views, self._history, self._merged)
            if len(self._tenants) > MOST_TENANTS:
                self._tenants.popitem(last=False)[1].unmerge()
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
