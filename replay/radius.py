"""Blast radius: everything that follows from a credential, a person, an operator or an address, step after step.

Causes come before what they cause, so one walk forward through the events finds the whole closure: each event that is
reached may open more to follow, from there on.
"""

import heapq
from collections.abc import Callable, Iterator
from typing import Final

from domain import agents
from domain.access.owners import RoleAssigned
from domain.access.roles import RoleChanged, RoleDefined
from domain.directory import feeds, groups, life
from domain.event import Entry, Event
from domain.ids import TenantId, is_id, kind_of
from domain.ledger import History, Query
from replay.reached import Cut, Edge, Node, Radius, Reached, kind_in_graph, subjects_of
from replay.standing import entries, pages

MOST_EVENTS: Final = 10_000
MOST_NODES: Final = 2_000
MOST_HOLDERS: Final = 1_000
"""Of a role, or members of a group, that are followed."""
MOST_SCANNED: Final = 100_000
"""Events that are looked through for what was caused by another."""
MOST_POSITIONS: Final = 20
"""Of one edge that are named; all are counted."""
MOST_READ: Final = 200_000
"""Events that are looked at, whether they belong to the radius or not."""


def blast_radius(history: History, tenant: TenantId, of: str, after: int, until: int, most: int = 1_000) -> Radius:
    """The closure from an id (`key_…`, `tok_…`, `usr_…`, `opr_…`, `dir_…`) or a tag (`address:…`) within a range."""
    return _Walk(history, tenant, until, most).from_seed(of, after)


class _Source:
    """Events that one thing leads to, from a position on."""

    def __init__(
        self, entries: Iterator[Entry], through: str, because: str, wanted: Callable[[Entry], bool] | None = None
    ) -> None:
        self.entries = entries
        self.through = through
        self.because = because
        self.wanted = wanted or (lambda _: True)


class _Walk:
    def __init__(self, history: History, tenant: TenantId, until: int, most: int) -> None:
        self._history = history
        self._tenant = tenant
        self._until = until
        self._most = min(most, MOST_EVENTS)
        self._heap: list[tuple[int, int, Entry, _Source]] = []
        self._number = 0
        self._followed: set[tuple[str, str]] = set()
        self._events: dict[int, Reached] = {}
        self._event_ids: set[str] = set()
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str, str], list[int]] = {}
        self._counts: dict[tuple[str, str, str], int] = {}
        self._cuts: list[Cut] = []
        self._used: set[tuple[str, str]] = set()

    def from_seed(self, of: str, after: int) -> Radius:
        self._seed(of, after)
        while self._heap:
            _, _, entry, source = heapq.heappop(self._heap)
            wanted = source.wanted(entry)
            if wanted and entry.position not in self._events:
                if len(self._events) == self._most:
                    self._cuts.append(Cut(entry.position - 1, f"only the first {self._most} events are told"))
                    break
                self._reach(entry, source)
            if self._number > MOST_READ:
                self._cuts.append(Cut(entry.position, f"the walk ended after {MOST_READ} events were looked at"))
                break
            self._advance(source)
        edges = [
            Edge(source, target, what, tuple(positions), self._counts[source, target, what])
            for (source, target, what), positions in self._edges.items()
        ]
        return Radius(of, tuple(self._events.values()), tuple(self._nodes.values()), tuple(edges), tuple(self._cuts))

    def _seed(self, of: str, after: int) -> None:
        kind, _, _ = of.partition(":")
        if kind == "address":
            self._nodes[of] = Node(of, "address", 0)
            self._follow(of, of, after, "it came from this address")
        elif kind_of(of) == "credential":
            self._nodes[of] = Node(of, "credential", 0)
            self._follow(f"used:{of}", of, after, "this credential was used")
        else:
            self._nodes[of] = Node(of, kind_of(of), 0)
            self._follow(f"actor:{of}", of, after, "they did it, or it was done on their behalf")
        self._advance(_Source(self._caused(after), of, "it was caused by what was reached", self._is_caused))

    def _follow(
        self,
        tag: str,
        through: str,
        after: int,
        because: str,
        wanted: Callable[[Entry], bool] | None = None,
    ) -> None:
        if (tag, because) in self._followed and wanted is None:
            return
        self._followed.add((tag, because))
        query = Query(tags=(tag,), after=after, until=self._until)
        self._advance(_Source(entries(self._history, self._tenant, query), through, because, wanted))

    def _advance(self, source: _Source) -> None:
        entry = next(source.entries, None)
        if entry is not None:
            self._number += 1
            heapq.heappush(self._heap, (entry.position, self._number, entry, source))

    def _caused(self, after: int) -> Iterator[Entry]:
        """Events that name a cause; whether it is one of ours is known once the walk has come to them."""
        query = Query(after=after, until=min(self._until, after + MOST_SCANNED))
        for entry in entries(self._history, self._tenant, query, 2_000):
            if entry.meta.causation_id is not None:
                yield entry
        if query.until is not None and query.until < self._until:
            self._cuts.append(Cut(query.until, f"causes were looked for among the first {MOST_SCANNED} events alone"))

    def _is_caused(self, entry: Entry) -> bool:
        return entry.meta.causation_id in self._event_ids

    def _reach(self, entry: Entry, source: _Source) -> None:
        self._events[entry.position] = Reached(entry, source.through, source.because)
        self._event_ids.add(entry.meta.event_id)
        self._draw(entry, source)
        self._expand(entry)

    def _draw(self, entry: Entry, source: _Source) -> None:
        meta = entry.meta
        by = meta.credential_id or meta.actor_id
        if source.through != by:
            self._edge(source.through, by, "acted by" if source.through.startswith("address:") else "led to", entry)
        for delegate in meta.on_behalf_of:
            self._edge(by, delegate.rpartition(":")[2], "acted for", entry)
        for subject in subjects_of(entry.event):
            if subject != by:
                self._edge(by, subject, entry.event.type_name, entry)

    def _edge(self, source: str, target: str, what: str, entry: Entry) -> None:
        for each in (source, target):
            if each not in self._nodes:
                if len(self._nodes) == MOST_NODES:
                    if not any("things" in cut.because for cut in self._cuts):
                        self._cuts.append(Cut(entry.position - 1, f"the graph shows the first {MOST_NODES} things"))
                    return
                self._nodes[each] = Node(each, kind_in_graph(each), entry.position)
        key = (source, target, what)
        self._counts[key] = self._counts.get(key, 0) + 1
        positions = self._edges.setdefault(key, [])
        if len(positions) < MOST_POSITIONS:
            positions.append(entry.position)

    def _expand(self, entry: Entry) -> None:
        """What an event brings into reach."""
        at = entry.position
        match entry.event:
            case (
                agents.ApiKeyIssued(credential=made)
                | feeds.DirectoryTokenIssued(credential=made)
                | agents.OperatorKeyIssued(credential=made)
            ):
                self._follow(f"used:{made}", made, at, "the credential was issued by what was reached")
            case agents.ApiKeyRotated(credential=made):
                self._follow(f"used:{made}", made, at, "the credential's secret was made by what was reached")
            case life.UserProvisioned(user=user):
                self._follow(f"actor:{user}", user, at, "the user was made by what was reached")
            case life.UserReactivated(user=user):
                self._follow(f"actor:{user}", user, at, "the user was reactivated by what was reached")
            case feeds.DirectoryCreated(directory=feed):
                self._follow(f"actor:{feed}", feed, at, "the directory was made by what was reached")
            case RoleAssigned(role=role, subject=subject):
                for person in self._people(subject, at):
                    self._granted(person, at, frozenset({role}))
            case groups.MemberAdded(group=group, member=member):
                self._granted(member, at, frozenset(self._roles_of(group)))
            case RoleDefined(role=role) | RoleChanged(role=role):
                self._widened(role, at, frozenset(entry.event.permissions) - self._permitted_before(role, at))

    def _granted(self, user: str, at: int, roles: frozenset[str]) -> None:
        """What a person did by a role that they have from what was reached."""
        if roles and is_id(user, "usr"):
            self._follow(
                f"actor:{user}",
                user,
                at,
                f"a role that was given by what was reached allowed it ({', '.join(sorted(roles))})",
                lambda entry: not roles.isdisjoint(entry.meta.authority_policies),
            )

    def _widened(self, role: str, at: int, added: frozenset[str]) -> None:
        """What was done by permissions that a role has from what was reached."""
        if not added:
            return
        for subject in self._about(f"role:{role}", (RoleAssigned,), lambda event: event.subject, at):
            for user in self._people(subject, at):
                self._follow(
                    f"actor:{user}",
                    user,
                    at,
                    f"a permission that was added by what was reached allowed it ({role})",
                    lambda entry: role in entry.meta.authority_policies and entry.meta.authority_permission in added,
                )

    def _permitted_before(self, role: str, at: int) -> frozenset[str]:
        permitted: frozenset[str] = frozenset()
        query = Query((f"role:{role}",), ("RoleChanged", "RoleDefined"), until=at - 1)
        for recorded in pages(self._history, self._tenant, query):
            permitted = frozenset(recorded.event.permissions)  # type: ignore[attr-defined]
        return permitted

    def _people(self, subject: str, at: int) -> list[str]:
        """A user, or who is or will be a member of a group."""
        if is_id(subject, "usr"):
            return [subject]
        return self._about(f"group:{subject}", (groups.MemberAdded,), lambda event: event.member, at)

    def _roles_of(self, group: str) -> list[str]:
        return self._about(f"group:{group}", (RoleAssigned,), lambda event: event.role, self._until)

    def _about(self, tag: str, types: tuple[type[Event], ...], of: Callable[..., str], at: int) -> list[str]:
        found: dict[str, None] = {}
        query = Query((tag,), tuple(each.__name__ for each in types), until=self._until)
        for recorded in pages(self._history, self._tenant, query):
            found[of(recorded.event)] = None
            if len(found) == MOST_HOLDERS:
                self._cuts.append(Cut(at, f"{tag}: only the first {MOST_HOLDERS} of its holders are followed"))
                break
        return list(found)
