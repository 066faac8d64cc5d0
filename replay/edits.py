"""Edits of a copy of history: events left out, added or moved, and what a role or a key permits."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from domain import agents
from domain.access import roles
from domain.event import Code, Entry, Event, Instant, Recorded
from domain.ids import TenantId
from domain.ledger import History, Query

MOST_EDITS: Final = 1_000
MOST_POSITIONS: Final = 10_000


class LeaveOut(msgspec.Struct, frozen=True):
    """As if these had not happened: positions, or all that was done with a credential in a range."""

    positions: frozenset[int] = frozenset()
    credential: str | None = None
    first: int = 1
    last: int | None = None


class Add(msgspec.Struct, frozen=True):
    """As if this had happened right after a position (0: before everything)."""

    after: int
    event: Event


class Move(msgspec.Struct, frozen=True):
    """As if this had happened right after another position than it did."""

    position: int
    after: int


class Permit(msgspec.Struct, frozen=True):
    """As if a role had permitted just this from a position on, or a key ever since its issue, whatever was recorded."""

    of: str
    permissions: tuple[str, ...]
    since: int = 1


Edit = LeaveOut | Add | Move | Permit


class NoSuchEvent(Exception):
    """An edit names an event that the history does not have; the message says which."""


class Inserted(msgspec.Struct, frozen=True):
    """An event that stands at another place, or was never there; `entry` is None for what was never there."""

    recorded: Recorded
    entry: Entry | None


class Plan:
    """Edits, as a walk through the history asks for them."""

    def __init__(self, history: History, tenant: TenantId, edits: Sequence[Edit], until: int) -> None:
        self._positions: set[int] = set()
        self._uses: list[LeaveOut] = []
        self._permits: dict[str, list[Permit]] = {}
        self._inserted: dict[int, list[Inserted]] = {}
        self.first = until + 1
        """The first position at which anything may be other than it was."""
        for edit in edits:
            self._take(history, tenant, edit, until)

    def _take(self, history: History, tenant: TenantId, edit: Edit, until: int) -> None:
        match edit:
            case LeaveOut():
                self._positions |= edit.positions
                if edit.credential is not None:
                    self._uses.append(edit)
                    self._begin(edit.first)
                self._begin(*edit.positions)
            case Add(after=after, event=event):
                self._insert(history, tenant, after, event, None, until)
            case Move(position=position, after=after):
                found = history.entries(tenant, Query(after=position - 1, until=min(position, until)), 1)
                if not found:
                    raise NoSuchEvent(f"there is no event at position {position}: move one that is there")
                self._positions.add(position)
                self._begin(position)
                self._insert(history, tenant, after, found[0].event, found[0], until)
            case Permit(of=of):
                self._permits.setdefault(of, []).append(edit)
                self._begin(*self._changes_of(history, tenant, edit))

    def _begin(self, *positions: int) -> None:
        self.first = min((self.first, *positions))

    def _insert(
        self, history: History, tenant: TenantId, after: int, event: Event, entry: Entry | None, until: int
    ) -> None:
        if after > until:
            raise NoSuchEvent(f"the history that is looked at ends at position {until}: place the event before")
        instant = history.instant_of(tenant, max(1, after)) if until else Instant(0)
        self._inserted.setdefault(after, []).append(Inserted(Recorded(tenant, after, instant, event), entry))
        self._begin(after + 1)

    def _changes_of(self, history: History, tenant: TenantId, edit: Permit) -> Iterable[int]:
        """Where anything is other than it was: where a role or a key says what it permits, or where it is told to."""
        kind = "role" if edit.of.startswith("rol") else "credential"
        query = Query((f"{kind}:{edit.of}",), ("ApiKeyIssued", "RoleDefined"))
        found = history.recorded(tenant, query, 1)
        if not found:
            raise NoSuchEvent(f"{edit.of} was never made: name a role or an API key of this history")
        made = found[0]
        if isinstance(made.event, roles.RoleDefined) and edit.since > made.position:
            event = roles.RoleChanged(made.event.role, _codes(edit.permissions))
            self._insert(history, tenant, edit.since - 1, event, None, 1 << 62)
            return (edit.since,)
        return (made.position,)

    def leaves_out(self, entry: Entry) -> bool:
        if entry.position in self._positions:
            return True
        used, at = entry.meta.credential_id, entry.position
        return any(
            each.credential == used and each.first <= at and (each.last is None or at <= each.last)
            for each in self._uses
        )

    def after(self, position: int) -> Sequence[Inserted]:
        return self._inserted.get(position, ())

    def edited(self, recorded: Recorded) -> Recorded:
        """The event as the edits have it; itself if they say nothing of it."""
        if not self._permits:
            return recorded
        event = recorded.event
        match event:
            case roles.RoleDefined(role=of) | roles.RoleChanged(role=of):
                edits = [each for each in self._permits.get(of, ()) if recorded.position >= each.since]
            case agents.ApiKeyIssued(credential=credential):
                edits = self._permits.get(credential, [])
            case _:
                return recorded
        for edit in edits:
            event = msgspec.structs.replace(event, permissions=_codes(edit.permissions))
        return recorded if event is recorded.event else msgspec.structs.replace(recorded, event=event)


def _codes(permissions: Iterable[str]) -> tuple[Code, ...]:
    return tuple(Code(each) for each in permissions)
