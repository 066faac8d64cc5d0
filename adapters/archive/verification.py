"""Verification: the archive is the log, byte for byte, and its columns are what its bytes say; else where it is not.

Each file must be the one that was written, hold the events that the manifest says without a gap, and lead to the tree
that the manifest says. What the log still has is compared with it; for what was trimmed from the log, the manifest's
trees and the signed checkpoints are what it is held against.
"""

import contextlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from adapters.archive.columns import ARCHIVED, STORED, batch_of
from adapters.archive.manifest import ArchivedFile, CheckedTo, Manifest, ManifestBroken, Reached
from adapters.archive.parquet import batches_of, digest_of
from adapters.archive.shelf import FileLost, Held, Shelf
from adapters.archive.storage import Replaced
from domain.event import Instant
from domain.evidence.tree import Frontier, leaf_hash
from domain.ids import TenantId
from domain.ledger import History

MOST_NAMED: Final = 20
"""Problems of one tenant that are named."""
_MANIFEST: Final = "manifest.json"
_NO_EVENT: Final = (
    KeyError,
    ValueError,
    IndexError,
    EOFError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    pa.ArrowException,
)
"""What reading bytes raises that are none of an event."""

_UNREADABLE: Final = (OSError, ValueError, pa.ArrowException)
"""What reading a damaged file raises."""
Committed = Callable[[TenantId], Iterable[tuple[int, bytes]]]
"""The sizes of a tenant's tree that checkpoints have committed to, and its roots there."""


class Problem(msgspec.Struct, frozen=True):
    """Where the archive is not what it must be: in which file, at which positions (None: about the file as a whole)."""

    file: str
    first: int | None
    last: int | None
    what: str


class Verified(msgspec.Struct, frozen=True):
    """What became of comparing: it was read as far as `last`, and holds if there are no problems."""

    tenant: TenantId
    first: int
    last: int
    whole: bool
    """Whether the end of the archive was looked at too."""
    events: int
    files: int
    problems: tuple[Problem, ...]

    def covers(self, problem: Problem) -> bool:
        """Whether what it is about was read this time."""
        return self.whole if problem.first is None else self.first <= problem.first <= self.last


class Verification:
    """Verifies one tenant at a time; blocking, so on a thread."""

    def __init__(self, shelf: Shelf, history: History, committed: Committed = lambda _: ()) -> None:
        self._shelf = shelf
        self._history = history
        self._committed = committed

    def verify(self, tenant: TenantId, *, after: int = 0, most: int | None = None) -> Verified:
        """The files that hold anything beyond `after`; at least one, and no more than hold `most` events.

        What holds is noted in the manifest, if nothing before it was left out. Raises StorageError and Interrupted.
        """
        try:
            held = self._shelf.read(tenant)
        except ManifestBroken as problem:
            return Verified(tenant, 1, 0, True, 0, 0, (Problem(_MANIFEST, None, None, str(problem)),))
        manifest = held.manifest
        files = _wanted(manifest, after, most)
        last = files[-1].last if files else manifest.reached.last
        problems = tuple(islice(self._problems(manifest, files, last), MOST_NAMED))
        checked = manifest.checked.last if manifest.checked else 0
        if not problems and after <= checked:
            self._note(held, max(last, checked))
        whole, events = last == manifest.reached.last, sum(each.events for each in files)
        return Verified(tenant, files[0].first if files else last + 1, last, whole, events, len(files), problems)

    def _note(self, held: Held, last: int) -> None:
        checked = CheckedTo(last, Instant(self._shelf.clock()))
        with contextlib.suppress(Replaced):  # the archive has moved on: the next one notes it
            self._shelf.replace(held, msgspec.structs.replace(held.manifest, checked=checked))

    def _problems(self, manifest: Manifest, files: Sequence[ArchivedFile], last: int) -> Iterator[Problem]:
        before, roots = manifest.removed, dict(self._committed(manifest.tenant)) if files else {}
        for each in manifest.files:
            if each in files:
                yield from self._of_file(manifest.tenant, each, before, roots)
            before = each.until
        if last == manifest.reached.last:
            yield from self._of_end(manifest)

    def _of_end(self, manifest: Manifest) -> Iterator[Problem]:
        end = manifest.reached
        head = self._history.head(manifest.tenant)[0]
        if end.last > head:
            yield Problem(_MANIFEST, head + 1, end.last, "the log does not have these events")

    def _of_file(
        self, tenant: TenantId, file: ArchivedFile, before: Reached, roots: Mapping[int, bytes]
    ) -> Iterator[Problem]:
        try:
            with self._shelf.opened(tenant, file) as path:
                as_written = digest_of(path) == file.sha256
                rows = _Rows(self._shelf, self._history, tenant, file, before, roots)
                found = _contents(rows, file, path)
        except FileLost as problem:
            yield Problem(file.name, file.first, file.last, problem.what)
            return
        if not as_written and not found:
            what = "a byte between the events is not the one that was written"
            yield Problem(file.name, file.first, file.last, what)
        yield from found


def _contents(rows: "_Rows", file: ArchivedFile, path: Path) -> list[Problem]:
    """What is wrong with the rows; if a page is damaged, what can be read of it nevertheless says where."""
    found: list[Problem] = []
    try:
        _read(rows, path, found, checked=True)
    except _UNREADABLE:
        damaged = Problem(file.name, rows.reached + 1, file.last, "a page that holds these events is damaged")
    else:
        return found
    seen = len(found)
    found.clear()
    with contextlib.suppress(*_UNREADABLE):
        _read(rows, path, found, checked=False)
    return found if len(found) > seen else [*found, damaged]


def _read(rows: "_Rows", path: Path, found: list[Problem], *, checked: bool) -> None:
    """Raises one of _UNREADABLE after what was found until then."""
    with closing(batches_of(path, checked=checked)) as batches:
        for each in islice(rows.problems(batches), MOST_NAMED):
            found.append(each)


def _wanted(manifest: Manifest, after: int, most: int | None) -> list[ArchivedFile]:
    files: list[ArchivedFile] = []
    for file in manifest.files:
        if file.last <= after:
            continue
        if files and most is not None and file.last - files[0].first >= most:
            break
        files.append(file)
    return files


class _Rows:
    """The rows of one file against the log, the manifest, and the checkpoints."""

    def __init__(
        self,
        shelf: Shelf,
        history: History,
        tenant: TenantId,
        file: ArchivedFile,
        before: Reached,
        roots: Mapping[int, bytes],
    ) -> None:
        self._shelf = shelf
        self._history = history
        self._tenant = tenant
        self._file = file
        self._before = before
        self._roots = roots
        self.reached = before.last
        """The last position that was read."""

    def problems(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Problem]:
        """Raises what reading them raises."""
        tree, position, last_at = self._before.tree(), self._before.last, 0
        for batch in batches:
            self._shelf.go_on()
            rows = list(enumerate(batch.column(STORED).to_pylist(), position + 1))
            yield from self._not_the_log(rows)
            yield from self._not_the_columns(rows, batch)
            for at, stored in rows:
                tree.append(leaf_hash(stored))
                if at in self._roots and tree.root() != self._roots[at]:
                    yield self._problem(at, "the tree up to here is not the one that a checkpoint committed to")
            position += len(rows)
            self.reached = position
            last_at = batch.column("recorded_at").cast(pa.int64())[-1].as_py() if rows else last_at
        yield from self._not_the_manifest(tree, last_at)

    def _problem(self, position: int, what: str) -> Problem:
        return Problem(self._file.name, position, position, what)

    def _not_the_log(self, rows: Sequence[tuple[int, bytes]]) -> Iterator[Problem]:
        if not rows:
            return
        kept = self._history.stored(self._tenant, rows[0][0] - 1, len(rows))
        if list(kept) == rows:
            return
        log = {position: stored for position, stored in kept if position <= rows[-1][0]}
        for position, stored in rows:
            if position in log and log[position] != stored:
                yield self._problem(position, "the event is not the one in the log")

    def _not_the_columns(self, rows: Sequence[tuple[int, bytes]], batch: pa.RecordBatch) -> Iterator[Problem]:
        """What is searched must say what the bytes say."""
        try:
            wanted = batch_of(self._tenant, rows)
        except _NO_EVENT:
            yield self._problem(rows[0][0], "the bytes of an event from here on are none of an event")
            return
        if wanted.column("position").to_pylist() != [position for position, _ in rows]:
            places = zip(wanted.column("position").to_pylist(), rows, strict=True)
            position = next(place for found, (place, _) in places if found != place)
            yield self._problem(position, "another event stands here")
        elif not wanted.equals(batch):
            for name in ARCHIVED.names:
                ours, theirs = wanted.column(name).to_pylist(), batch.column(name).to_pylist()
                for (position, _), mine, found in zip(rows, ours, theirs, strict=True):
                    if mine != found:
                        yield self._problem(position, f"{name} is not what the event says")

    def _not_the_manifest(self, tree: Frontier, last_at: int) -> Iterator[Problem]:
        until = self._file.until
        if tree.size != until.last:
            what = f"the file holds events up to {tree.size} and not up to {until.last}"
            yield Problem(self._file.name, min(tree.size, until.last) + 1, max(tree.size, until.last), what)
        elif tree.pack().hex() != until.frontier:
            what = "the events do not lead to the tree that the manifest says"
            yield Problem(self._file.name, self._file.first, until.last, what)
        elif last_at != until.last_at:
            yield self._problem(until.last, "the manifest says another time")
