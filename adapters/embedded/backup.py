"""Backups of the embedded log: a copy of one moment, taken beside a running node, that proves itself when restored.

A backup is a folder with `ledger.db`, `checkpoints.db` (the deployment's log) and `manifest.json`. It holds no root key
and no secret in the clear: whoever has it and not the root key has sealed values and wrapped keys. The tail file is not
in it; restoring writes a new one.
"""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from adapters.embedded.checkpoint_backup import (
    CHECKPOINTS,
    CheckpointsBroken,
    CheckpointsTold,
    copy_checkpoints,
    must_fit,
    restore_checkpoints,
)
from adapters.embedded.tail import TailFile
from adapters.index.database import FORMAT, Database
from adapters.index.evidence import LogBroken, Progress, check_commits, check_trees
from adapters.index.log import LogShorter, end_of_log
from domain.event import Instant

LOG: Final = "ledger.db"
MANIFEST: Final = "manifest.json"


class BackupBroken(Exception):
    """The backup is not whole, or not what it says it is; the message says what to do."""


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself."""

    format: int
    sequence: int
    """The last event's place in the log."""
    chain: str
    """The hash of all events' leaves up to it, as hexadecimal digits."""
    instant: Instant
    """When the last event was recorded; 0 if there is none."""
    tenants: int
    size: int
    sha256: str
    checkpoints: CheckpointsTold | None = None
    """The deployment's log, if there is one."""


def back_up(log: Path, into: Path, progress: Progress = lambda done, of: None) -> Manifest:
    """Copy the log at this path, checked, into a folder that must not exist; whole or not at all.

    One read transaction of its own, so the node that writes goes on. Raises BackupBroken, LogShorter, OSError.
    """
    if not log.is_file():
        raise BackupBroken("there is no ledger in that folder: name a node's data folder")
    if into.exists():
        raise BackupBroken("the backup's folder exists already: name one that doesn't, so that no backup is lost")
    unfinished = into.with_name(into.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    try:
        manifest = copy_log(log, unfinished, progress)
        unfinished.rename(into)
        _sync(into.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def copy_log(log: Path, into: Path, progress: Progress = lambda done, of: None) -> Manifest:
    """The files of a backup, in a folder that is there and empty. Raises BackupBroken."""
    copy = into / LOG
    try:
        checkpoints = copy_checkpoints(log.with_name(CHECKPOINTS), into / CHECKPOINTS)  # before the ledger
    except CheckpointsBroken as problem:
        raise BackupBroken(f"{problem}: see `muniment verify`") from problem
    source = Database(log, read_only=True)
    try:
        with closing(source.open(read_only=True)) as connection:
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            connection.execute("VACUUM INTO ?", (str(copy),))
    finally:
        source.close()
    manifest = msgspec.structs.replace(check_log(copy, progress), checkpoints=checkpoints)
    if checkpoints is not None:
        _fit(into / CHECKPOINTS, copy)
    with (into / MANIFEST).open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    _sync(copy)
    _sync(into)
    return manifest


def restore(backup: Path, log: Path, tail: Path, now: Instant, progress: Progress = lambda done, of: None) -> Manifest:
    """Put a backup's log where there is none, with every hash computed again, and a tail file that remembers its end.

    Raises BackupBroken, and leaves nothing behind then.
    """
    told = read_manifest(backup)
    if log.exists() or tail.exists():
        raise BackupBroken("the folder has a ledger already: restore into an empty folder")
    unfinished = log.with_name(log.name + ".restoring")
    try:
        shutil.copyfile(backup / LOG, unfinished)
        unfinished.chmod(0o600)
        if (unfinished.stat().st_size, _sha256(unfinished)) != (told.size, told.sha256):
            raise BackupBroken("the backup's ledger is not the one its manifest names: take another backup")
        found = check_log(unfinished, progress)
        if msgspec.structs.replace(found, checkpoints=told.checkpoints) != told:
            raise BackupBroken("the backup's ledger holds other events than its manifest names: take another backup")
        _sync(unfinished)
        if told.checkpoints is not None:
            _fit(backup / CHECKPOINTS, unfinished)
            _restore_checkpoints(backup, told.checkpoints, log)
        note_end(tail, found, now)
        unfinished.rename(log)
        _sync(log.parent)
    finally:
        unfinished.unlink(missing_ok=True)
        if not log.exists():
            log.with_name(CHECKPOINTS).unlink(missing_ok=True)
    return found


def _fit(checkpoints: Path, ledger: Path) -> None:
    """Raises BackupBroken."""
    try:
        must_fit(checkpoints, ledger)
    except (CheckpointsBroken, sqlite3.Error) as problem:
        raise BackupBroken(f"the backup's parts don't belong together ({problem}): take another backup") from problem


def _restore_checkpoints(backup: Path, told: CheckpointsTold, log: Path) -> None:
    """Raises BackupBroken."""
    try:
        restore_checkpoints(backup / CHECKPOINTS, told, log.with_name(CHECKPOINTS))
    except (CheckpointsBroken, FileNotFoundError) as problem:
        raise BackupBroken(f"{problem}: take another backup") from problem


def note_end(tail: Path, manifest: Manifest, now: Instant) -> None:
    """A tail file that remembers the end of a log."""
    if manifest.sequence:
        file = TailFile(tail)
        try:
            file.note(manifest.sequence, now, bytes.fromhex(manifest.chain))
        finally:
            file.close()


def read_manifest(backup: Path) -> Manifest:
    """Raises BackupBroken."""
    try:
        manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as problem:
        raise BackupBroken("there is no backup here: name a folder that `muniment backup` made") from problem
    if manifest.format != FORMAT:
        raise BackupBroken(
            f"the backup has format {manifest.format}, this version reads format {FORMAT}: restore it with the "
            "version that made it"
        )
    return manifest


def check_log(log: Path, progress: Progress = lambda done, of: None) -> Manifest:
    """Compute every hash of a log that nobody writes to: each commit's, and each tenant's tree. Raises BackupBroken."""
    with closing(sqlite3.connect(log.absolute().as_uri() + "?mode=ro&immutable=1", uri=True)) as connection:
        try:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                raise BackupBroken("the ledger's file is damaged: take another backup")
            (format,) = connection.execute("SELECT version FROM format").fetchone()
            end = end_of_log(connection)
            check_commits(connection, end.sequence, progress)
            check_trees(connection)
            (tenants,) = connection.execute("SELECT count(*) FROM tenants").fetchone()
        except (sqlite3.Error, LogBroken, LogShorter, TypeError) as problem:
            raise BackupBroken(f"the ledger is not what its hashes say ({problem}): take another backup") from problem
    return Manifest(format, end.sequence, end.chain.hex(), end.instant, tenants, log.stat().st_size, _sha256(log))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
