"""The trail by columns: searches, counts and facets over years, of the archive and the recent tail by DuckDB."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import duckdb

from adapters.archive.archive import Archive
from adapters.archive.reading import Events
from domain.event import Instant
from domain.ids import TenantId
from domain.ledger import History

_VALUES: Final[Mapping[str, str]] = {
    "type": "type",
    "actor": "actor_id",
    "actor_kind": "actor_kind",
    "credential": "credential",
    "permission": "permission",
    "on_behalf_of": "unnest(on_behalf_of)",
}


class Search(Protocol):
    """Events between two positions that carry all tags and any of `any_of` (None: no matter), of any of the types."""

    @property
    def tags(self) -> tuple[str, ...]: ...

    @property
    def types(self) -> tuple[str, ...]: ...

    @property
    def after(self) -> int: ...

    @property
    def until(self) -> int: ...

    @property
    def any_of(self) -> tuple[str, ...] | None: ...


class TrailColumns:
    """Every question opens a connection of its own. Blocks; safe to use from any thread."""

    failures: Final = (*Archive.failures, *Archive.unanswerable, duckdb.Error)
    """What keeps it from answering; the index can answer for what is recent."""

    def __init__(self, events: Events, history: History) -> None:
        self._events = events
        self._history = history

    def positions(self, tenant: TenantId, search: Search, limit: int, *, newest: bool = True) -> list[int]:
        """The positions of the first `limit` events of a search, in order."""
        condition, values = where(search)
        order = "DESC" if newest else "ASC"
        rows = self._ask(
            tenant,
            search,
            f"SELECT position FROM events WHERE {condition} ORDER BY position {order} LIMIT {limit:d}",  # noqa: S608
            values,
        )
        return [position for (position,) in rows]

    def by_time(self, tenant: TenantId, search: Search, bucket: str) -> list[tuple[int, int]]:
        """(when a bucket begins in microseconds, how many events it has), oldest first."""
        condition, values = where(search)
        rows = self._ask(
            tenant,
            search,
            "SELECT epoch_us(date_trunc($bucket, recorded_at)) AS bucket, count(*) FROM events "  # noqa: S608
            f"WHERE {condition} GROUP BY bucket ORDER BY bucket",
            {**values, "bucket": bucket},
        )
        return [(int(instant), int(count)) for instant, count in rows]

    def facets(
        self, tenant: TenantId, search: Search, by: Sequence[Any], most: int
    ) -> tuple[dict[Any, list[tuple[str, int]]], int]:
        """Of each facet (value, how many events have it), the most first; and how many events there are."""
        condition, values = where(search)
        connection = self._open(tenant, search)
        try:
            found = {}
            for facet in by:
                rows = connection.execute(
                    f"SELECT value, count(*) AS n FROM (SELECT {_VALUES[facet]} AS value FROM events "  # noqa: S608
                    f"WHERE {condition}) WHERE value IS NOT NULL GROUP BY value ORDER BY n DESC, value LIMIT {most:d}",
                    values,
                ).fetchall()
                found[facet] = [(str(value), int(count)) for value, count in rows]
            row = connection.execute(f"SELECT count(*) FROM events WHERE {condition}", values).fetchone()  # noqa: S608
            return found, int(row[0]) if row else 0
        finally:
            connection.close()

    def _ask(self, tenant: TenantId, search: Search, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        connection = self._open(tenant, search)
        try:
            return connection.execute(sql, dict(values)).fetchall()
        finally:
            connection.close()

    def _open(self, tenant: TenantId, search: Search) -> duckdb.DuckDBPyConnection:
        since = self._instant(tenant, search.after + 1) if search.after else None
        last = self._instant(tenant, search.until)
        before = None if last is None else Instant(last + 1)
        return self._events.open_events(tenant, search.until, since=since, before=before)

    def _instant(self, tenant: TenantId, position: int) -> Instant | None:
        try:
            return self._history.instant_of(tenant, position)
        except KeyError:  # the index holds it no more
            return None


def where(search: Search) -> tuple[str, dict[str, Any]]:
    """A condition on the columns, and its values. Whoever acts or acts through others has columns of their own."""
    parts = ["position > $after", "position <= $until"]
    named: dict[str, Any] = {"after": search.after, "until": search.until}
    if search.types:
        parts.append("list_contains($types, type)")
        named["types"] = list(search.types)
    for place, tag in enumerate(search.tags):
        part, value = _carries(tag, f"tag{place}")
        parts.append(part)
        named[f"tag{place}"] = value
    if search.any_of is not None:
        parts.append("list_has_any(tags, $any_of)")
        named["any_of"] = list(search.any_of)
    return " AND ".join(parts), named


_OWN_COLUMN: Final = {
    "actor": "(actor_id = ${0} OR list_contains(on_behalf_of, ${0}))",
    "used": "credential = ${0}",
    "correlation": "correlation = ${0}",
    "command": "command = ${0}",
}
"""Tags that are what a column says; columns are read faster, and files know their least and greatest."""


def _carries(tag: str, name: str) -> tuple[str, str]:
    kind, _, value = tag.partition(":")
    if kind in _OWN_COLUMN:
        return _OWN_COLUMN[kind].replace("{0}", name), value
    return f"list_contains(tags, ${name})", tag
