"""What `doctor` looks at: the machine, the data folder, and the node if one answers. Nothing is changed."""

import os
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import httpx
import psycopg

from adapters.embedded.tail import TailFile, check_tail
from adapters.index.database import FORMAT, Database
from adapters.index.log import LogShorter, end_of_log
from adapters.keyring import Keyring, WrongRootKey
from adapters.postgres_program import PostgresUnavailable
from api.cli.door import address_in
from api.configuration import ConfigurationError, from_environment
from api.data_folder import DataFolder

LEAST_PYTHON: Final = (3, 11)
LEAST_SQLITE: Final = (3, 35, 0)
LITTLE_ROOM: Final = 2 << 30
NO_ROOM: Final = 200 << 20
_SECOND: Final = 1_000_000
_FAR: Final = 30 * 86_400 * _SECOND


class Finding(NamedTuple):
    """What was looked at, what was found, and what to do if it is not well."""

    about: str
    state: Literal["ok", "warning", "wrong"]
    found: str
    do: str = ""


def examine_machine(folder: Path) -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= LEAST_PYTHON:
        yield Finding("Python", "ok", python)
    else:
        yield Finding("Python", "wrong", python, "install Python 3.11 or newer")
    if sqlite3.sqlite_version_info >= LEAST_SQLITE:
        yield Finding("SQLite", "ok", sqlite3.sqlite_version)
    else:
        yield Finding("SQLite", "wrong", sqlite3.sqlite_version, "install a Python with SQLite 3.35 or newer")
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    room = f"{free >> 20:,} MiB free"
    if free < NO_ROOM:
        yield Finding("disk", "wrong", room, "make room: writes are refused once the disk is full")
    elif free < LITTLE_ROOM:
        yield Finding("disk", "warning", room, "make room soon")
    else:
        yield Finding("disk", "ok", room)


async def examine_node(url: str | None, folder: DataFolder) -> list[Finding]:
    """What the node says of itself, if one answers."""
    named = url is not None
    url = url or address_in(folder)
    if url is None:
        return [Finding("node", "ok", "none runs on this folder")]
    try:
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
            (await client.get("/livez")).raise_for_status()
            ready = await client.get("/readyz")
    except (httpx.HTTPError, httpx.InvalidURL):
        if named:
            return [Finding("node", "wrong", f"none answers at {url}", "start it, or check --url")]
        return [Finding("node", "warning", f"none answers at {url}", "it ended without saying so; start it again")]
    body: dict[str, Any] = ready.json()
    if not ready.is_success:
        return [Finding("node", "wrong", "not ready", str(body.get("detail", "see its log")))]
    views = body.get("stored_views")
    return [Finding("node", "ok", f"ready at {url}"), _views(str(views))]


def _views(state: str) -> Finding:
    match state:
        case "current":
            return Finding("stored views", "ok", "current")
        case "behind":
            return Finding("stored views", "warning", "behind the log", "wait; if it stays so, see the node's log")
    return Finding(
        "stored views", "wrong", state, "see that PostgreSQL runs, and MUNIMENT_POSTGRES is right; writes go on"
    )


def examine_folder(folder: DataFolder) -> Iterator[Finding]:
    if not folder.path.is_dir():
        yield Finding("data folder", "wrong", f"{folder.path} is not there", "name it with --data, or start a node")
        return
    yield _modes(folder)
    if not folder.ledger.exists():
        yield Finding("ledger", "ok", "none yet")
        return
    database = Database(folder.ledger, read_only=True)
    try:
        with closing(database.open(read_only=True)) as connection:
            yield from _log(folder, connection)
        yield _root_key(folder, database)
    except sqlite3.DatabaseError:
        yield Finding("ledger", "wrong", "the file can't be read", "restore the newest backup")
    finally:
        database.close()
    yield _postgres(folder)


def _modes(folder: DataFolder) -> Finding:
    """What is not its owner's alone."""
    secret = (folder.root_key, folder.operator_key, folder.ledger, folder.tail)
    looked = [folder.path, *(each for each in secret if each.exists())]
    open_to_others = [each for each in looked if stat.S_IMODE(each.stat().st_mode) & 0o077]
    reached = folder.path.stat().st_mode & 0o077
    outside = [each for each in open_to_others if each == folder.path or reached or each.suffix == ".key"]
    if outside:
        return Finding("modes", "wrong", f"others may read {outside[0]}", f"chmod go= {outside[0]}")
    if folder.path.stat().st_uid != os.geteuid():
        return Finding("modes", "warning", "the folder is another user's", "run commands as the node's user")
    return Finding("modes", "ok", "for their owner alone")


def _log(folder: DataFolder, connection: sqlite3.Connection) -> Iterator[Finding]:
    (version,) = connection.execute("SELECT version FROM format").fetchone()
    if version != FORMAT:
        yield Finding("format", "wrong", f"{version}, and this version reads {FORMAT}", "use the version that wrote it")
        return
    yield Finding("format", "ok", str(version))
    try:
        end = end_of_log(connection)
    except LogShorter as problem:
        yield Finding("ledger", "wrong", "it contradicts itself", str(problem))
        return
    yield Finding("ledger", "ok", f"{end.sequence:,} events, {folder.ledger.stat().st_size >> 20:,} MiB")
    yield _tail(folder, connection)
    yield _clock(end.instant)


def _tail(folder: DataFolder, connection: sqlite3.Connection) -> Finding:
    if not folder.tail.exists():
        return Finding("tail file", "wrong", "it is missing", "put it back, or restore the newest backup")
    tail = TailFile(folder.tail)
    try:
        check_tail(connection, end_of_log(connection), tail)
    except LogShorter as problem:
        return Finding("tail file", "wrong", "it remembers another log", str(problem))
    finally:
        tail.close()
    return Finding("tail file", "ok", "agrees with the ledger")


def _clock(last: int) -> Finding:
    ahead = time.time_ns() // 1000 - last
    if ahead < -5 * _SECOND:
        found = f"{-ahead // _SECOND} s behind the last event"
        return Finding("clock", "wrong", found, "set it right; the node is not ready until it has passed that moment")
    if last and ahead > _FAR:
        found = f"{ahead // (86_400 * _SECOND)} days after the last event"
        return Finding("clock", "warning", found, "if it is right, start the node with --accept-clock")
    return Finding("clock", "ok", "after the last event")


def _root_key(folder: DataFolder, database: Database) -> Finding:
    try:
        root_key, beside = folder.root_key_of(from_environment(data=folder.path))
        Keyring(database, root_key)
    except (ConfigurationError, WrongRootKey) as problem:
        return Finding("root key", "wrong", "it does not open the ledger", str(problem))
    if beside:
        found = "it lies beside what it protects"
        return Finding("root key", "warning", found, "keep it elsewhere and set MUNIMENT_ROOT_KEY_FILE")
    return Finding("root key", "ok", "opens the ledger, and lies elsewhere")


def _postgres(folder: DataFolder) -> Finding:
    try:
        named = from_environment(data=folder.path).postgres
        if named is None:
            return _embedded(folder)
        with psycopg.connect(named, connect_timeout=5) as connection:
            version = connection.info.server_version // 10_000
    except (psycopg.Error, ConfigurationError, PostgresUnavailable):
        do = "see that it runs, and that MUNIMENT_POSTGRES is right; writes go on meanwhile"
        return Finding("PostgreSQL", "wrong", "it can't be reached", do)
    return Finding("PostgreSQL", "ok", f"version {version}, reached by MUNIMENT_POSTGRES")


def _embedded(folder: DataFolder) -> Finding:
    made = (folder.postgres / "cluster" / "PG_VERSION").exists()
    return Finding("PostgreSQL", "ok", "embedded, " + ("started with the node" if made else "made at the first start"))
