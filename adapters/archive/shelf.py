"""A shelf: the files of each tenant in the storage, and the manifest that says which of them are its archive.

A file is put there first and listed by the manifest afterwards; it is taken off the manifest first and deleted a while
afterwards. So a crash between the two leaves a file that nobody reads, which `tidy` deletes.
"""

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from adapters.archive.manifest import ArchivedFile, Leaving, Manifest, Reached, decode, file_key, key_of
from adapters.archive.parquet import digest_of
from adapters.archive.storage import Storage
from domain.event import Instant
from domain.ids import TenantId

SECOND: Final = 1_000_000


class Held(NamedTuple):
    """A manifest as it was read, and the version that must still be there when it is replaced."""

    manifest: Manifest
    version: str | None


class FileLost(Exception):
    """A file that the manifest lists is not there, or is not the one that was written; the message says which."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name} {what}")
        self.name = name
        self.what = what


class Interrupted(Exception):
    """The node stops; what was begun is left as if it had not been."""

    def __init__(self) -> None:
        super().__init__("the node stops: ask again once it runs")


class Shelf:
    """Safe to use from any thread; who loses a race for a manifest gets Replaced and reads it again."""

    def __init__(self, storage: Storage, work: Path, clock: Callable[[], int], grace: float) -> None:
        """`work` is a local folder for what is unfinished; `grace` the seconds that readers get for a file."""
        self.storage = storage
        self.clock = clock
        self._work = work
        self._grace = grace
        self.stopping = threading.Event()

    def go_on(self) -> None:
        """Raises Interrupted once the node stops."""
        if self.stopping.is_set():
            raise Interrupted

    def read(self, tenant: TenantId) -> Held:
        """Raises ManifestBroken."""
        found = self.storage.read(key_of(tenant))
        if found is None:
            return Held(Manifest(tenant), None)
        return Held(decode(tenant, found.data), found.version)

    def replace(self, held: Held, manifest: Manifest) -> Held:
        """Raises Replaced if it is not the one that was read any more."""
        newer = msgspec.structs.replace(manifest, revision=held.manifest.revision + 1)
        version = self.storage.replace(key_of(newer.tenant), newer.encode(), held.version)
        return Held(newer, version)

    def put(self, tenant: TenantId, path: Path, first: int, first_at: Instant, until: Reached) -> ArchivedFile:
        """Add a file of events, which nobody reads until a manifest lists it. The local one is gone afterwards."""
        digest, size = digest_of(path), path.stat().st_size
        name = f"{month_of(first_at)}/{first:012d}-{until.last:012d}-{digest[:16]}.parquet"
        self.storage.put(file_key(tenant, name), path)
        path.unlink(missing_ok=True)
        return ArchivedFile(name, digest, size, first, first_at, until)

    @contextlib.contextmanager
    def unfinished(self) -> Iterator[Path]:
        """A local folder, gone when the block ends."""
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._work))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def opened(self, tenant: TenantId, file: ArchivedFile) -> Iterator[Path]:
        """A local path to read the file from, whatever it holds. Raises FileLost."""
        path = self.storage.local(file_key(tenant, file.name))
        if path is not None:
            if not path.is_file():
                raise FileLost(file.name, "is missing")
            yield path
            return
        with self.unfinished() as folder:
            if not self.storage.fetch(file_key(tenant, file.name), folder / "fetched.parquet"):
                raise FileLost(file.name, "is missing")
            yield folder / "fetched.parquet"

    @contextlib.contextmanager
    def as_written(self, tenant: TenantId, file: ArchivedFile) -> Iterator[Path]:
        """The same, where its bytes are those that were written. Raises FileLost."""
        with self.opened(tenant, file) as path:
            if digest_of(path) != file.sha256:
                raise FileLost(file.name, "is not the file that was written")
            yield path

    def leave(self, *files: ArchivedFile) -> tuple[Leaving, ...]:
        """What a manifest says of files that it doesn't list any more."""
        now = Instant(self.clock())
        return tuple(Leaving(each.name, now) for each in files)

    def tidy(self, tenant: TenantId, *, stray: bool = False) -> int:
        """Delete what left the manifest long enough ago, and, if asked to, what no manifest lists; how many."""
        held = self.read(tenant)
        manifest = held.manifest
        before = self.clock() - int(self._grace * SECOND)
        gone = [each for each in manifest.leaving if each.since <= before]
        self.storage.delete(file_key(tenant, each.name) for each in gone)
        strays = list(self._strays(manifest)) if stray else []
        self.storage.delete(strays)
        if gone:
            rest = tuple(each for each in manifest.leaving if each not in gone)
            self.replace(held, msgspec.structs.replace(manifest, leaving=rest))
        return len(gone) + len(strays)

    def _strays(self, manifest: Manifest) -> Iterator[str]:
        """Files that have been there for so long that whoever wrote them is gone."""
        tenant = manifest.tenant
        names = [*(each.name for each in manifest.files), *(each.name for each in manifest.leaving)]
        known = {key_of(tenant), *(file_key(tenant, name) for name in names)}
        before = self.clock() / SECOND - self._grace
        for key, written in self.storage.under(f"tenant={tenant}/"):
            if key not in known and written <= before:
                yield key


def month_of(instant: Instant) -> str:
    """The folder of a month, in UTC."""
    return datetime.fromtimestamp(instant // SECOND, UTC).strftime("year=%Y/month=%m")


def month_ends(instant: Instant) -> Instant:
    """The first instant of the month after."""
    time = datetime.fromtimestamp(instant // SECOND, UTC)
    year, month = (time.year + 1, 1) if time.month == 12 else (time.year, time.month + 1)
    return Instant(int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * SECOND)
