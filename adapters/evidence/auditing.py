"""Auditing what is kept: histories against all heads committed to, and the deployment's log against itself."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from adapters.evidence.buckets import CountsWrong
from adapters.evidence.counts import Counts, HistoryWrong, Stored
from adapters.evidence.log import LogBook, Placed
from adapters.evidence.making import FrontierOf
from domain.evidence.checkpoints import CheckpointWrong, parse_checkpoint
from domain.evidence.notes import NoteWrong, PublicKey, Verifies, open_note
from domain.evidence.tree import Frontier, leaf_hash

_READ: Final = 1_000


class LogWrong(Exception):
    """The deployment's log is not what it must be; the message says at which leaf or checkpoint."""


def check_log(book: LogBook, keys: Sequence[PublicKey], verifies: Verifies) -> int:
    """That every leaf is its head's, every checkpoint's root is that of its leaves, and signed; how many leaves.

    Raises LogWrong.
    """
    try:
        return _check_log(book, keys, verifies)
    except sqlite3.DatabaseError as problem:
        raise LogWrong(
            "the file of the deployment's log can't be read to its end: restore the newest backup"
        ) from problem


def _check_log(book: LogBook, keys: Sequence[PublicKey], verifies: Verifies) -> int:
    frontier, number = Frontier(), 0
    sizes: dict[str, int] = {}
    while found := book.checkpoints(number, 1):
        (kept,) = found
        if kept.number != number + 1:
            raise LogWrong(f"checkpoint {number + 1} is missing")
        number = kept.number
        while frontier.size < kept.size:
            page = book.placed(frontier.size, min(_READ, kept.size - frontier.size))
            if not page:
                raise LogWrong(f"leaf {frontier.size} of checkpoint {number} is missing")
            for placed, entry in page:
                _check_leaf(placed, entry, frontier.size, sizes)
                frontier.append(leaf_hash(entry))
        if frontier.root() != kept.root:
            raise LogWrong(f"checkpoint {number} has another root than its {kept.size} leaves")
        try:
            opened = open_note(kept.note.encode("utf-8", "replace"), keys, verifies)
            told = parse_checkpoint(opened.text)
        except (NoteWrong, CheckpointWrong) as problem:
            raise LogWrong(f"checkpoint {number} is not signed as it must be: {problem}") from problem
        if (told.size, told.root) != (kept.size, kept.root):
            raise LogWrong(f"checkpoint {number} was signed for another size or root")
    if book.placed(frontier.size, 1):
        raise LogWrong(f"leaf {frontier.size} is in no checkpoint")
    return frontier.size


def _check_leaf(placed: Placed, entry: bytes, expected: int, sizes: dict[str, int]) -> None:
    head = placed.head
    if placed.leaf != expected:
        raise LogWrong(f"leaf {expected} is missing")
    if head.commitment() != entry:
        raise LogWrong(f"leaf {expected} is not the head of {head.tenant} at position {head.size} that is kept with it")
    if head.size <= sizes.get(head.tenant, 0):
        raise LogWrong(f"leaf {expected} has {head.tenant} at position {head.size} after {sizes[head.tenant]}")
    sizes[head.tenant] = head.size


def check_tenant(
    tenant: str, stored: Stored, book: LogBook, counts: Counts, frontier_of: FrontierOf, *, may_lag: bool = False
) -> str | None:
    """What is wrong with a tenant's history, by every head of it and by the hashes kept beside it; None if nothing.

    `counts` are those of the node, `frontier_of` says what its index has of the tenant's tree. `may_lag`: the index may
    lack what was recorded last. Names the first position that is not what it was, if the hashes kept say which.
    """
    heads = list(book.heads(tenant))
    size, frontier = frontier_of(tenant)
    if may_lag:
        heads = [each for each in heads if each.head.size <= size]
    problem = _check_events(_History(tenant, stored, counts), heads, size, frontier)
    if problem is not None or not heads:
        return problem
    scratch, last = Counts(None, stored), heads[-1].head
    try:
        counted = scratch.advance(tenant, last.size)
    except (HistoryWrong, CountsWrong) as wrong:
        return str(wrong)
    finally:
        scratch.close()
    if counted.counts != last.counts:
        return f"the tags of the events up to position {last.size} are not those that were counted for its checkpoint"
    return None


def _check_events(history: "_History", heads: Sequence[Placed], size: int, frontier: bytes) -> str | None:
    for placed in heads:
        since, head = history.tree.size, placed.head
        if problem := history.read_to(head.size):
            return problem
        if history.tree.root() != head.root:
            return f"{history.where(since)} not what it was when leaf {placed.leaf} committed to {head.size} events"
    since = history.tree.size
    if size < since:
        return f"the history ends at position {size}, and a checkpoint commits to {since} events"
    if problem := history.read_to(size):
        return problem
    if history.tree.pack() != frontier:
        return f"{history.where(since)} not what it was when it was recorded"
    if history.changed is not None:
        return f"the hash kept of position {history.changed} is damaged: stop the node and delete counts.db"
    return None


class _History:
    """A tenant's events, read once, beside the hashes that were kept of them."""

    def __init__(self, tenant: str, stored: Stored, counts: Counts) -> None:
        self._tenant = tenant
        self._stored = stored
        self._kept = counts.leaves(tenant)
        self.tree = Frontier()
        self.changed: int | None = None
        """The first position whose hash is not the one that was kept."""

    def read_to(self, size: int) -> str | None:
        """What is missing, if anything is."""
        while self.tree.size < size:
            page = self._stored(self._tenant, self.tree.size, min(_READ, size - self.tree.size))
            for position, each in page or ((0, b""),):
                if position != self.tree.size + 1:
                    return f"position {self.tree.size + 1} is missing"
                leaf = leaf_hash(each)
                if leaf != next(self._kept, leaf) and self.changed is None:
                    self.changed = position
                self.tree.append(leaf)
        return None

    def where(self, since: int) -> str:
        return f"an event after position {since} is" if self.changed is None else f"position {self.changed} is"
