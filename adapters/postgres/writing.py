"""Writes what a batch changes of one view into its tables: a statement for each kind of change, however many rows."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from adapters.postgres.arrays import Packed, bigints, packer_for, texts
from adapters.postgres.folding import Changes, Fold
from adapters.postgres.generations import schema_of
from adapters.postgres.tables import OPEN, builder_of, columns_of, found_by
from domain.ids import TenantId
from domain.view import View

_BY_KEY: Final = SQL("""
    SELECT v.tenant, v.key, v.from_position, {fields}
    FROM unnest(%b, %b) k (tenant, key) CROSS JOIN LATERAL (
        SELECT * FROM {versions} v WHERE v.tenant = k.tenant AND v.key = k.key ORDER BY v.from_position DESC LIMIT 1
    ) v
    WHERE v.to_position = {open}
""")
_BY_VALUE: Final = SQL("""
    SELECT v.tenant, v.key, v.from_position, {fields}
    FROM unnest(%b, %b, %b) c (tenant, field, value)
    JOIN {spans} s ON s.tenant = c.tenant AND s.field = c.field AND s.value = c.value AND s.to_position = {open}
    CROSS JOIN LATERAL (
        SELECT * FROM {versions} v WHERE v.tenant = s.tenant AND v.key = s.key ORDER BY v.from_position DESC LIMIT 1
    ) v
""")
_END: Final = SQL("""
    UPDATE {versions} v SET to_position = e.until
    FROM unnest(%b, %b, %b, %b) e (tenant, key, since, until)
    WHERE v.tenant = e.tenant AND v.key = e.key AND v.from_position = e.since AND v.to_position = {open}
""")
_END_SPANS: Final = SQL("""
    UPDATE {spans} s SET to_position = e.until
    FROM unnest(%b, %b, %b, %b, %b) e (tenant, field, value, key, until)
    WHERE s.tenant = e.tenant AND s.field = e.field AND s.value = e.value AND s.key = e.key
        AND s.to_position = {open}
""")
_BEGIN: Final = SQL("""
    INSERT INTO {versions} (tenant, key, from_position, to_position, {names})
    SELECT tenant, key, since, until, {values}
    FROM unnest(%b, %b, %b, %b, {arrays}) u (tenant, key, since, until, {places})
""")
_BEGIN_SPANS: Final = SQL("INSERT INTO {spans} SELECT * FROM unnest(%b, %b, %b, %b, %b, %b)")


def ask(connection: psycopg.Connection[Any], statement: bytes, *parameters: Any) -> psycopg.Cursor[Any]:
    """A prepared statement, whose answer comes in binary."""
    return connection.execute(statement, parameters, prepare=True, binary=True)


class ViewTables:
    """One view's two tables in a generation, and the fold that says what is written to them."""

    def __init__(self, connection: psycopg.Connection[Any], view: View[Any], generation: int) -> None:
        self.view = view
        self.fold = Fold(view)
        self.changes = Changes()
        self._build = builder_of(view.row)
        columns = columns_of(view.row)
        self._packers = [(attrgetter(column.field), packer_for(column)) for column in columns]
        lifted = [SQL("::text[]") if column.kind == "text[]" else SQL("") for column in columns]
        places = [Identifier(f"c{place}") for place in range(len(columns))]
        schema = schema_of(generation)
        words = {
            "versions": Identifier(schema, view.name),
            "spans": Identifier(schema, f"{view.name}_spans"),
            "fields": SQL(", ").join(Identifier("v", column.name) for column in columns),
            "names": SQL(", ").join(Identifier(column.name) for column in columns),
            "places": SQL(", ").join(places),
            "values": SQL(", ").join(place + lift for place, lift in zip(places, lifted, strict=True)),
            "arrays": SQL(", ").join([SQL("%b")] * len(columns)),
            "open": Literal(OPEN),
        }
        self._by_key, self._by_value, self._end, self._end_spans, self._begin, self._begin_spans = (
            statement.format(**words).as_bytes(connection)
            for statement in (_BY_KEY, _BY_VALUE, _END, _END_SPANS, _BEGIN, _BEGIN_SPANS)
        )

    def read(self, connection: psycopg.Connection[Any]) -> list[psycopg.Cursor[Any]]:
        """Ask for the open rows that the batch needs and the fold does not know."""
        cursors = []
        if self.fold.keys:
            tenants, keys = zip(*self.fold.keys, strict=True)
            cursors.append(ask(connection, self._by_key, texts(tenants), texts(keys)))
        if self.fold.closes:
            tenants, fields, values = zip(*self.fold.closes, strict=True)
            found = texts([found_by(each) for each in values])
            cursors.append(ask(connection, self._by_value, texts(tenants), texts(fields), found))
        return cursors

    def rows_of(self, cursors: list[psycopg.Cursor[Any]]) -> Iterable[tuple[TenantId, str, int, Any]]:
        for cursor in cursors:
            for tenant, key, since, *values in cursor:
                yield tenant, key, since, self._build(values)

    def write(self, connection: psycopg.Connection[Any]) -> list[tuple[psycopg.Cursor[Any], int]]:
        """End, then begin; answers each statement with the number of rows it must have changed."""
        changes, written = self.changes, []
        if changes.ended:
            tenants, keys, since, until = zip(*changes.ended, strict=True)
            parameters: list[Packed] = [texts(tenants), texts(keys), bigints(since), bigints(until)]
            written.append((ask(connection, self._end, *parameters), len(keys)))
        if changes.spans_ended:
            tenants, fields, values, keys, until = zip(*changes.spans_ended, strict=True)
            parameters = [texts(tenants), texts(fields), texts(values), texts(keys), bigints(until)]
            written.append((ask(connection, self._end_spans, *parameters), len(keys)))
        if versions := changes.versions():
            rows = [each.row for each in versions]
            parameters = [
                texts([each.tenant for each in versions]),
                texts([each.key for each in versions]),
                bigints([each.since for each in versions]),
                bigints([each.until for each in versions]),
                *(pack([get(row) for row in rows]) for get, pack in self._packers),
            ]
            written.append((ask(connection, self._begin, *parameters), len(rows)))
        if spans := changes.spans():
            parameters = [
                texts([each.tenant for each in spans]),
                texts([each.field for each in spans]),
                texts([each.value for each in spans]),
                texts([each.key for each in spans]),
                bigints([each.since for each in spans]),
                bigints([each.until for each in spans]),
            ]
            written.append((ask(connection, self._begin_spans, *parameters), len(spans)))
        return written
