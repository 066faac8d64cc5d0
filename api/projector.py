"""The projector's process: `python -m api.projector LEDGER` follows the log; with `rebuild`, it makes the views anew.

LEDGER is the embedded log, or a folder with an index for each partition. Its parent is adapters.projector_process:
standard input says that the log has grown, and which partitions of a folder are to be projected, and by closing that it
is time to end; standard output says how far it has come.
"""

import gc
import os
import select
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import projections
from adapters.index.history import IndexHistory
from adapters.index.partitions import Partitions
from adapters.next_generation import NextGeneration
from adapters.postgres.generations import NotPrepared
from adapters.projector import Projector
from adapters.projector_process import POSTGRES, Told, encode_told
from domain.ids import TenantId
from projections.every import EVERY_VIEW
from replay.rebuild import RebuildDiffers, rebuild

OBJECTS_BETWEEN_COLLECTIONS: Final = 200_000
"""A batch makes many objects and no cycles: looking for some after every few hundred costs a tenth of the time."""


def tables() -> str:
    """The SQL of all views' tables."""
    files = sorted(Path(projections.__path__[0]).glob("*.sql"))
    return "\n".join(file.read_text() for file in files)


def tables_for(partitions: Partitions) -> str:
    """The same, told apart by the kind of log: the cursors of one say nothing of the other."""
    return tables() if partitions.is_embedded else tables() + "\n-- of a ledger in partitions\n"


class Abandoned(Exception):
    """The parent is gone, or wants no more."""


class Parent:
    """The process that started this one. See adapters.projector.Parent."""

    def __init__(self, partitions: Partitions) -> None:
        self._is_there = True
        self._unread = b""
        self._is_assigning = not partitions.is_embedded
        self.assigned = frozenset[int]() if self._is_assigning else frozenset({0})

    def wait(self, seconds: float) -> bool:
        """Until it says something, or for so many seconds; whether it is still there and wants us to go on."""
        if self._is_there and select.select([0], [], [], seconds)[0]:
            said = os.read(0, 65_536)
            self._is_there = bool(said)
            self.hear(said)
        return self._is_there

    def hear(self, said: bytes) -> None:
        """The last whole line counts; full stops besides lines have done their work by coming."""
        if not self._is_assigning:
            return
        *lines, self._unread = (self._unread + said).split(b"\n")
        self._unread = self._unread.lstrip(b".")
        for line in lines[-1:]:
            self.assigned = frozenset(map(int, filter(None, line.lstrip(b".").removeprefix(b"=").split(b","))))

    def tell(self, told: Told) -> None:
        line = encode_told(told) + b"\n"
        try:
            while line:
                line = line[os.write(1, line) :]
        except BrokenPipeError:
            self._is_there = False

    def ready(self) -> None:
        self.tell(Told())

    def advanced(self, partition: int, sequence: int, heads: Mapping[TenantId, int] | None) -> None:
        self.tell(Told(partition=partition, sequence=sequence, heads=None if heads is None else dict(heads)))

    def troubled(self, problem: str, partition: int | None = None) -> None:
        self.tell(Told(partition=partition, problem=problem))


def follow(partitions: Partitions, conninfo: str, parent: Parent) -> None:
    """Until the parent ends it."""
    Projector(partitions, conninfo, EVERY_VIEW, tables_for(partitions), parent).run()


def rebuild_views(partitions: Partitions, conninfo: str, parent: Parent) -> None:
    """Make the next generation, telling how far it is, and put it in place."""

    def wait(seconds: float) -> None:
        if not parent.wait(seconds):
            raise Abandoned

    def progress(step: str, done: int, total: int) -> None:
        parent.tell(Told(step=step, done=done, total=total))
        wait(0)

    with NextGeneration(partitions, conninfo, EVERY_VIEW, tables_for(partitions), wait) as generation:
        databases = [partitions.open(number) for number in partitions.numbers()]
        histories = [IndexHistory(database) for database in databases if database is not None]
        rebuild(generation, histories, EVERY_VIEW, progress)


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a whole terminal; the parent says when to end
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 50, 50)
    ledger, *rest = arguments
    partitions = Partitions(Path(ledger))
    parent = Parent(partitions)
    work = rebuild_views if rest == ["rebuild"] else follow
    try:
        work(partitions, os.environ[POSTGRES], parent)
    except (NotPrepared, RebuildDiffers) as problem:
        parent.troubled(str(problem))
        return 1
    except Exception as problem:
        # Where, and what kind, but not the message: it may quote what was read.
        parent.troubled(f"{type(problem).__name__} at {traceback.extract_tb(problem.__traceback__)[-1].name}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
