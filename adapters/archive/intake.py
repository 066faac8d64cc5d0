"""The intake: what the ledger has beyond the archive's cursor becomes files, each event exactly once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from adapters.archive.columns import batch_of
from adapters.archive.manifest import ArchivedFile, Manifest, Reached
from adapters.archive.parquet import FileWriter
from adapters.archive.shelf import Held, Shelf, month_ends
from domain.event import Instant
from domain.evidence.tree import Frontier, leaf_hash
from domain.ids import TenantId
from domain.ledger import History

MOST_IN_FILE: Final = 524_288
"""Events."""
_PAGE: Final = 4_096


class Forked(Exception):
    """The archive holds events that this ledger does not have; the message says what to do."""


class Intake:
    """Archives one tenant at a time; blocking, so on a thread."""

    def __init__(self, shelf: Shelf, history: History, most_in_file: int = MOST_IN_FILE) -> None:
        self._shelf = shelf
        self._history = history
        self._most = most_in_file

    def archive(self, tenant: TenantId, checkpoint: str | None = None) -> tuple[Manifest, int]:
        """Everything up to the head as it is now; the manifest then, and how many events were new.

        Raises Forked, ManifestBroken, StorageError, and Replaced if somebody else archives the tenant too.
        """
        held = self._shelf.read(tenant)
        must_continue(self._history, held.manifest)
        began = held.manifest.reached.last
        head = self._history.head(tenant)[0]
        while held.manifest.reached.last < head and not self._shelf.stopping.is_set():
            held = self._one_file(held, head, checkpoint)
        return held.manifest, held.manifest.reached.last - began

    def _one_file(self, held: Held, head: int, checkpoint: str | None) -> Held:
        manifest = held.manifest
        with self._shelf.unfinished() as folder:
            draft = _Draft(folder / "events.parquet", manifest, min(head - manifest.reached.last, self._most))
            while draft.room and draft.last < head and not (draft.events and self._shelf.stopping.is_set()):
                rows = self._history.stored(manifest.tenant, draft.last, min(_PAGE, head - draft.last))
                if not rows or not draft.take(rows):
                    break
            file = draft.put(self._shelf)
        newer = msgspec.structs.replace(
            manifest, files=(*manifest.files, file), checkpoint=checkpoint or manifest.checkpoint
        )
        return self._shelf.replace(held, newer)


class _Draft:
    """A file of one month that grows."""

    def __init__(self, path: Path, after: Manifest, expected: int) -> None:
        self._path = path
        self._tenant = after.tenant
        self._tree: Frontier = after.reached.tree()
        self._writer = FileWriter(path, expected)
        self._expected = expected
        self._first = after.reached.last + 1
        self._first_at: Instant | None = None
        self._last_at = Instant(0)
        self._leaf = b""
        self._ends = Instant(0)

    @property
    def last(self) -> int:
        return self._tree.size

    @property
    def events(self) -> int:
        return self._writer.events

    @property
    def room(self) -> int:
        return self._expected - self._writer.events

    def take(self, rows: Sequence[tuple[int, bytes]]) -> bool:
        """What of these events belongs to the month; whether that was all of them."""
        batch = batch_of(self._tenant, rows[: self.room])
        instants = batch.column("recorded_at").cast(pa.int64()).to_pylist()
        if self._first_at is None:
            self._first_at = Instant(instants[0])
            self._ends = month_ends(self._first_at)
        count = next((place for place, each in enumerate(instants) if each >= self._ends), len(instants))
        for position, stored in rows[:count]:
            if position != self._tree.size + 1:
                raise Forked(f"the ledger of {self._tenant} has no event at position {self._tree.size + 1}")
            self._leaf = leaf_hash(stored)
            self._tree.append(self._leaf)
        if count:
            self._writer.write(batch.slice(0, count))
            self._last_at = Instant(instants[count - 1])
        return count == len(rows)

    def put(self, shelf: Shelf) -> ArchivedFile:
        self._writer.close()
        tree = self._tree
        until = Reached(tree.size, self._last_at, tree.root().hex(), tree.pack().hex(), self._leaf.hex())
        if self._first_at is None:
            raise Forked(f"the ledger of {self._tenant} has no event at position {tree.size + 1}")
        return shelf.put(self._tenant, self._path, self._first, self._first_at, until)


def must_continue(history: History, manifest: Manifest) -> None:
    """That the archive ends with an event of this ledger. Raises Forked."""
    last = manifest.reached.last
    if last == 0:
        return
    rows = history.stored(manifest.tenant, last - 1, 1)
    if not rows or rows[0][0] != last or leaf_hash(rows[0][1]).hex() != manifest.reached.leaf:
        raise Forked(
            f"the archive of {manifest.tenant} ends with an event at position {last} that this ledger does not have, "
            "as after a restored backup: compare the two, then begin another archive with MUNIMENT_ARCHIVE"
        )
