"""The end of the log, and whether it is where the tail file remembers it."""

import sqlite3
from typing import NamedTuple

from adapters.embedded.tail import LogShorter, TailFile
from domain.event import Instant


class LogEnd(NamedTuple):
    """The last sequence, the hash of all leaves up to it, and when the last event was stamped."""

    sequence: int
    chain: bytes
    instant: Instant


def end_of_log(connection: sqlite3.Connection) -> LogEnd:
    """Raises LogShorter if the log contradicts itself."""
    commit = connection.execute("SELECT first + count - 1, chain FROM commits ORDER BY first DESC LIMIT 1").fetchone()
    event = connection.execute("SELECT sequence, instant FROM events ORDER BY sequence DESC LIMIT 1").fetchone()
    sequence, instant = event or (0, 0)
    last, chain = commit or (0, bytes(32))
    if sequence != last:
        raise LogShorter("the log's events and its commits disagree: restore the newest backup")
    return LogEnd(last, chain, Instant(instant))


def check_tail(connection: sqlite3.Connection, end: LogEnd, tail: TailFile) -> None:
    """What the tail file remembers must be in the log. The log may be one commit ahead: nobody was answered yet."""
    noted = tail.read()
    if noted is None:
        commits = connection.execute("SELECT 1 FROM commits LIMIT 2").fetchall()
        if len(commits) > 1:
            raise LogShorter(
                "the tail file beside the log is missing or damaged, so nothing says whether the log is whole: "
                "put it back, or restore the newest backup"
            )
        return
    row = connection.execute("SELECT chain FROM commits WHERE first + count - 1 = ?", (noted.sequence,)).fetchone()
    if row is None or row[0] != noted.chain:
        raise LogShorter(
            f"the log ends at {end.sequence} or differs, but {noted.sequence} events were acknowledged: "
            "an older copy or a truncated file was put in its place; restore the newest backup, "
            "or put the newest ledger files back"
        )
