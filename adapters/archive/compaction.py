"""Compaction: small files of a month become larger ones; what was in them stays in the order it was."""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.archive.intake import MOST_IN_FILE
from adapters.archive.manifest import ArchivedFile, Manifest
from adapters.archive.parquet import FileWriter, batches_of
from adapters.archive.shelf import Shelf
from domain.evidence.tree import leaf_hash
from domain.ids import TenantId

FAN: Final = 8
"""So many neighbours of one size are merged: each event is written again once for each power of it."""


class WrongTree(Exception):
    """What a file holds does not lead to the tree that the manifest says; the message says which."""


class Compaction:
    """Compacts one tenant at a time; blocking, so on a thread."""

    def __init__(self, shelf: Shelf, most_in_file: int = MOST_IN_FILE) -> None:
        self._shelf = shelf
        self._most = most_in_file

    def compact(self, tenant: TenantId) -> tuple[Manifest, int]:
        """Until there is nothing worth it; the manifest then, and how many files were merged.

        Raises FileLost or WrongTree, and then what is there is left as it is; StorageError, and Replaced.
        """
        held, merged = self._shelf.read(tenant), 0
        while group := mergeable(held.manifest.files, self._most):
            file = self._merged(held.manifest, group)
            files = held.manifest.files
            place = files.index(group[0])
            held = self._shelf.replace(
                held,
                msgspec.structs.replace(
                    held.manifest,
                    files=(*files[:place], file, *files[place + len(group) :]),
                    leaving=(*held.manifest.leaving, *self._shelf.leave(*group)),
                ),
            )
            merged += len(group)
        return held.manifest, merged

    def _merged(self, manifest: Manifest, group: Sequence[ArchivedFile]) -> ArchivedFile:
        tenant, before = manifest.tenant, manifest.removed
        for each in manifest.files:
            if each is group[0]:
                break
            before = each.until
        tree = before.tree()
        with self._shelf.unfinished() as folder:
            path = folder / "merged.parquet"
            writer = FileWriter(path, sum(each.events for each in group))
            for file in group:
                with self._shelf.as_written(tenant, file) as part:
                    for batch in batches_of(part):
                        self._shelf.go_on()
                        for stored in batch.column("stored").to_pylist():
                            tree.append(leaf_hash(stored))
                        writer.write(batch)
                if (tree.size, tree.pack().hex()) != (file.last, file.until.frontier):
                    raise WrongTree(f"{file.name} does not hold the events that the manifest says")
            writer.close()
            return self._shelf.put(tenant, path, group[0].first, group[0].first_at, group[-1].until)


def mergeable(files: Sequence[ArchivedFile], most: int) -> Sequence[ArchivedFile]:
    """The next neighbours to merge: many of a size in one month, or all of a month that is over."""
    months: dict[str, list[ArchivedFile]] = {}
    for file in files:
        months.setdefault(file.month, []).append(file)
    for number, of_month in enumerate(months.values()):
        over = number < len(months) - 1
        for group in _fitting(of_month, most):
            if over and len(group) > 1:
                return group
            if found := _of_a_size(group):
                return found
    return ()


def _fitting(files: Sequence[ArchivedFile], most: int) -> list[list[ArchivedFile]]:
    """Neighbours that together are no larger than a file may be."""
    groups: list[list[ArchivedFile]] = []
    events = 0
    for file in files:
        if groups and events + file.events <= most:
            groups[-1].append(file)
            events += file.events
        else:
            groups.append([file])
            events = file.events
    return groups


def _of_a_size(files: Sequence[ArchivedFile]) -> Sequence[ArchivedFile]:
    """The newest neighbours that are all smaller than some power of FAN and as many."""
    largest = 1
    while largest <= max(file.events for file in files):
        largest *= FAN
        start = len(files)
        while start and files[start - 1].events < largest:
            start -= 1
        if len(files) - start >= FAN:
            return files[start:]
    return ()
