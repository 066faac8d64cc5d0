"""The evidence in a log: that its events are those that were committed, in their order, by every hash it keeps."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from adapters.index.database import Database
from adapters.index.log import LogEnd, LogShorter, end_of_log
from domain.evidence.tree import Frontier, leaf_hash
from domain.ids import TenantId

Progress = Callable[[int, int], None]
"""Is told how many events of how many are done."""

_EVERY: Final = 5_000


class LogBroken(Exception):
    """The log is not what its hashes say; the message says where."""


class Tree(NamedTuple):
    """A tenant's history as its tree proves it."""

    size: int
    root: bytes
    problem: str | None
    """Where the stored events are not those the tree was made of."""


class Checked(NamedTuple):
    """How far the chain was followed: a sequence at which a commit ends, and the hash up to there."""

    sequence: int
    chain: bytes


BEGINNING: Final = Checked(0, bytes(32))


class LogEvidence:
    """Of a node's log, beside its writer: each question is answered from one read transaction."""

    failures: Final = (LogBroken, LogShorter)
    """What `check` raises."""

    def __init__(self, database: Database, remembered: Callable[[sqlite3.Connection, LogEnd], None] | None) -> None:
        """`remembered` compares the end with what is remembered outside the log, and raises LogShorter."""
        self._database = database
        self._remembered = remembered

    def tree(self, tenant: TenantId) -> Tree:
        """The tenant's tree, computed again from the stored bytes."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT number, position, frontier FROM tenants WHERE tenant = ?", (tenant,)
            ).fetchone()
            return Tree(0, Frontier().root(), None) if row is None else _tree(connection, *row)

    def frontier(self, tenant: str) -> tuple[int, bytes]:
        """How many events the tenant has now, and its tree's frontier over them, packed; (0, b"") if it has none."""
        row = self._database.one("SELECT position, frontier FROM tenants WHERE tenant = ?", (tenant,))
        return (0, b"") if row is None else (row[0], row[1])

    def parts(self) -> "Sequence[LogEvidence]":
        """What has a chain of its own: here, all of it."""
        return (self,)

    def check_on(self, since: Checked | None, events: int) -> Checked:
        """Follow the chain on from there (None: its beginning), over so many events or a few more; the same at its end.

        Raises LogBroken.
        """
        with self._database.reading() as connection:
            return follow_chain(connection, since or BEGINNING, events)

    def check(self, progress: Progress = lambda done, of: None) -> LogEnd:
        """The chain over the whole log, computed again, against what commits say and what is remembered.

        Raises one of `failures`.
        """
        with closing(self._database.open(read_only=True)) as connection:
            connection.execute("BEGIN")
            try:
                end = end_of_log(connection)
                check_commits(connection, end.sequence, progress)
            except sqlite3.DatabaseError as problem:
                raise LogBroken("the file can't be read to its end: restore the newest backup") from problem
        if self._remembered is not None:
            with closing(self._database.open(read_only=True)) as connection:
                self._remembered(connection, end)
        return end


def check_commits(connection: sqlite3.Connection, last: int, progress: Progress) -> None:
    """That the chain of hashes is the one that follows from the events, without a gap. Raises LogBroken."""
    follow_chain(connection, BEGINNING, None, progress, last)


def follow_chain(
    connection: sqlite3.Connection,
    since: Checked,
    most: int | None,
    progress: Progress = lambda done, of: None,
    last: int = 0,
) -> Checked:
    """Commit after commit until `most` events are done. Raises LogBroken."""
    events = connection.execute(
        "SELECT sequence, CAST(stored AS BLOB) FROM events WHERE sequence > ? ORDER BY sequence", (since.sequence,)
    )
    commits = connection.execute(
        "SELECT first, count, chain FROM commits WHERE first > ? ORDER BY first", (since.sequence,)
    )
    chain, done = since.chain, since.sequence
    with closing(events), closing(commits):
        for first, count, kept in commits:
            if most is not None and done - since.sequence >= most:
                break
            leaves = list(_leaves(events, first, count))
            chain = hashlib.sha256(b"".join((chain, *leaves))).digest()
            if first != done + 1 or len(leaves) != count or chain != kept:
                raise LogBroken(f"the events after the {done}th are not those that were committed")
            if (done + count) // _EVERY > done // _EVERY:
                progress(done + count, last)
            done += count
    return Checked(done, chain)


def check_trees(connection: sqlite3.Connection) -> None:
    """That each tenant's positions are dense, and its tree follows from its events. Raises LogBroken."""
    for number, position, frontier in connection.execute("SELECT number, position, frontier FROM tenants").fetchall():
        tree = _tree(connection, number, position, frontier)
        if tree.problem is not None:
            raise LogBroken(tree.problem)


def _tree(connection: sqlite3.Connection, number: int, position: int, frontier: bytes) -> Tree:
    tree = Frontier()
    rows = connection.execute(
        "SELECT position, CAST(stored AS BLOB) FROM events WHERE tenant = ? AND position <= ? ORDER BY position",
        (number, position),
    )
    for place, stored in rows:
        if place != tree.size + 1:
            return Tree(tree.size, tree.root(), f"position {tree.size + 1} is missing")
        tree.append(leaf_hash(stored))
    if (tree.size, tree.pack()) != (position, frontier):
        return Tree(tree.size, tree.root(), "the stored events are not those that the tree was made of")
    return Tree(tree.size, tree.root(), None)


def _leaves(events: sqlite3.Cursor, first: int, count: int) -> Iterator[bytes]:
    """Of the next `count` events, as long as they are the ones expected."""
    for place in range(first, first + count):
        sequence, stored = events.fetchone() or (None, b"")
        if sequence != place:
            return
        yield leaf_hash(stored)
