"""The sandbox itself: reads a query and views, answers rows, and ends; started by `adapters.sql_sandbox.sandbox`.

It gets no secret, no address and no path: views are open files without names. What it says on its standard output is a
line of JSON, then an Arrow stream, then another line.
"""

import ctypes
import json
import mmap
import sys
from typing import Any, BinaryIO, Final

import duckdb
import pyarrow as pa

from adapters.sql_sandbox import kernel
from adapters.sql_sandbox.rules import NotAllowed, must_be_allowed

STEP: Final = 2_048
"""Rows in a batch."""
_QUOTED: Final = 300
_KINDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (NotAllowed, "refused"),
    (duckdb.OutOfMemoryException, "memory"),
    (MemoryError, "memory"),
    (pa.ArrowMemoryError, "memory"),
    (duckdb.ParserException, "sql"),
    (duckdb.BinderException, "sql"),
    (duckdb.CatalogException, "sql"),
    (duckdb.PermissionException, "refused"),
    (duckdb.Error, "data"),
)


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    out = sys.stdout.buffer
    try:
        answer(asked, out)
    except tuple(each for each, _ in _KINDS) as problem:
        kind = next(kind for each, kind in _KINDS if isinstance(problem, each))
        say(out, {"ok": False, "kind": kind, "message": message_of(problem, kind)})


def say(out: BinaryIO, value: dict[str, Any]) -> None:
    out.write(json.dumps(value).encode() + b"\n")
    out.flush()


def message_of(problem: BaseException, kind: str) -> str:
    """What may be told. Errors of the data quote values, so only those of the query itself are passed on."""
    if kind == "refused" and isinstance(problem, NotAllowed):
        return str(problem)
    if kind != "sql":
        return ""
    first = str(problem).split("\n", 1)[0]
    parts = first.split("'")
    return "…".join(parts[::2])[:_QUOTED] if len(parts) > 2 else first[:_QUOTED]


def answer(asked: dict[str, Any], out: BinaryIO) -> None:
    kernel.limit(asked["memory"], asked["seconds"] * asked["threads"] + 1, 64)
    connection = duckdb.connect(
        ":memory:",
        config={
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
            "temp_directory": "",
            "memory_limit": f"{asked['memory']}B",
            "threads": str(asked["threads"]),
            "max_expression_depth": "250",
        },
    )
    for name, descriptor in asked["views"].items():
        connection.register(name, table_in(descriptor))
    if asked["marker"] is not None:
        connection.execute(
            "CREATE TEMP MACRO unseal(value) AS "  # the marker is hexadecimal, made by the node
            f"CASE WHEN value LIKE 'sealed:%' THEN '{asked['marker']}' || value ELSE value END"
        )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET lock_configuration = true")
    warm_up(connection)
    closed = kernel.close_in()
    must_be_allowed(connection, asked["sql"], frozenset(asked["views"]), unseals=asked["marker"] is not None)
    reader = connection.sql(asked["sql"]).to_arrow_reader(STEP)
    send(reader, asked["rows"], asked["bytes"], closed, out)


def table_in(descriptor: int) -> pa.Table:
    """A table that stays in its file: pages are read as they are asked for."""
    mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_stream(pa.py_buffer(mapped)).read_all()


def warm_up(connection: duckdb.DuckDBPyConnection) -> None:
    """Whatever is loaded when it is first needed is loaded while it still can be."""
    connection.sql("SELECT now()::VARCHAR, uuid(), '{}'::JSON, count(*) FROM range(2)").to_arrow_reader(1).read_all()
    ctypes.CDLL(None)


def send(reader: pa.RecordBatchReader, rows: int, most: int, closed: bool, out: BinaryIO) -> None:
    """The first rows, up to a number and a size; then whether there were more."""
    batches, left, size, cut = [], rows, 0, False
    for batch in reader:
        first = batch.slice(0, left)
        cut = first.num_rows < batch.num_rows
        size += first.nbytes
        if size > most:
            cut = True
            break
        batches.append(first)
        left -= first.num_rows
        if cut:
            break
    if cut and not batches:
        raise NotAllowed("the rows are too large to be answered: select less of them")
    say(out, {"ok": True, "closed": closed, "cut": cut})
    with pa.ipc.new_stream(out, reader.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    out.flush()


if __name__ == "__main__":
    main()
