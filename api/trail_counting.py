"""Counting the trail in bounded work: by bisection, from the newest events, or by the columns of the archive."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, Protocol

from api.acting import Reading
from api.audit import may_unseal
from api.trail_filters import Search, entries_of, matching
from domain.event import Entry, Instant
from domain.ids import TenantId

Bucket = Literal["hour", "day", "week", "month"]
Facet = Literal["type", "actor", "actor_kind", "credential", "permission", "on_behalf_of"]

MOST_COUNTED: Final = 20_000
"""Events that are read one by one for an answer; the newest."""
FEW: Final = 2_000
"""Events that are read one by one before the archive is asked."""
MOST_LOOKED_THROUGH: Final = 5_000
"""The same where a text is looked for."""
MOST_BUCKETS: Final = 2_000
_STEP: Final = 1_000

_VALUES: Final[dict[Facet, Callable[[Entry], Sequence[str | None]]]] = {
    "type": lambda entry: (entry.event.type_name,),
    "actor": lambda entry: (entry.meta.actor_id,),
    "actor_kind": lambda entry: (entry.meta.actor_kind,),
    "credential": lambda entry: (entry.meta.credential_id,),
    "permission": lambda entry: (entry.meta.authority_permission,),
    "on_behalf_of": lambda entry: entry.meta.on_behalf_of,
}


class ByTime(NamedTuple):
    """(when a bucket begins, how many events it has), oldest first, of the events from the position `since` on."""

    items: list[tuple[Instant, int]]
    since: int
    cut: bool


class ByValue(NamedTuple):
    """Of each facet (value, how many events have it), the most first."""

    facets: dict[Facet, list[tuple[str, int]]]
    total: int
    since: int
    cut: bool


class Columns(Protocol):
    """A tenant's whole history by columns. Blocks; safe to use from any thread."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What keeps it from answering."""
        ...

    def by_time(self, tenant: TenantId, search: Search, bucket: Bucket) -> list[tuple[int, int]]:
        """(when a bucket begins, how many events it has), oldest first."""
        ...

    def facets(
        self, tenant: TenantId, search: Search, by: Sequence[Facet], most: int
    ) -> tuple[dict[Facet, list[tuple[str, int]]], int]:
        """Of each facet (value, how many events have it), the most first; and how many events there are."""
        ...


def bucket_of(instant: int, bucket: Bucket) -> tuple[Instant, Instant]:
    """When the bucket that an instant lies in begins, and when the next one does."""
    time = datetime.fromtimestamp(instant // 1_000_000, UTC).replace(minute=0, second=0)
    match bucket:
        case "hour":
            end = time + timedelta(hours=1)
        case "day":
            time = time.replace(hour=0)
            end = time + timedelta(days=1)
        case "week":
            time = time.replace(hour=0) - timedelta(days=time.weekday())
            end = time + timedelta(days=7)
        case _:
            time = time.replace(hour=0, day=1)
            end = (time + timedelta(days=32)).replace(day=1)
    return Instant(int(time.timestamp()) * 1_000_000), Instant(int(end.timestamp()) * 1_000_000)


async def by_time(reading: Reading, search: Search, bucket: Bucket, text: str | None) -> ByTime:
    if not search.tags and not search.types and search.any_of is None and text is None:
        return await asyncio.to_thread(_bisected, reading, search, bucket)
    entries, since, cut = await _newest(reading, search, text, FEW)
    if cut and text is None and (columns := _columns(reading)) is not None:
        with contextlib.suppress(*columns.failures):
            counted = await asyncio.to_thread(columns.by_time, reading.tenant, search, bucket)
            return ByTime([(Instant(instant), count) for instant, count in counted], search.after + 1, False)
    if cut:
        entries, since, cut = await _newest(reading, search, text, MOST_COUNTED)
    counts = Counter(bucket_of(each.instant, bucket)[0] for each in entries)
    return ByTime(sorted(counts.items()), since, cut)


def _bisected(reading: Reading, search: Search, bucket: Bucket) -> ByTime:
    """Positions are dense, so how many lie between two instants is a subtraction."""
    history, tenant = reading.node.history, reading.tenant
    items: list[tuple[Instant, int]] = []
    until = search.until
    while until > search.after and len(items) < MOST_BUCKETS:
        begin, _ = bucket_of(history.instant_of(tenant, until), bucket)
        before = max(search.after, history.position_at(tenant, Instant(begin - 1)))
        items.append((begin, until - before))
        until = before
    return ByTime(items[::-1], until + 1, until > search.after)


async def facets(reading: Reading, search: Search, by: Sequence[Facet], most: int, text: str | None) -> ByValue:
    wanted = list(dict.fromkeys(by))
    entries, since, cut = await _newest(reading, search, text, FEW)
    if cut and text is None and (columns := _columns(reading)) is not None:
        with contextlib.suppress(*columns.failures):
            found, total = await asyncio.to_thread(columns.facets, reading.tenant, search, wanted, most)
            return ByValue(found, total, search.after + 1, False)
    if cut:
        entries, since, cut = await _newest(reading, search, text, MOST_COUNTED)
    counted: dict[Facet, list[tuple[str, int]]] = {}
    for facet in wanted:
        values = _VALUES[facet]
        counts = Counter(value for each in entries for value in values(each) if value is not None)
        counted[facet] = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:most]
    return ByValue(counted, len(entries), since, cut)


def _columns(reading: Reading) -> Columns | None:
    columns: Columns | None = reading.node.columns
    return columns


async def _newest(reading: Reading, search: Search, text: str | None, most: int) -> tuple[list[Entry], int, bool]:
    """The newest events of a search, from which position on, and whether older ones were left out."""
    most, unseals = min(most, most if text is None else MOST_LOOKED_THROUGH), may_unseal(reading)
    found: list[Entry] = []
    seen, until = 0, search.until
    while seen < most:
        page = Search(search.tags, search.types, search.after, until, search.any_of)
        entries = await entries_of(reading, page, _STEP, newest=True)
        seen += len(entries)
        if text is not None:
            found += await asyncio.to_thread(matching, reading, entries, text, unseals=unseals)
        else:
            found += entries
        if len(entries) < _STEP:
            return found, search.after + 1, False
        until = entries[-1].position - 1
    return found, until + 1, until > search.after
