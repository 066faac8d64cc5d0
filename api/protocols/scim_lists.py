"""Lists of resources (RFC 7644 §3.4.2): filtered, sorted and paged, as of one moment, with an exact total."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

import msgspec

from adapters.scim.discovery import MAX_RESULTS
from adapters.scim.filters import And, Compare, Filter, Not, Operator, Or, Present, Where, parse
from adapters.scim.matching import matches
from adapters.scim.projection import Projection
from adapters.scim.queries import Query, sort
from adapters.scim.resources import list_response
from adapters.scim.schema import RESOURCE_TYPES, Attribute, AttributePath, ResourceType
from api.protocols.scim_callers import FromDirectory
from domain.view import Moment, StoredViews, Versioned, View

R = TypeVar("R", bound=msgspec.Struct)
S = TypeVar("S", bound=msgspec.Struct)
Resource = dict[str, Any]

USUAL_PAGE: Final = 100
ROWS: Final = 500
"""Rows read at once."""


class Shelf(ABC, Generic[R]):
    """All resources of one type that a directory has at a moment."""

    kind: ClassVar[ResourceType]
    view: View[R]
    derived: ClassVar[tuple[str, ...]]
    """Attributes that are not in the row and cost a question each: they are added when they are asked for."""

    def __init__(self, caller: FromDirectory, at: Moment) -> None:
        self.caller = caller
        self.at = at

    @abstractmethod
    def resource(self, found: Versioned[R]) -> Resource:
        """The row as a resource, without what is derived."""

    @abstractmethod
    async def derive(self, resource: Resource, row: R, name: str) -> None:
        """Add a derived attribute."""

    @abstractmethod
    async def narrowed(self, attribute: str, value: str) -> list[Versioned[R]] | None:
        """The rows that can have this value, if an index knows; they may be other directories' too."""

    def is_own(self, row: R) -> bool:
        return bool(getattr(row, "directory", None) == self.caller.directory)

    async def stored(self) -> StoredViews:
        """The stored views, once they show the moment. Raises ViewBehind."""
        views = self.caller.node.views
        await views.reach(self.caller.tenant, self.at.position)
        return views

    async def get(self, key: str) -> Versioned[R] | None:
        found = await (await self.stored()).get(self.view, self.caller.tenant, key, self.at)
        return found if found is not None and self.is_own(found.row) else None

    async def find(self, column: str, value: str) -> list[Versioned[R]]:
        return [each async for each in self.rows(self.view, column, value)]

    async def find_external_id(self, scope: str, value: str) -> list[Versioned[R]]:
        handle = self.caller.node.keyring.find_handle(self.caller.tenant, "external_id" + scope, value)
        return await self.find("external_id_handle", handle) if handle else []

    async def rows(
        self, view: View[S], column: str, value: str, after: str = "", first: int = ROWS
    ) -> AsyncIterator[Versioned[S]]:
        """All rows of any view with a value in an indexed column, in the order of their keys."""
        views, tenant = await self.stored(), self.caller.tenant
        limit = min(max(first, 1), ROWS)
        while True:
            found = await views.find(view, tenant, self.at, column, value, after=after, limit=limit)
            for each in found:
                yield each
            if len(found) < limit:
                return
            after, limit = found[-1].key, ROWS

    async def count(self) -> int:
        caller = self.caller
        return await (await self.stored()).count(self.view, caller.tenant, self.at, "directory", caller.directory)

    async def candidates(self, wanted: Filter | None) -> AsyncIterator[Versioned[R]]:
        """Every row that can satisfy a filter."""
        for attribute, value in _equalities(wanted):
            found = await self.narrowed(attribute, value)
            if found is not None:
                for each in found:
                    if self.is_own(each.row):
                        yield each
                return
        async for each in self.rows(self.view, "directory", self.caller.directory):
            yield each

    async def page(self, skip: int, count: int) -> list[Versioned[R]]:
        """Rows in the order of their keys, from the last known place before them on."""
        memory = self.caller.memory
        listing = (self.caller.tenant, self.caller.directory, self.view.name, self.at.position)
        marks = memory.marks.get(listing, {})
        passed = max((rows for rows in marks if rows <= skip), default=0)
        found: list[Versioned[R]] = []
        async for each in self.rows(self.view, "directory", self.caller.directory, marks.get(passed, ""), count):
            passed += 1
            if passed > skip:
                found.append(each)
            if len(found) == count:
                memory.mark(listing, passed, each.key)
                break
        return found


class Found(NamedTuple):
    shelf: Shelf[Any]
    row: Any
    resource: Resource


async def listed(shelves: Sequence[Shelf[Any]], query: Query) -> Resource:
    """The ListResponse. Raises ScimError."""
    projections = {shelf.kind.name: Projection(shelf.kind, query.attributes, query.excluded) for shelf in shelves}
    count = USUAL_PAGE if query.count is None else min(query.count, MAX_RESULTS)
    if len(shelves) == 1 and query.filter is None and query.sort_by is None:
        (shelf,) = shelves
        total = await shelf.count()
        rows = await shelf.page(query.start_index - 1, count) if count and query.start_index <= total else []
        page = [Found(shelf, each.row, shelf.resource(each)) for each in rows]
    else:
        every = await _matching(shelves, query)
        total = len(every)
        page = every[query.start_index - 1 :][:count]
    resources = [await shown(*found, projections[found.shelf.kind.name]) for found in page]
    return list_response(resources, total, query.start_index)


async def shown(shelf: Shelf[Any], row: Any, resource: Resource, projection: Projection) -> Resource:
    """What is to be seen of a resource, with what is derived."""
    for name in shelf.derived:
        if name not in resource and projection.returns(name):
            await shelf.derive(resource, row, name)
    return projection.apply(resource)


async def _matching(shelves: Sequence[Shelf[Any]], query: Query) -> list[Found]:
    """All that the filter wants, in the order that was asked for."""
    every: dict[str, Found] = {}
    for shelf in shelves:
        wanted = None if query.filter is None else parse(query.filter, shelf.kind, shelf.caller.tolerance)
        asked = _asked(wanted) | _sorted_by(shelf.kind, query)
        async for found in shelf.candidates(wanted):
            resource = shelf.resource(found)
            for name in asked.intersection(shelf.derived):
                await shelf.derive(resource, found.row, name)
            if wanted is None or matches(wanted, resource):
                every[found.key] = Found(shelf, found.row, resource)
    if query.sort_by is None:
        return list(every.values())
    in_order = sort([found.resource for found in every.values()], query.sort_by, query.descending, RESOURCE_TYPES)
    return [every[resource["id"]] for resource in in_order]


def _equalities(wanted: Filter | None) -> list[tuple[str, str]]:
    """(attribute, value) of every equality that must hold; of a complex attribute, its `value` is meant."""
    found = []
    for term in wanted.terms if isinstance(wanted, And) else (wanted,):
        match term:
            case Compare(AttributePath(None, Attribute() as attribute, sub), Operator.EQ, str(value)):
                if sub is None or sub.name == "value":
                    found.append((attribute.name, value))
            case Where(AttributePath(None, Attribute() as attribute), Compare(path, Operator.EQ, str(value))):
                if path.attribute is not None and path.attribute.name == "value":
                    found.append((attribute.name, value))
    return found


def _asked(wanted: Filter | None) -> set[str]:
    """The attributes of the core schema that a filter looks at."""
    match wanted:
        case And(terms) | Or(terms):
            return {name for term in terms for name in _asked(term)}
        case Not(inner):
            return _asked(inner)
        case Where(path) | Present(path) | Compare(path):
            return {path.attribute.name} if path.attribute is not None else set()
    return set()


def _sorted_by(kind: ResourceType, query: Query) -> set[str]:
    path = kind.resolve(query.sort_by) if query.sort_by is not None else None
    return {path.attribute.name} if path is not None and path.attribute is not None else set()
