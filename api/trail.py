"""The trail: a search of everything that happened in a tenant, and how much of it there was when, by whom, of what."""

import asyncio
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from fastapi import Depends, Query

from api.acting import Reading
from api.audit import Event, MayReadOwnTrail, MayReadTrail, bodies_of, may_unseal
from api.bodies import Answer, Cursor, Limit, next_cursor, place_of, router, time_text
from api.trail_access import NOTHING
from api.trail_counting import Bucket, Facet, by_time, facets
from api.trail_filters import Search, TrailFilters, entries_of, matching, search_of
from domain.event import Entry

MOST_SCANNED: Final = 5_000
"""Events that one answer looks through for a text."""
_STEP: Final = 500

routes = router("audit")


class Trail(Answer):
    """`cut`: so many events had to be looked through that the answer ends early; `next` goes on where it ended."""

    items: list[Event]
    next: str | None = None
    position: int
    cut: bool = False


@dataclass(frozen=True)
class TrailQuery(TrailFilters):
    """A search, page by page."""

    order: Literal["newest", "oldest"] = "newest"
    limit: Limit = 100
    cursor: Cursor = None


Asked = Annotated[TrailQuery, Depends()]
Filters = Annotated[TrailFilters, Depends()]


@routes.get("/tenants/{tenant}/trail")
async def search_trail(reading: MayReadTrail, query: Asked) -> Trail:
    """What happened in a tenant: who did it, on whose behalf, under what authority, when and from where."""
    return await search(reading, query)


@routes.get("/trail")
async def search_own_trail(reading: MayReadOwnTrail, query: Asked) -> Trail:
    """The same of the key's own tenant, or of the one that an operator names."""
    return await search(reading, query)


async def search(reading: Reading, query: TrailQuery) -> Trail:
    asked = search_of(reading, query)
    newest = query.order == "newest"
    of = f"trail {query.text or ''} {asked.tags} {asked.any_of} {sorted(asked.types)} {query.order}"
    if place := place_of(reading, query.cursor, of):
        if newest:
            asked = replaced(asked, until=min(asked.until, int(place) - 1))
        else:
            asked = replaced(asked, after=max(asked.after, int(place)))
    found, last, more = await _found(reading, asked, query, newest)
    items, answer = await asyncio.to_thread(bodies_of, reading, found)
    await reading.node.accesses.note(reading, "search", query.told(), answer)
    return Trail(
        items=items,
        next=next_cursor(reading, str(last), of) if more else None,
        position=reading.at.position,
        cut=more and len(items) < query.limit,
    )


def replaced(search: Search, *, after: int | None = None, until: int | None = None) -> Search:
    return Search(
        search.tags,
        search.types,
        search.after if after is None else after,
        search.until if until is None else until,
        search.any_of,
    )


async def _found(reading: Reading, asked: Search, query: TrailQuery, newest: bool) -> tuple[list[Entry], int, bool]:
    """Events that match, the position where the search has come to, and whether there may be more beyond."""
    if query.text is None:
        entries = await entries_of(reading, asked, query.limit + 1, newest=newest)
        found = entries[: query.limit]
        return found, found[-1].position if found else 0, len(entries) > query.limit
    unseals, found, scanned, last = may_unseal(reading), list[Entry](), 0, 0
    while scanned < MOST_SCANNED:
        entries = await entries_of(reading, asked, _STEP, newest=newest)
        if not entries:
            return found, last, False
        hits = await asyncio.to_thread(matching, reading, entries, query.text, unseals=unseals)
        room = query.limit - len(found)
        found += hits[:room]
        if len(hits) > room or (len(hits) == room and len(entries) == _STEP):
            return found, found[-1].position, True
        scanned, last = scanned + len(entries), entries[-1].position
        if len(entries) < _STEP:
            return found, last, False
        asked = replaced(asked, until=last - 1) if newest else replaced(asked, after=last)
    return found, last, True


class Count(Answer):
    """So many events from this time on, up to the next."""

    time: str
    count: int


class Counts(Answer):
    """By time, in UTC; times without events are left out.

    `cut`: only the newest events were counted, back to the position `since`.
    """

    items: list[Count]
    total: int
    since: int
    position: int
    cut: bool = False


class FacetBody(Answer):
    value: str
    count: int


class Facets(Answer):
    """The most frequent values, of each what was asked for. `cut` as in counts."""

    facets: dict[str, list[FacetBody]]
    total: int
    since: int
    position: int
    cut: bool = False


BucketAsked = Annotated[Bucket, Query(description="How long each is; weeks begin on Monday.")]
By = Annotated[list[Facet] | None, Query(max_length=6, description="What to count by.")]
Most = Annotated[int, Query(ge=1, le=100, description="Values of each at most.")]
FACETS: Final[tuple[Facet, ...]] = ("type", "actor", "credential")


@routes.get("/tenants/{tenant}/trail/counts")
async def count_trail(reading: MayReadTrail, filters: Filters, bucket: BucketAsked = "day") -> Counts:
    """How many events of a search there were in each hour, day, week or month."""
    return await counts(reading, filters, bucket)


@routes.get("/trail/counts")
async def count_own_trail(reading: MayReadOwnTrail, filters: Filters, bucket: BucketAsked = "day") -> Counts:
    """The same of the key's own tenant, or of the one that an operator names."""
    return await counts(reading, filters, bucket)


async def counts(reading: Reading, filters: TrailFilters, bucket: Bucket) -> Counts:
    counted = await by_time(reading, search_of(reading, replace(filters, text=None)), bucket, filters.text)
    await reading.node.accesses.note(reading, "counts", f"{bucket} {filters.told()}", NOTHING)
    return Counts(
        items=[Count(time=time_text(instant), count=count) for instant, count in counted.items],
        total=sum(count for _, count in counted.items),
        since=counted.since,
        position=reading.at.position,
        cut=counted.cut,
    )


@routes.get("/tenants/{tenant}/trail/facets")
async def facet_trail(reading: MayReadTrail, filters: Filters, by: By = None, most: Most = 20) -> Facets:
    """Which types, actors, credentials … the events of a search have most."""
    return await faceted(reading, filters, by or list(FACETS), most)


@routes.get("/trail/facets")
async def facet_own_trail(reading: MayReadOwnTrail, filters: Filters, by: By = None, most: Most = 20) -> Facets:
    """The same of the key's own tenant, or of the one that an operator names."""
    return await faceted(reading, filters, by or list(FACETS), most)


async def faceted(reading: Reading, filters: TrailFilters, by: list[Facet], most: int) -> Facets:
    counted = await facets(reading, search_of(reading, replace(filters, text=None)), by, most, filters.text)
    question = f"{','.join(dict.fromkeys(by))} {filters.told()}"
    await reading.node.accesses.note(reading, "facets", question, NOTHING)
    return Facets(
        facets={
            name: [FacetBody(value=value, count=count) for value, count in values]
            for name, values in counted.facets.items()
        },
        total=counted.total,
        since=counted.since,
        position=reading.at.position,
        cut=counted.cut,
    )
