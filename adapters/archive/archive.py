"""The archive as a node has it: taken in from the ledger, compacted, verified, trimmed, and read."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from adapters.archive.cache import Cache
from adapters.archive.compaction import Compaction, WrongTree
from adapters.archive.intake import Forked, Intake
from adapters.archive.manifest import CheckedTo, Manifest, ManifestBroken, Reached
from adapters.archive.reading import ArchiveTooLarge, TailTooLong
from adapters.archive.shelf import FileLost, Interrupted, Shelf
from adapters.archive.storage import Replaced, Storage, StorageError
from adapters.archive.verification import Committed, Verification, Verified
from adapters.archive.view import ArchiveView
from domain.event import Instant
from domain.ids import TenantId
from domain.ledger import History

GRACE: Final = 600.0
"""Seconds that a file stays after the manifest stopped listing it, for whoever reads it."""
CACHE_MB: Final = 4_096


class Status(msgspec.Struct, frozen=True):
    """A tenant's archive as its manifest says."""

    first: int
    """The first position that is kept."""
    last: int
    last_at: Instant
    files: int
    bytes: int
    root: str
    """Of the tenant's tree at `last`, in hexadecimal."""
    checked: CheckedTo | None
    removed: int
    checkpoint: str | None

    def trimmable_below(self, *, held: bool) -> int:
        """The ledger may be trimmed below this position: all before it is archived, and was compared with the log."""
        if held or self.checked is None:
            return 1
        return min(self.checked.last, self.last) + 1


class Archive:
    """Every call blocks; safe to use from any thread, but one at a time for a tenant."""

    failures: Final = (
        StorageError,
        ManifestBroken,
        FileLost,
        WrongTree,
        Forked,
        Replaced,
        Interrupted,
        pa.ArrowException,
        OSError,
    )
    """What keeps it from being done now; each says why, and nothing is lost: it is done again."""
    unanswerable: Final = (ArchiveTooLarge, TailTooLong)
    """What reading raises that asks for too much."""

    def __init__(
        self,
        storage: Storage,
        work: Path,
        history: History,
        clock: Callable[[], int],
        *,
        grace: float = GRACE,
        cache_mb: int = CACHE_MB,
        committed: Committed = lambda _: (),
    ) -> None:
        """`work` is a local folder for what is unfinished, and the cache; it can be deleted while no node runs."""
        self._unfinished = work / "unfinished"
        self._shelf = Shelf(storage, self._unfinished, clock, grace)
        self._intake = Intake(self._shelf, history)
        self._compaction = Compaction(self._shelf)
        self._verification = Verification(self._shelf, history, committed)
        self.events = ArchiveView(self._shelf, Cache(storage, work / "cache", cache_mb << 20), history)

    @property
    def is_near(self) -> bool:
        """Whether its files lie on a disk here, so that reading all of them costs nobody anything."""
        return self._shelf.storage.local("") is not None

    def take_in(self, tenant: TenantId, checkpoint: str | None = None) -> tuple[Status, int]:
        """Archive what is new; the archive then, and how many events were new."""
        manifest, new = self._intake.archive(tenant, checkpoint)
        return status_of(manifest), new

    def compact(self, tenant: TenantId) -> int:
        """How many files were merged."""
        return self._compaction.compact(tenant)[1]

    def tidy(self, tenant: TenantId, *, stray: bool = False) -> int:
        """Delete what no manifest lists any more; how many files. See Shelf.tidy."""
        return self._shelf.tidy(tenant, stray=stray)

    def is_untidy(self, tenant: TenantId) -> bool:
        """Whether something is still to be deleted, later."""
        return bool(self._shelf.read(tenant).manifest.leaving)

    def verify(self, tenant: TenantId, *, after: int = 0, most: int | None = None) -> Verified:
        """See Verification.verify."""
        return self._verification.verify(tenant, after=after, most=most)

    def status(self, tenant: TenantId) -> Status:
        return status_of(self._shelf.read(tenant).manifest)

    def older_than(self, tenant: TenantId, instant: Instant) -> Reached | None:
        """How far the files go that hold nothing later than an instant; None if there are none."""
        found = None
        for file in self._shelf.read(tenant).manifest.files:
            if file.until.last_at > instant:
                break
            found = file.until
        return found

    def remove(self, tenant: TenantId, last: int) -> int:
        """Take the files off that hold nothing beyond a position; how many. `tidy` deletes them."""
        held = self._shelf.read(tenant)
        manifest = held.manifest
        gone = [each for each in manifest.files if each.last <= last]
        if gone:
            newer = msgspec.structs.replace(
                manifest,
                removed=gone[-1].until,
                files=manifest.files[len(gone) :],
                leaving=(*manifest.leaving, *self._shelf.leave(*gone)),
            )
            self._shelf.replace(held, newer)
        return len(gone)

    def start(self) -> None:
        """Forget what was unfinished when a node on this folder ended last."""
        shutil.rmtree(self._unfinished, ignore_errors=True)

    def stop(self) -> None:
        """What is under way ends soon."""
        self._shelf.stopping.set()


def status_of(manifest: Manifest) -> Status:
    reached = manifest.reached
    return Status(
        first=manifest.first,
        last=reached.last,
        last_at=reached.last_at,
        files=len(manifest.files),
        bytes=sum(each.bytes for each in manifest.files),
        root=reached.root,
        checked=manifest.checked,
        removed=manifest.removed.last,
        checkpoint=manifest.checkpoint,
    )
