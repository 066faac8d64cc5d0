"""What a search of the trail can ask for, as a question of the index; and how it is told without naming anybody."""

import asyncio
import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from fastapi import Query

from api.acting import Reading
from api.http import problems
from api.http.moments import AtPosition, parse_moment
from domain.capabilities import EVENTS
from domain.event import Entry, Event, Instant, Sealed
from domain.ids import KINDS, is_id, kind_of
from domain.ledger import NewKeys
from domain.ledger import Query as Asked

MOST_MONTHS: Final = 36
"""Of addresses: each month's are hashed with a key of their own, and each is a search."""

Type = Annotated[str, Query(pattern=r"^[A-Za-z][A-Za-z0-9:_.-]{0,120}$")]
Tag = Annotated[str, Query(pattern=r"^[a-z_]{1,30}:[!-~]{1,300}$")]
AnyId = Annotated[str, Query(pattern=r"^[a-z]{3}_[a-z0-9_]{1,60}$")]
Bound = Annotated[str | None, Query(max_length=64, description="A position, or a time as RFC 3339.")]


@dataclass(frozen=True)
class TrailFilters:
    """Events that carry everything asked for, of any of the types, in a range of positions or times.

    `credential`: done with it; `subject`: done to it. `address`: asked from there. `text`: anywhere in types, names,
    ids and tags; in personal values too, for who may unseal them.
    """

    actor: AnyId | None = None
    subject: AnyId | None = None
    credential: AnyId | None = None
    tag: Tag | None = None
    type: Annotated[list[Type] | None, Query(max_length=50)] = None
    correlation: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{8,64}$")] = None
    address: Annotated[str | None, Query(max_length=45, description="An IP address.")] = None
    text: Annotated[str | None, Query(min_length=2, max_length=100, description="In any case of letters.")] = None
    start: Annotated[Bound, Query(alias="from")] = None
    end: Annotated[Bound, Query(alias="to")] = None

    def told(self) -> str:
        """The question without what could name a person: texts, addresses and tags of free form."""
        parts = [f"{name}={value}" for name in ("actor", "subject", "credential") if (value := getattr(self, name))]
        parts += [f"type={each}" for each in sorted(self.type or ())]
        if self.tag:
            kind, _, value = self.tag.partition(":")
            parts.append(f"tag={self.tag}" if is_id(value, *KINDS) else f"tag={kind}:…")
        parts += [name for name in ("correlation", "address", "text") if getattr(self, name)]
        for name, moment in (("from", self.start), ("to", self.end)):
            parts += [f"{name}={moment}"] if moment else []
        return " ".join(parts) or "everything"


def tags_of(subject: str | None, tag: str | None, actor: str | None, correlation: str | None) -> tuple[str, ...]:
    """Raises Problem 422."""
    tags = []
    if subject:
        if subject[:3] not in KINDS and subject != "_deployment":
            raise problems.unprocessable("subject is no id of ours: send an id, or a tag as `tag`")
        tags.append(f"{kind_of(subject)}:{subject}")
    if tag:
        tags.append(tag)
    if actor:
        tags.append(f"actor:{actor}")
    if correlation:
        tags.append(f"correlation:{correlation}")
    return tuple(tags)


def types_of(types: list[str] | None) -> tuple[str, ...]:
    """Raises Problem 422."""
    for each in types or ():
        if each not in EVENTS and not each.startswith("opaque:"):
            raise problems.unprocessable("type names no event; the documentation lists them")
    return tuple(types or ())


def bound(reading: Reading, text: str | None, *, first: bool) -> int:
    """The position that a moment means: as the first of a range, the one before it."""
    if text is None:
        return 0 if first else reading.at.position
    moment = parse_moment(text)
    if isinstance(moment, AtPosition):
        position = moment.position - first
    else:
        position = reading.node.history.position_at(reading.tenant, Instant(moment.instant - first))
    return min(position, reading.at.position)


class Search(msgspec.Struct, frozen=True):
    """A search as the index can be asked: events between two positions that carry all tags and any of `any_of`."""

    tags: tuple[str, ...]
    types: tuple[str, ...]
    after: int
    until: int
    any_of: tuple[str, ...] | None = None
    """None: no matter. Empty: nothing can be found."""

    def queries(self) -> list[Asked]:
        """Whose answers together are the search's."""
        if self.any_of is None:
            return [Asked(self.tags, self.types, self.after, self.until)]
        return [Asked((*self.tags, each), self.types, self.after, self.until) for each in self.any_of]


def search_of(reading: Reading, filters: TrailFilters) -> Search:
    """Raises Problem 422."""
    tags = tags_of(filters.subject, filters.tag, filters.actor, filters.correlation)
    if filters.credential:
        tags = (*tags, f"used:{filters.credential}")
    after, until = bound(reading, filters.start, first=True), bound(reading, filters.end, first=False)
    any_of = None if filters.address is None else _address_tags(reading, filters.address, after, until)
    return Search(tags, types_of(filters.type), after, until, any_of)


def _address_tags(reading: Reading, address: str, after: int, until: int) -> tuple[str, ...]:
    try:
        plain = str(ipaddress.ip_address(address))
    except ValueError:
        raise problems.unprocessable("address is no IP address") from None
    if after >= until:
        return ()
    node, tenant = reading.node, reading.tenant
    months = list(_months(node.history.instant_of(tenant, after + 1), node.history.instant_of(tenant, until)))
    if len(months) > MOST_MONTHS:
        raise problems.unprocessable(f"an address can be searched for in {MOST_MONTHS} months at once: narrow the time")
    return tuple(f"address:{node.keyring.blind(NewKeys(), tenant, f'address-{each}', plain)}" for each in months)


def _months(first: int, last: int) -> Iterator[str]:
    """Those between two instants, and one more at either end: requests are hashed a little before they are recorded."""
    day = 86_400_000_000
    begin, end = (datetime.fromtimestamp(each / 1e6, UTC) for each in (first - day, last))
    year, month = begin.year, begin.month
    while (year, month) <= (end.year, end.month):
        yield f"{year:04d}-{month:02d}"
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


async def entries_of(reading: Reading, search: Search, limit: int, *, newest: bool) -> list[Entry]:
    """The first `limit` events of a search, each once, in order."""
    found: dict[int, Entry] = {}
    for query in search.queries():
        ask = partial(reading.node.history.entries, reading.tenant, query, limit, newest)
        found.update({each.position: each for each in await asyncio.to_thread(ask)})
    return [found[position] for position in sorted(found, reverse=newest)[:limit]]


def texts_of(entry: Entry) -> Iterator[str]:
    """What of an event can be searched as text, and names nobody."""
    meta = entry.meta
    yield entry.event.type_name
    yield from (meta.actor_id, meta.authority_permission, meta.correlation_id, meta.command_id, meta.event_id)
    yield from meta.tags
    yield from meta.on_behalf_of
    for _, value in _values(entry.event):
        if isinstance(value, str):
            yield value


def sealed_of(entry: Entry) -> Iterator[tuple[str, Sealed]]:
    """The personal values of an event, with the names of their fields."""
    for name, value in _values(entry.event):
        if isinstance(value, Sealed):
            yield name, value
    if entry.meta.request is not None:
        yield "request", entry.meta.request


def _values(event: Event) -> Iterator[tuple[str, Any]]:
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, tuple):
            yield from ((name, each) for each in value)
        else:
            yield name, value


def matching(reading: Reading, entries: Sequence[Entry], text: str, *, unseals: bool) -> list[Entry]:
    """Those in which the text stands, in any case of letters."""
    wanted = text.casefold()
    return [each for each in entries if _holds(reading, each, wanted, unseals)]


def _holds(reading: Reading, entry: Entry, wanted: str, unseals: bool) -> bool:
    if _any_holds(texts_of(entry), wanted):
        return True
    if not unseals:
        return False
    opened = (reading.open(name, sealed) for name, sealed in sealed_of(entry))
    return _any_holds((each for each in opened if each), wanted)


def _any_holds(texts: Iterable[str], wanted: str) -> bool:
    return any(wanted in each.casefold() for each in texts)
