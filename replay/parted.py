"""Two histories of one tenant that have parted: the one that happened and the edited one, and how their ends differ."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from domain.access.check import all_permissions
from domain.access.owners import OWNER
from domain.event import Event, Recorded
from domain.ids import UserId, is_id
from domain.view import View
from projections.directory import MEMBERS
from replay.standing import DECIDING, OPENING, PEOPLE, VIEWS, Standing, permitted_by

_FOLLOWING: Final[dict[type[Event], tuple[View[Any], ...]]] = {
    event: tuple(view for view in DECIDING if event in view.follows) for view in DECIDING for event in view.follows
}
_NONE: Final[frozenset[str]] = frozenset()


class Opens(msgspec.Struct, frozen=True):
    """What a credential opens: `state` is none, open, or why it opens nothing."""

    state: str
    permissions: tuple[str, ...]


class CredentialFlip(msgspec.Struct, frozen=True):
    """A credential that opens something else at the end; `first` is where its history parted."""

    credential: str
    was: Opens
    would: Opens
    first: int


class AccessFlip(msgspec.Struct, frozen=True):
    """A person whose roles permit something else at the end."""

    subject: str
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    first: int


class Parted:
    """The standing of both, kept in step; and where each row that may differ began to."""

    def __init__(self, base: Standing, edited: Standing) -> None:
        self.base = base
        self.edited = edited
        self._first: dict[tuple[str, str], int] = {}

    def alike(self, recorded: Recorded) -> None:
        """An event that both have."""
        self.edited.evolve(recorded)
        if self.base is not self.edited:
            self.base.evolve(recorded)

    def differently(self, was: Recorded | None, now: Recorded | None) -> None:
        """An event that only one has, or that says another thing in each."""
        for recorded in (was, now):
            if recorded is not None:
                self._note(recorded)
        if was is not None:
            self.base.evolve(was)
        if now is not None:
            self.edited.evolve(now)

    def _note(self, recorded: Recorded) -> None:
        for view in _FOLLOWING.get(type(recorded.event), ()):
            for standing in (self.base, self.edited):
                for key in standing.rows.concerned(view, recorded.event):
                    self._first.setdefault((view.name, key), max(1, recorded.position))

    def life(self) -> tuple[str, str]:
        """The tenant's life in each."""
        return self.base.life, self.edited.life

    def credentials(self, at: int) -> Iterator[CredentialFlip]:
        """Every credential that opens something else, or nothing any more, at an instant."""
        if not self._first:
            return
        every: dict[str, None] = {}
        for view in OPENING:
            for standing in (self.base, self.edited):
                every |= dict.fromkeys(standing.rows.rows[view.name])
        for credential in sorted(every):
            was, would = opened(self.base, credential, at), opened(self.edited, credential, at)
            if was != would:
                yield CredentialFlip(credential, was, would, self._where(self._rests_on(credential)))

    def access(self, at: int) -> Iterator[AccessFlip]:
        """Every person whose roles permit something else at an instant."""
        for user in sorted(self._people()):
            was, would = by_roles(self.base, user, at), by_roles(self.edited, user, at)
            if was != would:
                lost, gained = tuple(sorted(was - would)), tuple(sorted(would - was))
                yield AccessFlip(user, lost, gained, self._where(self._person(user)))

    def _where(self, rows: Iterator[tuple[str, str]]) -> int:
        tenant = (VIEWS.tenants.name, str(self.base.tenant))
        return min((self._first[each] for each in (*rows, tenant) if each in self._first), default=0)

    def _rests_on(self, credential: str) -> Iterator[tuple[str, str]]:
        """The rows that what a credential opens depends on, in either history."""
        for view in OPENING:
            yield view.name, credential
        for standing in (self.base, self.edited):
            row = standing.rows.rows[VIEWS.api_keys.name].get(credential)
            if row is not None and is_id(row.holder, "usr"):
                yield from self._person(row.holder)

    def _person(self, user: str) -> Iterator[tuple[str, str]]:
        """Their life, memberships and assignments, those that ended included, and the roles."""
        yield PEOPLE.name, user
        held = {user}
        for view, key in self._first:
            if view == MEMBERS.name and key.endswith(f"/{user}"):
                yield view, key
                held.add(key.partition("/")[0])
        for standing in (self.base, self.edited):
            held |= {each.group for _, each in standing.rows.find(MEMBERS, "member", user)}
        for subject in held:
            for view, key in self._first:
                if view == VIEWS.assignments.name and key.endswith(f"/{subject}"):
                    yield view, key
            for standing in (self.base, self.edited):
                for _, row in standing.rows.find(VIEWS.assignments, "subject", subject):
                    yield VIEWS.roles.name, row.role

    def _people(self) -> set[str]:
        """Whoever may be permitted something else: by their life, a membership, an assignment or a role."""
        subjects: set[str] = set()
        for view, key in self._first:
            if view == PEOPLE.name:
                subjects.add(key)
            elif view in (MEMBERS.name, VIEWS.assignments.name):
                subjects.add(key.rpartition("/")[2])
            elif view == VIEWS.roles.name:
                subjects |= {row.subject for each in self._both() for _, row in _having(each, key)}
        people = {each for each in subjects if is_id(each, "usr")}
        for group in subjects - people:
            people |= {row.member for each in self._both() for _, row in each.rows.find(MEMBERS, "group", group)}
        return people

    def _both(self) -> tuple[Standing, Standing]:
        return self.base, self.edited


def _having(standing: Standing, role: str) -> list[tuple[str, Any]]:
    return standing.rows.find(VIEWS.assignments, "role", role)


def opened(standing: Standing, credential: str, at: int) -> Opens:
    """What a credential opens at an instant."""
    found = standing.credential(credential)
    if found is None:
        return Opens("none", ())
    if found.refusal is not None:
        return Opens(found.refusal, ())
    if found.expires_at is not None and found.expires_at <= at:
        return Opens("it has expired", ())
    return Opens("open", tuple(sorted(all_permissions(found.subject, at))))


def by_roles(standing: Standing, user: str, at: int) -> frozenset[str]:
    """All that a person's roles permit at an instant, directly and through groups; nothing while they aren't active."""
    row = standing.rows.rows[PEOPLE.name].get(user)
    if row is None or not row.active:
        return _NONE
    groups = [each.group for _, each in standing.rows.find(MEMBERS, "member", user)]
    permitted = _NONE
    for subject in (UserId(user), *groups):
        for _, held in standing.rows.find(VIEWS.assignments, "subject", subject):
            if held.expires_at is None or held.expires_at > at:
                permitted |= permitted_by(standing, held.role)
                if held.role == OWNER:
                    return permitted
    return permitted
