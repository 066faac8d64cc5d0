"""A tenant's past: a real log in memory, and stored views that are real folds of it up to the moment asked about."""

from collections.abc import Sequence
from itertools import count
from typing import Any, TypeVar

import msgspec

from adapters.embedded.log import embedded_sequencer
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.keyring import Keyring
from domain.boundary import Boundary
from domain.command import Known
from domain.event import Event, Instant, Meta
from domain.ids import TenantId
from domain.ledger import Query, Work
from domain.view import Moment, Rows, Versioned, View
from projections.every import EVERY_VIEW
from tests.domain.people import PLANET_EXPRESS

R = TypeVar("R", bound=msgspec.Struct)


class Past:
    """What was recorded, one event a command, each by another actor; it is also the StoredViews of it."""

    def __init__(self) -> None:
        self._database = Database(None)
        ticks = count(1_000_000_000)
        self._sequencer = embedded_sequencer(self._database, Keyring(self._database, bytes(32)), None, ticks.__next__)
        self._sequencer.start()
        self.history = IndexHistory(self._database)
        self.asked: list[str] = []
        """The keys of all rows that were read."""

    async def stop(self) -> None:
        await self._sequencer.stop()
        self._database.close()

    async def record(self, *events: Event, by: str = "usr_hubert", tenant: TenantId = PLANET_EXPRESS) -> Moment:
        """Returns the moment after them."""
        outcome = await self._sequencer.execute(
            Work(tenant, Boundary(), lambda _: Boundary(), Known, lambda _: list(events), _meta(by))
        )
        return Moment(outcome.position, outcome.instant)

    def rows(self, tenant: TenantId, position: int) -> Rows:
        """Every view, folded up to a position."""
        rows = Rows(EVERY_VIEW)
        for recorded in self.history.recorded(tenant, Query(until=position), 1_000_000):
            rows.evolve(recorded)
        return rows

    def _versioned(self, view: View[R], tenant: TenantId, at: Moment, keys: Sequence[str]) -> list[Versioned[R]]:
        rows = self.rows(tenant, at.position)
        kept = rows.rows[view.name]
        self.asked += keys
        return [Versioned(key, rows.since[view.name][key], kept[key]) for key in keys if key in kept]

    async def reach(self, tenant: TenantId, position: int, timeout: float = 5.0) -> None:
        """A fold is always there."""

    async def get(self, view: View[R], tenant: TenantId, key: str, at: Moment) -> Versioned[R] | None:
        return next(iter(self._versioned(view, tenant, at, [key])), None)

    async def get_many(
        self, view: View[R], tenant: TenantId, keys: Sequence[str], at: Moment
    ) -> dict[str, Versioned[R]]:
        return {each.key: each for each in self._versioned(view, tenant, at, keys)}

    async def page(
        self, view: View[R], tenant: TenantId, at: Moment, *, after: str = "", limit: int = 100
    ) -> list[Versioned[R]]:
        keys = sorted(self.rows(tenant, at.position).rows[view.name])
        return self._versioned(view, tenant, at, [key for key in keys if key > after][:limit])

    async def find(
        self, view: View[R], tenant: TenantId, at: Moment, column: str, value: str, *, after: str = "", limit: int = 100
    ) -> list[Versioned[R]]:
        keys = [key for key, _ in self.rows(tenant, at.position).find(view, column, value)]
        return self._versioned(view, tenant, at, [key for key in keys if key > after][:limit])

    async def count(self, view: View[R], tenant: TenantId, at: Moment, column: str = "", value: str = "") -> int:
        rows = self.rows(tenant, at.position)
        return len(rows.find(view, column, value) if column else rows.rows[view.name])


def _meta(actor: str) -> Meta:
    none: dict[str, Any] = dict.fromkeys(
        ("credential_id", "causation_id", "idempotency_key", "idempotency_body", "request", "request_address")
    )
    return Meta(
        event_id="",
        actor_kind="user",
        actor_id=actor,
        on_behalf_of=(),
        authority_permission="users:manage",
        authority_decision="dec_one",
        authority_policies=(),
        authority_position=0,
        command_id="cmd_one",
        correlation_id="cor_one",
        tags=(f"actor:{actor}",),
        **none,
    )


def at(position: int) -> Moment:
    return Moment(position, Instant(1_000_000_000))
