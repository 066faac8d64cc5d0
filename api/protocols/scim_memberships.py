"""Who is in which group, from the ledger itself as of any moment: what answers of writes and of users need."""

from typing import Any, Final

from adapters.scim.schema import GROUP
from api.protocols.scim_callers import FromDirectory
from domain.directory import groups, life
from domain.event import Instant
from domain.ids import DirectoryId, GroupId, UserId
from domain.ledger import Query
from projections.directory import GROUPS, GroupRow

_PAGE: Final = 1_000
_MEMBERSHIPS: Final = ("MemberAdded", "MemberRemoved")
CHANGES_OF_GROUP: Final = (*GROUPS.follows, groups.MemberAdded, groups.MemberRemoved)
"""What makes a group, as SCIM has it, a newer version. That a member ceased to exist is the member's own history."""


class Memberships:
    """The groups of users as of a position; of the same groups only once."""

    def __init__(self, caller: FromDirectory, until: int) -> None:
        self._caller = caller
        self._until = until
        self._groups: dict[str, GroupRow | None] = {}

    def groups_of(self, user: str) -> list[dict[str, Any]]:
        """The value of a user's `groups` (RFC 7643 §4.1.2): those of the same directory."""
        return [
            {
                "value": group,
                "$ref": self._caller.location(GROUP, group),
                "display": self._caller.open("display_name", row.display_name) or "",
                "type": "direct",
            }
            for group in self._member_of(user)
            if (row := self._group(group)) is not None and row.directory == self._caller.directory
        ]

    def _member_of(self, user: str) -> list[str]:
        history, tenant = self._caller.node.history, self._caller.tenant
        member_of: dict[str, None] = {}
        query = Query(tags=(f"user:{user}",), types=_MEMBERSHIPS, until=self._until)
        while found := history.recorded(tenant, query, _PAGE):
            for recorded in found:
                match recorded.event:
                    case groups.MemberAdded(group):
                        member_of[group] = None
                    case groups.MemberRemoved(group):
                        member_of.pop(group, None)
            query = Query(query.tags, query.types, found[-1].position, self._until)
        return sorted(member_of)

    def _group(self, group: str) -> GroupRow | None:
        if group not in self._groups:
            row: GroupRow | None = None
            query = Query(tags=(f"group:{group}",), types=_names(GROUPS.follows), until=self._until)
            while found := self._caller.node.history.recorded(self._caller.tenant, query, _PAGE):
                for recorded in found:
                    row = GROUPS.evolve(row, recorded)
                query = Query(query.tags, query.types, found[-1].position, self._until)
            self._groups[group] = row
        return self._groups[group]


def last_change(caller: FromDirectory, group: str, until: int | None = None) -> tuple[int, Instant]:
    """When a group or its members last changed: position and instant."""
    query = Query(tags=(f"group:{group}",), types=_names(CHANGES_OF_GROUP), until=until)
    (last,) = caller.node.history.entries(caller.tenant, query, 1, newest_first=True)
    return last.position, last.instant


def is_member(caller: FromDirectory, group: GroupId, user: UserId) -> bool:
    """Whether the latest that was said of the two is that one was added to the other."""
    said = caller.node.history.latest(caller.tenant, f"member:{group}/{user}", _MEMBERSHIPS)
    return bool(said) and isinstance(said[-1].event, groups.MemberAdded)


def home_of(caller: FromDirectory, kind: str, id: str) -> DirectoryId | None:
    """The directory that a user or group, also a former one, came from; None if none did."""
    homes = caller.memory.homes
    if (caller.tenant, id) not in homes:
        began = caller.node.history.latest(caller.tenant, f"{kind}:{id}", ("UserProvisioned", "GroupCreated"))
        if not began:
            return None
        event = began[0].event
        home = event.directory if isinstance(event, life.UserProvisioned | life.GroupCreated) else None
        caller.memory.remember_home(caller.tenant, id, home)
    return homes[caller.tenant, id]


def _names(types: tuple[type[Any], ...]) -> tuple[str, ...]:
    return tuple(each.__name__ for each in types)
