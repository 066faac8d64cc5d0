"""What a partition's records must be: whole commits, each of the owner of its time, numbered without a gap.

Client libraries have torn transactions and brokers have let zombies in; here that is seen before anything is read.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from adapters.kafka.client import Received
from adapters.kafka.control import NotControl, TakeOver, decode_takeover, is_control
from adapters.kafka.headers import CommitMark, mark_of
from adapters.kafka.ring_records import number_of
from domain.evidence.tree import leaf_hash


class LogUnlike(Exception):
    """The partition is not what owners write, or not the log that the index was made of; the message says where."""


class CommitRead(NamedTuple):
    """A whole commit, verified."""

    id: bytes
    epoch: int
    first: int
    """The sequence of its first event."""
    stored: Sequence[bytes]
    tenants: Sequence[str]
    leaves: Sequence[bytes]
    chain: bytes
    ring: int
    """The number of the change of the keyring that must have been read; 0 for none."""


class Verifier:
    """Follows one partition from where an index ends. Raises LogUnlike; then nothing more may be read."""

    def __init__(self, name: str, epoch: int, sequence: int, chain: bytes) -> None:
        self._name = name
        self.epoch = epoch
        self.sequence = sequence
        self.chain = chain
        self._pending: list[tuple[CommitMark, str, bytes, int]] = []

    @property
    def is_between_commits(self) -> bool:
        """Whether no commit is half read."""
        return not self._pending

    def read(self, records: Sequence[Received]) -> Iterator[tuple[int, CommitRead | TakeOver]]:
        """What these records complete, in their order, and the offset that completes it."""
        for record in records:
            value = record.value
            if value is None or len(value) < 5:
                raise self._unlike(record, "holds nothing that a node writes")
            if is_control(value):
                yield record.offset, self._taken_over(record, value)
            elif (whole := self._event(record, value)) is not None:
                yield record.offset, whole

    def _taken_over(self, record: Received, value: bytes) -> TakeOver:
        try:
            taken = decode_takeover(value)
        except NotControl as problem:
            raise self._unlike(record, str(problem)) from problem
        if self._pending:
            raise self._unlike(record, f"a commit before it is torn: {self._missing()}")
        if taken.epoch != self.epoch + 1:
            raise self._unlike(record, f"owner {taken.epoch} follows owner {self.epoch}")
        if (taken.sequence, taken.chain) != (self.sequence, self.chain):
            raise self._unlike(record, f"its owner had read {taken.sequence} events, there are {self.sequence}")
        self.epoch = taken.epoch
        return taken

    def _event(self, record: Received, value: bytes) -> CommitRead | None:
        mark, pending = mark_of(record.headers), self._pending
        if mark is None or record.key is None:
            raise self._unlike(record, "an event without the mark of a commit: who else may write there?")
        if mark.epoch != self.epoch:
            raise self._unlike(record, f"an event of owner {mark.epoch}, the owner was {self.epoch}")
        if mark.sequence != self.sequence + len(pending) + 1:
            raise self._unlike(record, f"event {mark.sequence} follows event {self.sequence + len(pending)}")
        if mark.place != len(pending) or (pending and (mark.id, mark.count) != (pending[0][0].id, pending[0][0].count)):
            raise self._unlike(record, f"a commit before it is torn: {self._missing() if pending else 'its beginning'}")
        pending.append((mark, record.key.decode("utf-8", "replace"), value, record.offset))
        if len(pending) < mark.count:
            return None
        self._pending = []
        stored = [each[2] for each in pending]
        leaves = [leaf_hash(each) for each in stored]
        first = self.sequence + 1
        self.chain = hashlib.sha256(b"".join((self.chain, *leaves))).digest()
        self.sequence += len(stored)
        ring = number_of(record.headers) or 0
        tenants = [each[1] for each in pending]
        return CommitRead(mark.id, mark.epoch, first, stored, tenants, leaves, self.chain, ring)

    def _missing(self) -> str:
        return f"{len(self._pending)} of {self._pending[0][0].count} events are there"

    def _unlike(self, record: Received, why: str) -> LogUnlike:
        return LogUnlike(
            f"{self._name} is not a ledger that was written as it must be, at offset {record.offset}: {why}. "
            "Nothing after it is read; stop the nodes, and compare the topic with an archive or another node's index"
        )
