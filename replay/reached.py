"""What a blast radius is made of: the events that were reached, and the graph of who did what to whom."""

from typing import Final

import msgspec

from domain.event import Entry, Event
from domain.ids import KINDS

_NAMELESS: Final = frozenset({"tenant", "handle"})


class Reached(msgspec.Struct, frozen=True):
    """An event of the radius, and why it is one: by what it was done, and how that came into reach."""

    entry: Entry
    through: str
    """The id, or address, that was followed to it."""
    because: str


class Node(msgspec.Struct, frozen=True):
    """A thing that was reached; `since` is the first event that reached it (0: where it began)."""

    id: str
    kind: str
    since: int


class Edge(msgspec.Struct, frozen=True):
    """What one did to another: so many events of a type, the first of them named."""

    source: str
    target: str
    what: str
    positions: tuple[int, ...]
    count: int


class Cut(msgspec.Struct, frozen=True):
    """Where the walk ended before its end; beyond this position more may follow."""

    position: int
    because: str


class Radius(msgspec.Struct, frozen=True):
    """All that was reached, in order; `cuts` says what was left out, if anything was."""

    of: str
    events: tuple[Reached, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    cuts: tuple[Cut, ...]


def subjects_of(event: Event) -> list[str]:
    """The ids that an event is about, the tenant and what stands for names left out."""
    tags = (tag.partition(":") for tag in event.subject_tags())
    return [
        value
        for kind, _, value in tags
        if kind not in _NAMELESS and value[:3] in KINDS and "/" not in value and kind == KINDS[value[:3]]
    ]


def kind_in_graph(id: str) -> str:
    """What a node of the graph is: the kind of its id, `address`, or `system` for the node itself."""
    if id.startswith("address:"):
        return "address"
    return KINDS.get(id[:3], "system") if id[3:4] == "_" else "system"
