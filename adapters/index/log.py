"""Where a batch becomes durable: what a writer asks of its log, and the end of the log as the index has it."""

import sqlite3
from typing import NamedTuple, Protocol

from adapters.index.batch import Batch
from adapters.index.ring import RingChange
from domain.event import Instant


class LogShorter(Exception):
    """The log lacks events that were acknowledged, or holds others; the message says what to do."""


class CommitLog(Protocol):
    """A log with one writer, whose commits are in the index too once they are durable."""

    @property
    def epoch(self) -> int:
        """The how-manieth owner of the log its writer is."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written any more, if so."""
        ...

    @property
    def can_be_lost(self) -> bool:
        """Whether another may have become its writer unnoticed: then also what changes nothing has to be confirmed."""
        ...

    def confirm(self) -> None:
        """On the commit thread: raises unless nobody else has written since the last commit."""
        ...

    def commit(self, batch: Batch) -> None:
        """On the commit thread: durable, and in the index, when it returns."""
        ...

    def change_ring(self, change: RingChange) -> None:
        """On the commit thread: what no event needs."""
        ...

    def lost(self, problem: BaseException) -> str | None:
        """What to tell those whose batch failed and left no trace; None if nobody knows whether it did."""
        ...

    def close(self) -> None: ...


class LogEnd(NamedTuple):
    """The last sequence, the hash of all leaves up to it, and when the last event was stamped."""

    sequence: int
    chain: bytes
    instant: Instant


def end_of_log(connection: sqlite3.Connection) -> LogEnd:
    """Raises LogShorter if the index contradicts itself."""
    commit = connection.execute("SELECT first + count - 1, chain FROM commits ORDER BY first DESC LIMIT 1").fetchone()
    event = connection.execute("SELECT sequence, instant FROM events ORDER BY sequence DESC LIMIT 1").fetchone()
    sequence, instant = event or (0, 0)
    last, chain = commit or (0, bytes(32))
    if sequence != last:
        raise LogShorter("the log's events and its commits disagree: restore the newest backup")
    return LogEnd(last, chain, Instant(instant))
