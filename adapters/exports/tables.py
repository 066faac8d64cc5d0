"""Tables as text and files: CSV that a spreadsheet can open without running it, NDJSON, JSON, Parquet and Arrow."""

import base64
import csv
import io
import json
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

FORMATS: Final = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""The media type of each."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_BIGGEST: Final = 2**53


def harmless(text: str) -> str:
    """A cell that a spreadsheet shows and does not run: an apostrophe before what begins like a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


def plain(value: Any) -> Any:
    """A value as JSON can say it: times as RFC 3339, bytes in base64, numbers that JavaScript would round as text."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -_BIGGEST <= value <= _BIGGEST else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            text = value.isoformat()
            return text.replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case Decimal() | timedelta():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case pa.MonthDayNano():
            return f"P{value[0]}M{value[1]}DT{value[2] / 1e9:g}S"
        case dict():
            return {str(name): plain(each) for name, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return str(value)


def names_of(schema: pa.Schema) -> list[str]:
    """Column names, each once: what comes again gets a number."""
    seen: dict[str, int] = {}
    names = []
    for name in schema.names:
        seen[name] = count = seen.get(name, 0) + 1
        names.append(name if count == 1 else f"{name}_{count}")
    return names


def rows_of(table: pa.Table) -> list[list[Any]]:
    columns = [[plain(value) for value in column.to_pylist()] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)] if columns else []


def as_csv(table: pa.Table) -> bytes:
    """RFC 4180. Lists and objects are JSON; text that begins like a formula gets an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([harmless(name) for name in names_of(table.schema)])
    writer.writerows([cell(value) for value in row] for row in rows_of(table))
    return out.getvalue().encode()


def cell(value: Any) -> Any:
    """A value in a cell; numbers stay numbers."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return harmless(value)
        case list() | dict():
            return harmless(json.dumps(value, ensure_ascii=False))
    return value


def as_ndjson(table: pa.Table) -> bytes:
    names = names_of(table.schema)
    lines = (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows_of(table))
    return "".join(line + "\n" for line in lines).encode()


def as_parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table.rename_columns(names_of(table.schema)), out, compression="zstd")
    return out.getvalue()


def as_arrow(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


AS_BYTES: Final = {"csv": as_csv, "ndjson": as_ndjson, "parquet": as_parquet, "arrow": as_arrow}
