"""An audit of a whole history by its bytes alone: it finds what single proofs can't, such as counts that were made up.

Whoever has all stored events of a tenant (from an export, an archive, or its tiles) computes the tree, the numbers of
every tag and the tag counts again, and compares them with what the tenant's head committed to.
"""

from domain.evidence.heads import Head
from domain.evidence.stamps import Stamp, StampWrong, read_stamp
from domain.evidence.tag_counts import TagCount, TagCounts, tag_hash
from domain.evidence.tree import Frontier, leaf_hash


class AuditWrong(Exception):
    """A history is not what was committed to, or is not numbered as it must be; the message says at which position."""


class Audit:
    """Takes a tenant's events in order, from the first; memory grows with the number of its tags."""

    def __init__(self) -> None:
        self._tree = Frontier()
        self._counts: dict[str, tuple[int, int]] = {}
        self._instant = 0

    @property
    def size(self) -> int:
        """How many events were added."""
        return self._tree.size

    def add(self, stored: bytes) -> Stamp:
        """The next event. Raises AuditWrong if it can't be the next one; then the audit is over."""
        position = self._tree.size + 1
        try:
            stamp = read_stamp(stored)
        except StampWrong as problem:
            raise AuditWrong(f"position {position}: {problem}") from None
        if stamp.position != position:
            raise AuditWrong(f"position {position}: the event says that it is at {stamp.position}")
        if stamp.instant < self._instant:
            raise AuditWrong(f"position {position}: the event was recorded before the one before it")
        for tag, nth in stamp.nth.items():
            before, _ = self._counts.get(tag, (0, 0))
            if nth != before + 1:
                raise AuditWrong(f"position {position}: it is number {nth} with {tag}, after number {before}")
            self._counts[tag] = nth, position
        self._instant = stamp.instant
        self._tree.append(leaf_hash(stored))
        return stamp

    def check(self, head: Head) -> None:
        """That a head of this size commits to these events, and to their tags. Raises AuditWrong."""
        if head.size != self._tree.size:
            raise AuditWrong(f"the head is of {head.size} events, and {self._tree.size} are known")
        if head.root != self._tree.root():
            raise AuditWrong(f"the first {head.size} events are not those that the head commits to")
        counts = TagCounts(TagCount(tag_hash(tag), total, last) for tag, (total, last) in self._counts.items())
        if head.counts != counts.root():
            raise AuditWrong(f"the head commits to other counts of tags than the first {head.size} events have")
