"""As of, over REST: any view folded again from the ledger alone, up to any moment, without the stored views."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import Query

from api.acting import Reading
from api.bodies import Answer, Cursor, Limit, next_cursor, place_of, router, time_text
from api.permitted import may_read
from api.replay import Row, row_body
from domain.view import Versioned, View
from domain.view_hash import hash_of
from projections.every import EVERY_VIEW
from replay.as_of import as_of

MayFold = Annotated[Reading, may_read("replay:read", stored=False)]
VIEWS: Final[dict[str, View[Any]]] = {view.name: view for view in EVERY_VIEW}

routes = router("replay")


class KeyedRow(Row):
    """A row, and its key."""

    key: str


class State(Answer):
    """A page of a view's rows, by key. `hash` is that of all its rows, which the stored view has too at that moment."""

    view: str
    position: int
    as_of: str
    rows: int
    hash: str
    items: list[KeyedRow]
    next: str | None = None


@routes.get("/tenants/{tenant}/state")
async def fold_view(
    reading: MayFold,
    view: Annotated[str, Query(json_schema_extra={"enum": sorted(VIEWS)}, pattern=f"^({'|'.join(sorted(VIEWS))})$")],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> State:
    """A view's rows as of the moment asked about, folded from the ledger: what they must have been."""
    wanted, of = VIEWS[view], f"state of {view} at {reading.at.position}"
    after = place_of(reading, cursor, of)
    node = reading.node
    kept, since, hashed = await asyncio.to_thread(
        _folded, node.history, reading.tenant, wanted, reading.at.position, node.snapshots
    )
    keys = sorted(key for key in kept if key > after)
    page = [Versioned(key, since[key], kept[key]) for key in keys[:limit]]
    return State(
        view=view,
        position=reading.at.position,
        as_of=time_text(reading.at.instant),
        rows=len(kept),
        hash=hashed.hex(),
        items=[_keyed(reading, each) for each in page],
        next=next_cursor(reading, page[-1].key, of) if len(keys) > limit else None,
    )


def _folded(history: Any, tenant: Any, view: View[Any], position: int, snapshots: Any) -> tuple[Any, Any, bytes]:
    rows = as_of(history, tenant, (view,), position, snapshots)
    kept, since = rows.rows[view.name], rows.since[view.name]
    return kept, since, hash_of(Versioned(key, since[key], row) for key, row in kept.items())


def _keyed(reading: Reading, found: Versioned[Any]) -> KeyedRow:
    row = row_body(reading, found)
    if row is None:
        raise TypeError("a row that is there has a body")
    return KeyedRow(key=found.key, since=row.since, values=row.values, erased=row.erased)
