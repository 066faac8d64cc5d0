"""Asks a query of a tenant's views in a process of its own, which is killed when its time is over."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import BinaryIO, Final, NamedTuple

import pyarrow as pa

THREADS: Final = 2
_SLACK: Final = 1 << 20
ENVIRONMENT: Final = {"LANG": "C.UTF-8", "TZ": "UTC", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""All that the process is told."""


class Limits(NamedTuple):
    """What one query may take."""

    memory: int = 512 * 1024 * 1024
    """Bytes, for the query's own work."""
    seconds: float = 20.0
    rows: int = 10_000
    bytes: int = 32 * 1024 * 1024
    """Of the answer."""


class Answered(NamedTuple):
    """The rows; `cut` says that there were more; `closed` that the kernel kept the process in, too."""

    table: pa.Table
    cut: bool
    closed: bool


class QueryFailed(Exception):
    """The query has no answer. `kind`: refused, sql, data, memory, time or broken; the message is the query's own."""

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message)
        self.kind = kind


async def ask(views: Mapping[str, BinaryIO], sql: str, limits: Limits, *, marker: str | None = None) -> Answered:
    """Raises QueryFailed. `views` are Arrow streams in open files, which are closed; `marker` marks what is unsealed.

    Cancelling kills the process too.
    """
    asked = {
        "sql": sql,
        "views": {name: file.fileno() for name, file in views.items()},
        "memory": limits.memory,
        "seconds": int(limits.seconds) + 1,
        "threads": THREADS,
        "rows": limits.rows,
        "bytes": limits.bytes,
        "marker": marker,
    }
    try:
        said = await _run(json.dumps(asked).encode(), [each.fileno() for each in views.values()], limits)
    finally:
        for file in views.values():
            file.close()
    return await asyncio.to_thread(_understood, said)


async def _run(asked: bytes, descriptors: list[int], limits: Limits) -> bytes:
    """What the process says until it ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        "adapters.sql_sandbox.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=descriptors,
        env=ENVIRONMENT,
        cwd=os.sep,
        limit=1 << 20,
    )
    try:
        async with asyncio.timeout(limits.seconds):
            return await _talk(process, asked, limits.bytes + _SLACK)
    except TimeoutError:
        raise QueryFailed("time") from None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _talk(process: asyncio.subprocess.Process, asked: bytes, most: int) -> bytes:
    into, out = process.stdin, process.stdout
    if into is None or out is None:
        raise QueryFailed("broken")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        into.write(asked)
        await into.drain()
    into.close()
    said = bytearray()
    while part := await out.read(1 << 18):
        said += part
        if len(said) > most:
            raise QueryFailed("broken")
    if await process.wait() == 0 and said:
        return bytes(said)
    # Killed by the kernel, or ended by an allocation that failed: memory, as far as anybody can tell.
    raise QueryFailed("memory")


def _understood(said: bytes) -> Answered:
    """The process is not trusted: what it says is checked as anything from outside."""
    line, _, rest = said.partition(b"\n")
    try:
        header = json.loads(line)
        if not header["ok"]:
            raise QueryFailed(str(header["kind"]), str(header["message"]))
        table = pa.ipc.open_stream(pa.py_buffer(rest)).read_all()
        table.validate(full=True)
    except (ValueError, KeyError, TypeError, pa.ArrowException) as problem:
        raise QueryFailed("broken") from problem
    return Answered(table, bool(header["cut"]), bool(header["closed"]))
