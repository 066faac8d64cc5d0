"""The stored rows of a tenant as verifying reads them: all of one moment, streamed, with the hash that was kept."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from adapters.postgres.generations import schema_of
from adapters.postgres.tables import OPEN, builder_of, columns_of
from domain.ids import TenantId
from domain.view import Versioned, View, ViewUnavailable

AT_ONCE: Final = 2_000
_OPTIONS: Final = "-c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
_ROWS: Final = SQL("""
    SELECT v.key, v.from_position, {fields}
    FROM {spans} s CROSS JOIN LATERAL (
        SELECT * FROM {versions} v WHERE v.tenant = s.tenant AND v.key = s.key ORDER BY v.from_position DESC LIMIT 1
    ) v
    WHERE s.tenant = %s AND s.field = '' AND s.value = '' AND s.to_position = {open} AND v.to_position = {open}
""")


class StoredRows:
    """One tenant in one generation, inside a read-only transaction of one moment."""

    def __init__(
        self, connection: psycopg.Connection[Any], generation: int, tenant: TenantId, views: Sequence[View[Any]]
    ) -> None:
        self._connection = connection
        self._schema = schema_of(generation)
        self._tenant = tenant
        self.views = views
        self.position: int = self._one("SELECT position FROM {} WHERE tenant = %s", "heads", tenant) or 0

    def rows(self, view: View[Any]) -> Iterator[Versioned[Any]]:
        build = builder_of(view.row)
        statement = _ROWS.format(
            fields=SQL(", ").join(Identifier("v", column.name) for column in columns_of(view.row)),
            versions=Identifier(self._schema, view.name),
            spans=Identifier(self._schema, f"{view.name}_spans"),
            open=Literal(OPEN),
        )
        with self._connection.cursor("rows", binary=True) as cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(statement, (self._tenant,))
            for key, since, *values in cursor:
                yield Versioned(key, since, build(values))

    def kept_hash(self, view: View[Any]) -> bytes:
        kept = self._one("SELECT hash FROM {} WHERE tenant = %s AND view = %s", "hashes", self._tenant, view.name)
        return bytes(32) if kept is None else bytes(kept)

    def _one(self, text: str, table: str, *parameters: str) -> Any:
        statement = SQL(text).format(Identifier(self._schema, table))
        row = self._connection.execute(statement, parameters).fetchone()
        return None if row is None else row[0]


class StoredPlace:
    """A generation of the stored views, the live one by default; read as their owner, who sees all tenants.

    A context, which closes its connection. One thread at a time may use it.
    """

    name: Final = "stored"

    def __init__(self, conninfo: str, views: Iterable[View[Any]], generation: int | None = None) -> None:
        self._conninfo = conninfo
        self._views = tuple(views)
        self._generation = generation
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def of(self, tenant: TenantId) -> Iterator[StoredRows | None]:
        """None if there is no stored view at all yet. Raises ViewUnavailable."""
        try:
            connection = self._connected()
            with connection.transaction():
                generation = self._generation or _live(connection)
                yield None if generation is None else StoredRows(connection, generation, tenant, self._views)
        except (psycopg.OperationalError, psycopg.InterfaceError) as problem:
            self.close()
            raise ViewUnavailable from problem

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> "StoredPlace":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            connection = psycopg.connect(self._conninfo, options=_OPTIONS)
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection = connection
        return self._connection


def _live(connection: psycopg.Connection[Any]) -> int | None:
    row = connection.execute("SELECT to_regclass('muniment.live_generation')::text").fetchone()
    if row is None or row[0] is None:
        return None
    live = connection.execute("SELECT generation FROM muniment.live_generation").fetchone()
    return None if live is None else live[0]
