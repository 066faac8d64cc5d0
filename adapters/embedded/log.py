"""The embedded log: the index is the log, and the tail file remembers outside it how far it went."""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from adapters.embedded.tail import TailFile, check_tail
from adapters.index.batch import Batch
from adapters.index.database import Database
from adapters.index.log import end_of_log
from adapters.index.ring import RingChange
from adapters.index.sequencer import PartitionSequencer
from adapters.index.wal import WalMover
from adapters.keyring import Keyring


class EmbeddedLog:
    """See adapters.index.log.CommitLog. Raises LogShorter if the log is not what the tail file remembers."""

    epoch: Final = 1
    """It has one owner; the number is in every commit, because Kafka's has many."""

    def __init__(self, database: Database, tail: TailFile | None, clock: Callable[[], int]) -> None:
        self._database = database
        self._tail = tail
        self._clock = clock
        self._wal = WalMover(database)
        self.trouble: str | None = None
        if tail:
            check_tail(database.writer, end_of_log(database.writer), tail)

    can_be_lost: Final = False

    def confirm(self) -> None:
        return

    def commit(self, batch: Batch) -> None:
        """The log first, then the note of it; only then may anybody be answered."""
        self._database.commit(batch.written())
        if batch.ring.destroyed:
            self._database.has_slack = True
        if self._tail:
            try:
                self._tail.note(batch.last, self._clock(), batch.chain)
            except OSError as problem:
                self.trouble = (
                    f"the tail file can't be written ({problem.strerror}): mend that and restart the node; "
                    "the last commands may have been recorded, so look before sending them again"
                )
                raise
        self._wal.wrote(len(batch.rows))

    def change_ring(self, change: RingChange) -> None:
        self._database.commit(list(change.rows()))
        self._database.has_slack = True

    def lost(self, problem: BaseException) -> str:
        full = isinstance(problem, sqlite3.OperationalError) and "full" in str(problem)
        return "the disk is full: make room, and send the command again" if full else "the commit failed; try again"

    def close(self) -> None:
        self._wal.stop()


def embedded_sequencer(
    database: Database, keyring: Keyring, tail: TailFile | None, clock: Callable[[], int], *others: Any, **options: Any
) -> PartitionSequencer:
    """The writer of an embedded log; raises LogShorter."""
    return PartitionSequencer(database, keyring, EmbeddedLog(database, tail, clock), clock, *others, **options)
