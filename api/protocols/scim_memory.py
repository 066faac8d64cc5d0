"""What a node remembers for SCIM, all of it bounded: opened users, marks in long listings, whose a resource is."""

from collections import OrderedDict
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter

from domain.ids import DirectoryId, TenantId

MOST_WEIGHT: Final = 64 * 1024 * 1024
"""About how many bytes of opened users are kept."""
MOST_MARKS: Final = 1_000
MOST_HOMES: Final = 50_000
_FIXED_WEIGHT: Final = 2_000
_WEIGHT_OF_A_BYTE: Final = 4

Resource = dict[str, Any]
Home = tuple[TenantId, DirectoryId]


class Opened(NamedTuple):
    """A user in the clear, as they have been since a position."""

    since: int
    resource: Resource
    weight: int


class ScimMemory:
    """Personal data lies here only in memory, and none of it outlives the next erasure."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leniencies = Counter(
            "muniment_scim_leniency_total",
            "Departures from the SCIM standard that were accepted.",
            ("rule", "provider"),
            registry=registry,
        )
        self.users = OpenedUsers()
        self.marks: OrderedDict[tuple[str, str, str, int], dict[int, str]] = OrderedDict()
        """Of a directory's listing as of a position: how many rows come up to which key."""
        self.homes: OrderedDict[tuple[TenantId, str], DirectoryId | None] = OrderedDict()
        """The directory that a user or group came from, which never changes."""

    def mark(self, listing: tuple[str, str, str, int], rows: int, key: str) -> None:
        self.marks.setdefault(listing, {})[rows] = key
        if len(self.marks) > MOST_MARKS:
            self.marks.popitem(last=False)

    def remember_home(self, tenant: TenantId, id: str, directory: DirectoryId | None) -> None:
        self.homes[tenant, id] = directory
        if len(self.homes) > MOST_HOMES:
            self.homes.popitem(last=False)


class OpenedUsers:
    """Opened users by directory, so that a listing that is asked for again unseals nothing again.

    A listing reads a directory from its beginning to its end, so single users are never dropped to make room: that
    would drop each just before it is wanted. The directory that was not asked for the longest goes, as a whole; of one
    that is too large by itself, the part that fits is kept.
    """

    def __init__(self, most_weight: int = MOST_WEIGHT) -> None:
        self._most = most_weight
        self._epoch = 0
        self._homes: OrderedDict[Home, dict[str, Opened]] = OrderedDict()
        self.weight = 0

    def get(self, home: Home, user: str, since: int, epoch: int) -> Resource | None:
        """The user as they have been since that position, if that is what is kept. It must not be changed."""
        self.forget_erased(epoch)
        users = self._homes.get(home)
        opened = users.get(user) if users else None
        if opened is None or opened.since != since:
            return None
        self._homes.move_to_end(home)
        return opened.resource

    def keep(self, home: Home, user: str, since: int, epoch: int, resource: Resource, size: int) -> None:
        """`size` is about how many bytes the user's values have."""
        self.forget_erased(epoch)
        weight = _FIXED_WEIGHT + _WEIGHT_OF_A_BYTE * size
        users = self._homes.setdefault(home, {})
        self._homes.move_to_end(home)
        if former := users.pop(user, None):
            self.weight -= former.weight
        while self.weight + weight > self._most and len(self._homes) > 1:
            _, dropped = self._homes.popitem(last=False)
            self.weight -= sum(each.weight for each in dropped.values())
        if self.weight + weight <= self._most:
            users[user] = Opened(since, resource, weight)
            self.weight += weight

    def forget_erased(self, epoch: int) -> None:
        """Drop what was opened in an earlier erasure epoch."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._homes.clear()
            self.weight = 0
