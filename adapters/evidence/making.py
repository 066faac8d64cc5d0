"""Making a checkpoint: the heads of the tenants that changed, each compared with what was committed to before."""

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from adapters.evidence.buckets import CountsWrong
from adapters.evidence.counts import Counted, Counts, HistoryWrong
from adapters.evidence.log import DeploymentLog, Kept, MakeNote
from domain.evidence.heads import BLIND_BYTES, Head
from domain.evidence.tree import Frontier

FrontierOf = Callable[[str], tuple[int, bytes]]
"""A tenant's size and packed frontier, as its log keeps them at this moment; (0, b"") for no history."""


class LogReplaced(Exception):
    """The deployment's log is older than what this node has put into it: an older copy was put in its place."""


class Made(NamedTuple):
    """A checkpoint, or None if nothing had changed; and what is wrong with tenants that were left out."""

    checkpoint: Kept | None
    sizes: dict[str, int]
    """The tenants that it commits to anew."""
    wrong: dict[str, str]


class Maker:
    """Runs on a thread; one at a time."""

    def __init__(self, log: DeploymentLog, counts: Counts, frontier_of: FrontierOf) -> None:
        self._log = log
        self._counts = counts
        self._frontier_of = frontier_of

    def make(self, changed: Iterable[str], make_note: MakeNote, instant: int) -> Made:
        """Of the tenants that may have changed. Raises NotNext, NotReady or LogReplaced; then nothing was written."""
        self._log.prepare()
        heads: list[Head] = []
        wrong: dict[str, str] = {}
        with self._counts.changing():
            for tenant in changed:
                try:
                    head = self._head(tenant)
                except HistoryWrong as problem:
                    wrong[tenant] = str(problem)
                    continue
                if head is not None:
                    heads.append(head)
            kept = self._log.append(heads, make_note, instant) if heads else None
        return Made(kept, {each.tenant: each.size for each in heads}, wrong)

    def _head(self, tenant: str) -> Head | None:
        """None if nothing has come. Raises HistoryWrong or LogReplaced."""
        placed = self._log.book.head(tenant)
        before = None if placed is None else placed.head
        if self._counts.position(tenant) > (0 if before is None else before.size):
            raise LogReplaced
        size, frontier = self._frontier_of(tenant)
        if size <= (0 if before is None else before.size):
            return None
        try:
            counted = self._counted(tenant, before, size)
        except (CountsWrong, HistoryWrong):  # of the kept counts or of the history? Counting anew tells
            self._counts.forget(tenant)
            counted = self._counted(tenant, before, size)
        if counted.root != Frontier.unpack(size, frontier).root():
            since = 0 if before is None else before.size
            raise HistoryWrong(f"the events after position {since} are not those that the tree was made of")
        return Head(tenant, size, counted.root, counted.counts, os.urandom(BLIND_BYTES))

    def _counted(self, tenant: str, before: Head | None, size: int) -> Counted:
        if before is not None:
            counted = self._counts.advance(tenant, before.size)
            if counted.root != before.root:
                raise HistoryWrong(f"the events up to position {before.size} are not those that were committed to")
            if counted.counts != before.counts:
                raise CountsWrong("the tag counts are not those that were committed to")
        return self._counts.advance(tenant, size)
