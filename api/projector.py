"""The projector's process: `python -m api.projector LEDGER` follows the log; with `rebuild`, it makes the views anew.

Its parent is adapters.projector_process: standard input says that the log has grown, and by closing that it is time to
end; standard output says how far it has come.
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
from adapters.index.database import Database
from adapters.index.history import IndexHistory
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


class Abandoned(Exception):
    """The parent is gone, or wants no more."""


class Parent:
    """The process that started this one."""

    def __init__(self) -> None:
        self._is_there = True

    def wait(self, seconds: float) -> bool:
        """Until it pokes, or for so many seconds; whether it is still there and wants us to go on."""
        if self._is_there and select.select([0], [], [], seconds)[0]:
            self._is_there = bool(os.read(0, 65_536))
        return self._is_there

    def tell(self, told: Told) -> None:
        line = encode_told(told) + b"\n"
        try:
            while line:
                line = line[os.write(1, line) :]
        except BrokenPipeError:
            self._is_there = False

    def advanced(self, sequence: int, heads: Mapping[TenantId, int] | None) -> None:
        self.tell(Told(sequence=sequence, heads=None if heads is None else dict(heads)))

    def troubled(self, problem: str) -> None:
        self.tell(Told(problem=problem))


def follow(database: Database, conninfo: str, parent: Parent) -> None:
    """Until the parent ends it."""
    Projector(
        database,
        conninfo,
        EVERY_VIEW,
        tables(),
        wait=parent.wait,
        advanced=parent.advanced,
        troubled=parent.troubled,
    ).run()


def rebuild_views(database: Database, conninfo: str, parent: Parent) -> None:
    """Make the next generation, telling how far it is, and put it in place."""

    def progress(step: str, done: int, total: int) -> None:
        parent.tell(Told(step=step, done=done, total=total))
        if not parent.wait(0):
            raise Abandoned

    with NextGeneration(database, conninfo, EVERY_VIEW, tables()) as generation:
        rebuild(generation, IndexHistory(database), EVERY_VIEW, progress)


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a whole terminal; the parent says when to end
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 50, 50)
    parent = Parent()
    ledger, *rest = arguments
    work = rebuild_views if rest == ["rebuild"] else follow
    try:
        work(Database(Path(ledger), read_only=True), os.environ[POSTGRES], parent)
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
