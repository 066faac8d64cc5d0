"""A boundary: the events a command must have seen, named by tags and types, each item bounded in number."""

from collections.abc import Callable
from typing import Any

import msgspec

from domain.event import Event, Recorded
from domain.ids import TenantId, kind_of


class Item(msgspec.Struct, frozen=True, gc=False):
    """The latest event of each of these types that carries all of these tags.

    Latest is enough because every event states a fact absolutely; what needs more reads a Tally.
    """

    tags: tuple[str, ...]
    types: tuple[type[Event] | str, ...]
    tenant: TenantId | None = None
    """Another tenant than the command's own: only the deployment's history may be named."""


class Tally(msgspec.Struct, frozen=True):
    """A decision state: a small fold over all events with a tag, kept by the ledger and brought up to date."""

    name: str
    tag: str
    types: tuple[type[Event], ...]
    begin: Callable[[], Any]
    evolve: Callable[[Any, Recorded], None]
    """Changes the state in place. It must only depend on the event."""


class Boundary(msgspec.Struct, frozen=True, gc=False):
    """Items and tallies; `|` joins two."""

    items: tuple[Item, ...] = ()
    tallies: tuple[Tally, ...] = ()

    def __or__(self, other: "Boundary") -> "Boundary":
        return Boundary(self.items + other.items, self.tallies + other.tallies)


class Expectation(msgspec.Struct, frozen=True, gc=False):
    """That nothing which an item names has happened after a position."""

    item: Item
    after: int


def about(subject: str, *types: type[Event]) -> Boundary:
    """The latest of each type about one id."""
    return Boundary((Item((f"{kind_of(subject)}:{subject}",), types),))


def edge(kind: str, left: str, right: str, *types: type[Event]) -> Boundary:
    """The latest of each type about a pair."""
    return Boundary((Item((f"{kind}:{left}/{right}",), types),))


def tagged(tag: str, *types: type[Event]) -> Boundary:
    """The latest of each type with a tag."""
    return Boundary((Item((tag,), types),))
