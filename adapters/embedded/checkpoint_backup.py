"""The deployment's log in a backup: copied before the ledger, so that it never commits to what the copy lacks."""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from adapters.evidence.log import ID, LogBook, new_log_id

CHECKPOINTS: Final = "checkpoints.db"


class CheckpointsBroken(Exception):
    """The copy of the deployment's log is not whole, or not what the backup says; the message says which."""


class CheckpointsTold(msgspec.Struct, frozen=True):
    """What a backup says of the deployment's log."""

    leaves: int
    size: int
    sha256: str


def copy_checkpoints(log: Path, into: Path) -> CheckpointsTold | None:
    """A copy of one moment, beside a running node; None where there is no such log yet. Raises CheckpointsBroken."""
    if not log.is_file():
        return None
    os.close(os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(log.absolute().as_uri() + "?mode=ro", uri=True)) as source:
            source.execute("PRAGMA busy_timeout = 10000")
            source.execute("VACUUM INTO ?", (str(into),))
        told = look_at(into)
    except sqlite3.Error as problem:
        raise CheckpointsBroken("the deployment's log can't be read") from problem
    _sync(into)
    return told


def look_at(copy: Path) -> CheckpointsTold:
    """Of a file that nobody writes to. Raises CheckpointsBroken or sqlite3.Error."""
    with closing(sqlite3.connect(copy.absolute().as_uri() + "?mode=ro&immutable=1", uri=True)) as connection:
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            raise CheckpointsBroken("the file of the deployment's log is damaged")
        (leaves,) = connection.execute("SELECT coalesce(max(size), 0) FROM checkpoints").fetchone()
    with copy.open("rb") as file:
        return CheckpointsTold(leaves, copy.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def must_fit(copy: Path, ledger: Path) -> None:
    """That no head has more events than its tenant has in the ledger's copy. Raises CheckpointsBroken."""
    with closing(sqlite3.connect(ledger.absolute().as_uri() + "?mode=ro&immutable=1", uri=True)) as connection:
        connection.execute("ATTACH ? AS log", (copy.absolute().as_uri() + "?mode=ro&immutable=1",))
        beyond = connection.execute(
            "SELECT h.tenant FROM log.heads h LEFT JOIN tenants t ON t.tenant = h.tenant "
            "WHERE h.size > coalesce(t.position, 0) LIMIT 1"
        ).fetchone()
    if beyond is not None:
        raise CheckpointsBroken(f"the deployment's log has more events of {beyond[0]} than the ledger")


def restore_checkpoints(backup: Path, told: CheckpointsTold, log: Path) -> None:
    """Put the copy where a node looks for it, to go on under another origin. Raises CheckpointsBroken, OSError.

    Others may have seen more of the log than the backup holds; whatever follows here must not be taken for that.
    """
    unfinished = log.with_name(log.name + ".restoring")
    try:
        shutil.copyfile(backup, unfinished)
        unfinished.chmod(0o600)
        if look_at(unfinished) != told:
            raise CheckpointsBroken("the backup's copy of the deployment's log is not the one its manifest names")
        book = LogBook(unfinished)
        book.note(ID, new_log_id())
        book.close()
        _sync(unfinished)
        unfinished.rename(log)
    except sqlite3.Error as problem:
        raise CheckpointsBroken("the backup's copy of the deployment's log can't be read") from problem
    finally:
        for suffix in ("", "-wal", "-shm"):
            unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
