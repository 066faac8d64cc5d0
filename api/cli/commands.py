"""All commands under one name, and how each of them may fail: one sentence, and 1 (or 2 for usage)."""

import sqlite3
import sys
from collections.abc import Callable
from typing import Final

import typer

from adapters.embedded.backup import BackupBroken
from adapters.index.database import WrongFormat
from adapters.index.folder_lock import FolderInUse
from adapters.index.log import LogShorter
from adapters.kafka.client import Unavailable
from adapters.kafka.outside_registry import OutsideRegistryError
from adapters.kafka.topics import UnsafeTopic
from adapters.keyring import WrongRootKey
from adapters.postgres_program import PostgresUnavailable
from api.cli import (
    archive,
    asking,
    backups,
    checkpoints,
    demo,
    directories,
    doctor,
    investigating,
    migrating,
    operators,
    people,
    product_events,
    replaying,
    serve,
    sinks,
    supposing,
    tenants,
    trail,
    verify,
    version,
)
from api.cli.printing import Failed, say
from api.configuration import ConfigurationError
from domain.ledger import NotReady

app = typer.Typer(
    name="muniment",
    help="The evidence of every right in a product, answered from an append-only ledger.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS: tuple[Callable[..., None], ...] = (
    serve.serve,
    demo.demo,
    verify.verify,
    doctor.doctor,
    backups.backup,
    backups.restore,
    migrating.migrate,
    investigating.incident,
    version.version,
)
for command in COMMANDS:
    app.command()(command)
for question in (asking.why, asking.access, asking.state, supposing.what_if, investigating.blast_radius):
    replaying.app.command()(question)
for group in (
    replaying.app,
    tenants.app,
    directories.app,
    operators.app,
    people.app,
    archive.app,
    product_events.app,
    sinks.app,
    checkpoints.app,
    trail.app,
):
    app.add_typer(group)

_SENTENCES = (
    Failed,
    ConfigurationError,
    FolderInUse,
    WrongRootKey,
    WrongFormat,
    LogShorter,
    BackupBroken,
    PostgresUnavailable,
    Unavailable,
    UnsafeTopic,
    OutsideRegistryError,
    NotReady,
)

_FILE_TROUBLE: Final = {
    sqlite3.SQLITE_NOTADB: "the ledger's file is another program's, or damaged: restore the newest backup",
    sqlite3.SQLITE_CORRUPT: "the ledger's file is damaged: restore the newest backup",
    sqlite3.SQLITE_FULL: "the disk is full: make room and try again",
    sqlite3.SQLITE_IOERR: "the disk can't be read or written: see what the system says of it, or restore elsewhere",
    sqlite3.SQLITE_READONLY: "the ledger's file can't be written: run this as the node's user",
    sqlite3.SQLITE_CANTOPEN: "the ledger's file can't be opened: run this as the node's user",
    sqlite3.SQLITE_BUSY: "another program holds the ledger's file: end it and try again",
}


def main() -> None:
    try:
        app()
    except _SENTENCES as problem:
        fail(str(problem))
    except sqlite3.DatabaseError as problem:
        sentence = _FILE_TROUBLE.get(problem.sqlite_errorcode & 0xFF)
        if sentence is None:
            raise  # a defect of ours, and no trouble with the file
        fail(sentence)
    except OSError as problem:
        fail(f"{problem.strerror or type(problem).__name__}{_where(problem)}: see `muniment doctor`")


def _where(problem: OSError) -> str:
    return f" ({problem.filename})" if problem.filename else ""


def fail(sentence: str) -> None:
    say(f"Error: {sentence}")
    sys.exit(1)
