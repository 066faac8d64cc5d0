"""What the writer keeps in memory of a tenant and of a tag."""

from domain.event import Recorded
from domain.evidence.tree import Frontier
from domain.ids import TenantId


class TagState:
    """A tag's key, how many events carry it, and the last of each type: itself, or where it is."""

    __slots__ = ("count", "key", "latest")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.count = 0
        self.latest: dict[int, Recorded | int] = {}


class TenantState:
    """A tenant's head and tree, and those of its tags that are cached."""

    __slots__ = ("frontier", "instant", "key", "number", "position", "tags", "tenant")

    def __init__(self, number: int, tenant: TenantId, position: int, instant: int, frontier: Frontier) -> None:
        self.number = number
        self.key = number.to_bytes(4, "big")
        self.tenant = tenant
        self.position = position
        self.instant = instant
        self.frontier = frontier
        self.tags: dict[str, TagState] = {}
