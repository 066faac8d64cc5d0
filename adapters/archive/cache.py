"""A cache of an archive's files on the local disk, for storage that can't be read in place."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from adapters.archive.manifest import ArchivedFile, file_key
from adapters.archive.parquet import digest_of
from adapters.archive.reading import ArchiveTooLarge
from adapters.archive.shelf import FileLost
from adapters.archive.storage import Storage
from domain.ids import TenantId

_SUFFIX: Final = ".parquet"


class Cache:
    """Holds at most so many bytes; what was used longest ago goes first. It can be deleted while no node runs.

    A file that was handed out may be deleted later; whoever has it open still reads it.
    """

    def __init__(self, storage: Storage, folder: Path, most_bytes: int) -> None:
        self._storage = storage
        self._folder = folder
        self._most = most_bytes
        self._lock = threading.Lock()

    def paths(self, tenant: TenantId, files: Sequence[ArchivedFile]) -> list[Path]:
        """Where the files can be read now. Raises ArchiveTooLarge, FileLost and StorageError."""
        in_place = [self._storage.local(file_key(tenant, each.name)) for each in files]
        local = [path for path in in_place if path is not None]
        if len(local) == len(files):
            return local
        needed = sum(each.bytes for each in files)
        if needed > self._most:
            raise ArchiveTooLarge(
                f"the question needs {needed} bytes of the archive, and {self._most} fit the cache: ask for a shorter "
                "time, or raise MUNIMENT_ARCHIVE_CACHE_MB"
            )
        with self._lock:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            wanted = [self._folder / f"{each.sha256}{_SUFFIX}" for each in files]
            self._make_room(needed, {each.name for each in wanted})
            for path, file in zip(wanted, files, strict=True):
                self._hold(tenant, path, file)
        return wanted

    def _hold(self, tenant: TenantId, path: Path, file: ArchivedFile) -> None:
        if path.exists() and path.stat().st_size == file.bytes:
            os.utime(path)
            return
        coming = path.with_suffix(".coming")
        if not self._storage.fetch(file_key(tenant, file.name), coming):
            raise FileLost(file.name, "is missing")
        if digest_of(coming) != file.sha256:
            coming.unlink()
            raise FileLost(file.name, "is not the file that was written")
        coming.replace(path)

    def _make_room(self, needed: int, keep: set[str]) -> None:
        """So that what is wanted fits beside what is left."""
        others = [
            (stat.st_mtime, stat.st_size, each)
            for each in self._folder.iterdir()
            if each.name not in keep and (stat := each.stat())
        ]
        held = sum(size for _, size, _ in others)
        for _, size, path in sorted(others):
            if held + needed <= self._most:
                return
            path.unlink()
            held -= size
