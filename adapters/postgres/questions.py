"""What views are asked: constant statements of a generation, each an index look-up, now or at any time before."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from psycopg import errors
from psycopg.sql import SQL, Identifier

from adapters.postgres.connections import Connection, NotMadeYet
from adapters.postgres.generations import schema_of
from adapters.postgres.tables import columns_of
from domain.view import View

_TENANT: Final = b"SELECT set_config('muniment.tenant', %s::text, true)"
_LIVE: Final = b"SELECT generation FROM muniment.live_generation"
_HEAD: Final = SQL("""
    SELECT generation, coalesce((SELECT position FROM {heads} WHERE tenant = %s::text), 0)
    FROM muniment.live_generation
""")
_GET: Final = SQL("""
    SELECT v.key, v.from_position, {fields}
    FROM (SELECT %s::text AS tenant, %s::bigint AS at, unnest(%s::text[]) AS key) k
    CROSS JOIN LATERAL (
        SELECT * FROM {versions} v
        WHERE v.tenant = k.tenant AND v.key = k.key AND v.from_position <= k.at
        ORDER BY v.from_position DESC LIMIT 1
    ) v
    WHERE v.to_position > k.at
""")
_FIND: Final = SQL("""
    SELECT v.key, v.from_position, {fields}
    FROM (
        SELECT tenant, %s::bigint AS at, key FROM {spans}
        WHERE tenant = %s::text AND field = %s::text AND value = %s::text AND key > %s::text
            AND from_position <= %s::bigint AND to_position > %s::bigint
        ORDER BY key LIMIT %s::bigint
    ) k
    CROSS JOIN LATERAL (
        SELECT * FROM {versions} v
        WHERE v.tenant = k.tenant AND v.key = k.key AND v.from_position <= k.at
        ORDER BY v.from_position DESC LIMIT 1
    ) v
    ORDER BY k.key
""")
_COUNT: Final = SQL("""
    SELECT count(*) FROM {spans}
    WHERE tenant = %s::text AND field = %s::text AND value = %s::text
        AND from_position <= %s::bigint AND to_position > %s::bigint
""")


class Answer(NamedTuple):
    """What the tables said, all of one moment."""

    generation: int
    """Which one is live."""
    head: int
    """How far they show the tenant."""
    rows: list[Any]


class _OfView(NamedTuple):
    getting: bytes
    finding: bytes
    counting: bytes


class Statements:
    """All that can be asked of one generation."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self._schema = schema_of(generation)
        self._head = _HEAD.format(heads=Identifier(self._schema, "heads")).as_bytes(None)
        self._of_views: dict[str, _OfView] = {}

    def get(self, view: View[Any]) -> bytes:
        """Parameters: tenant, position, keys."""
        return self._of(view).getting

    def find(self, view: View[Any]) -> bytes:
        """Parameters: position, tenant, field, value, key to begin after, position, position, limit."""
        return self._of(view).finding

    def count(self, view: View[Any]) -> bytes:
        """Parameters: tenant, field, value, position, position."""
        return self._of(view).counting

    def _of(self, view: View[Any]) -> "_OfView":
        found = self._of_views.get(view.name)
        if found is None:
            words = {
                "versions": Identifier(self._schema, view.name),
                "spans": Identifier(self._schema, f"{view.name}_spans"),
                "fields": SQL(", ").join(Identifier("v", column.name) for column in columns_of(view.row)),
            }
            statements = (text.format(**words).as_bytes(None) for text in (_GET, _FIND, _COUNT))
            found = self._of_views[view.name] = _OfView(*statements)
        return found

    async def ask(
        self, connection: Connection, tenant: str, statement: bytes | None, parameters: Sequence[Any]
    ) -> Answer:
        """One read-only transaction in one round trip: the tenant is set in it, and for it alone."""
        if connection.autocommit:
            raise RuntimeError("views are read inside transactions: with autocommit no tenant would be set")
        rows = None
        async with connection.pipeline(), connection.transaction():
            await connection.execute(_TENANT, (tenant,), prepare=True)
            heads = await connection.execute(self._head, (tenant,), prepare=True, binary=True)
            if statement is not None:
                rows = await connection.execute(statement, parameters, prepare=True, binary=True)
        live, head = await heads.fetchone() or (0, 0)
        return Answer(live, head, [] if rows is None else await rows.fetchall())

    async def heads(self, connection: Connection, tenants: Sequence[str]) -> dict[str, int]:
        """How far the tables show some tenants, in one round trip; nothing if another generation is live now."""
        async with connection.pipeline(), connection.transaction():
            asked = []
            for tenant in tenants:
                await connection.execute(_TENANT, (tenant,), prepare=True)
                asked.append((tenant, await connection.execute(self._head, (tenant,), prepare=True, binary=True)))
        found = {tenant: await heads.fetchone() or (0, 0) for tenant, heads in asked}
        return {tenant: head for tenant, (live, head) in found.items() if live == self.generation}


async def live_generation(connection: Connection) -> int:
    """Raises NotMadeYet while there is none."""
    try:
        async with connection.transaction():
            row = await (await connection.execute(_LIVE)).fetchone()
    except (errors.UndefinedTable, errors.InsufficientPrivilege) as problem:
        raise NotMadeYet from problem
    if row is None:
        raise NotMadeYet
    generation: int = row[0]
    return generation
