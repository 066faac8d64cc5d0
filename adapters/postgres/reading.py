"""Reads stored views as of any moment: the same index look-ups for now and for any time before."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from psycopg import errors
from psycopg.types.numeric import Int8

from adapters.postgres.announcements import Announcements
from adapters.postgres.connections import Connections, NotMadeYet
from adapters.postgres.progress import Progress
from adapters.postgres.questions import Answer, Statements, live_generation
from adapters.postgres.tables import OPEN, builder_of, found_by, storable
from domain.ids import TenantId
from domain.view import Moment, Versioned, View, ViewBehind, ViewUnavailable

R = TypeVar("R", bound=msgspec.Struct)

Statement = Callable[[Statements, View[Any]], bytes]

ASK_AGAIN: Final = 0.25
"""Seconds after which the tables are asked how far they are, where the projector does not say so."""

GRACE: Final = 1.0
"""Seconds in which PostgreSQL may be started again before waiting for it is given up."""


class PostgresViews:
    """See domain.view.StoredViews. `progress` is what the projector of this node tells, if it has one."""

    def __init__(
        self,
        conninfo: str,
        progress: Progress | None = None,
        *,
        connections: int = 4,
        elsewhere: Callable[[TenantId, frozenset[int]], bool] | None = None,
    ) -> None:
        """`elsewhere`, if other nodes project too: whether one of some partitions is the tenant's, and is projected by
        another node; what they announce is listened to then.
        """
        self._connections = Connections(conninfo, connections)
        self._progress = progress or Progress()
        self._statements: Statements | None = None
        self._elsewhere = elsewhere
        self._announcements = Announcements(conninfo, self._hear) if elsewhere else None

    async def aclose(self) -> None:
        if self._announcements:
            await self._announcements.aclose()
        await self._connections.aclose()

    async def reach(self, tenant: TenantId, position: int, timeout: float = 5.0) -> None:
        if self._progress.has_reached(tenant, position):
            return
        if self._announcements:
            self._announcements.listen()
        loop = asyncio.get_running_loop()
        began = loop.time()
        with self._progress.awaiting(tenant, position) as reached:
            while True:
                left = began + timeout - loop.time()
                try:
                    self._progress.advance({tenant: await self.head(tenant)})
                except ViewUnavailable as problem:
                    if left <= 0 or (not isinstance(problem, NotMadeYet) and began + GRACE < loop.time()):
                        raise
                if reached.done():
                    return
                if left <= 0:
                    raise ViewBehind
                await asyncio.wait([reached], timeout=min(left, ASK_AGAIN))
                if reached.done():
                    return

    async def _hear(self, partitions: frozenset[int]) -> None:
        """Other nodes have projected: ask how far the views are now, for those that somebody waits for."""
        elsewhere = self._elsewhere
        awaited = [each for each in self._progress.awaited() if elsewhere is not None and elsewhere(each, partitions)]
        if awaited and self._statements is not None:
            asked = {_text(tenant): tenant for tenant in awaited}
            heads = await self._connections.run(partial(self._statements.heads, tenants=list(asked)))
            self._progress.advance({asked[text]: head for text, head in heads.items()})

    async def head(self, tenant: TenantId) -> int:
        """How far the views show the tenant."""
        return (await self._ask(tenant, lambda _: None)).head

    async def get(self, view: View[R], tenant: TenantId, key: str, at: Moment) -> Versioned[R] | None:
        return (await self.get_many(view, tenant, (key,), at)).get(key)

    async def get_many(
        self, view: View[R], tenant: TenantId, keys: Sequence[str], at: Moment
    ) -> dict[str, Versioned[R]]:
        wanted = {_text(key): key for key in keys}
        if not wanted:
            return {}
        rows = await self._rows(view, tenant, at, Statements.get, (_text(tenant), _position(at), list(wanted)))
        return {wanted[row.key]: row for row in rows}

    async def page(
        self, view: View[R], tenant: TenantId, at: Moment, *, after: str = "", limit: int = 100
    ) -> list[Versioned[R]]:
        return await self._find(view, tenant, at, "", "", after, limit)

    async def find(
        self,
        view: View[R],
        tenant: TenantId,
        at: Moment,
        column: str,
        value: str,
        *,
        after: str = "",
        limit: int = 100,
    ) -> list[Versioned[R]]:
        _must_be_indexed(view, column)
        return await self._find(view, tenant, at, column, value, after, limit)

    async def count(self, view: View[R], tenant: TenantId, at: Moment, column: str = "", value: str = "") -> int:
        if column:
            _must_be_indexed(view, column)
        position = _position(at)
        parameters = (_text(tenant), column, found_by(_text(value)), position, position)
        ((count,),) = await self._answer(view, tenant, at, Statements.count, parameters)
        found: int = count
        return found

    async def _find(
        self, view: View[R], tenant: TenantId, at: Moment, column: str, value: str, after: str, limit: int
    ) -> list[Versioned[R]]:
        position = _position(at)
        found = found_by(_text(value))
        parameters = (position, _text(tenant), column, found, _text(after), position, position, Int8(limit))
        return await self._rows(view, tenant, at, Statements.find, parameters)

    async def _rows(
        self, view: View[R], tenant: TenantId, at: Moment, statement: Statement, parameters: Sequence[Any]
    ) -> list[Versioned[R]]:
        build = builder_of(view.row)
        rows = await self._answer(view, tenant, at, statement, parameters)
        return [Versioned(row[0], row[1], build(row[2:])) for row in rows]

    async def _answer(
        self, view: View[Any], tenant: TenantId, at: Moment, statement: Statement, parameters: Sequence[Any]
    ) -> list[Any]:
        """Rows of one moment of the tables; raises ViewBehind if they don't show the moment asked about."""
        answer = await self._ask(tenant, lambda statements: statement(statements, view), parameters)
        if answer.head < at.position:
            self._progress.forget(tenant)
            raise ViewBehind
        return answer.rows

    async def _ask(
        self, tenant: TenantId, statement: Callable[[Statements], bytes | None], parameters: Sequence[Any] = ()
    ) -> Answer:
        """Asks the live generation; again, if another one went live meanwhile."""
        for _ in range(5):
            statements = self._statements or Statements(await self._connections.run(live_generation))
            self._statements = statements
            ask = partial(statements.ask, tenant=_text(tenant), statement=statement(statements), parameters=parameters)
            try:
                answer = await self._connections.run(ask)
            except (errors.UndefinedTable, errors.InvalidSchemaName):
                self._statements = None
                continue
            if answer.generation == statements.generation:
                return answer
            self._statements = Statements(answer.generation)
        raise ViewUnavailable


def _must_be_indexed(view: View[Any], column: str) -> None:
    if column not in view.indexes:
        raise ValueError(f"{view.name} is not found by {column}; it is by {', '.join(view.indexes)}")


def _position(at: Moment) -> Int8:
    return Int8(min(at.position, OPEN - 1))


def _text(value: str) -> str:
    """As it was stored, if it can have been."""
    return storable(value.encode("utf-8", "backslashreplace").decode())
