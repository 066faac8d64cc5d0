"""Partitions as owners must write them: whole commits, one owner at a time, numbered without a gap."""

import hashlib
from collections.abc import Sequence

from tests.torture.topic import RING, Found, Line, Raw, Taken, Undecodable
from tests.torture.verdict import Verdict

WRITTEN = "every record is one that owners write"
SEQUENCE = "a partition's events are numbered without a gap, each once"
WHOLE = "commits are whole"
EPOCHS = "each owner is the next after the one before"
FENCED = "nothing of an owner comes after another has taken over"
BARRIER = "whoever took over had read everything before"
KEYS = "the keys that an event needs are in the keyring"


class PartitionEnd:
    """How a partition reads from its begin; grows with its records."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.epoch = 0
        self.sequence = 0
        self.chain = bytes(32)
        self.takeovers = 0
        self._pending: list[Line] = []

    def read(self, found: Found, verdict: Verdict) -> None:
        match found:
            case Undecodable():
                verdict.must(False, WRITTEN, f"{self._at(found)}: {found.why}")
            case Taken():
                verdict.must(found.mark is not None, WRITTEN, f"{self._at(found)}: a takeover without a mark")
                self._taken(found, verdict)
            case Line():
                if verdict.must(found.mark is not None, WRITTEN, f"{self._at(found)}: an event without a mark"):
                    self._event(found, verdict)

    def end(self, verdict: Verdict) -> None:
        self._must_be_whole(verdict, f"the end of partition {self.partition}")

    def _taken(self, taken: Taken, verdict: Verdict) -> None:
        at = self._at(taken)
        self._must_be_whole(verdict, at)
        verdict.must(taken.epoch == self.epoch + 1, EPOCHS, f"{at}: owner {taken.epoch} after owner {self.epoch}")
        verdict.must(
            (taken.sequence, taken.chain) == (self.sequence, self.chain),
            BARRIER,
            f"{at}: owner {taken.epoch} had read {taken.sequence} events, there are {self.sequence}, or other ones",
        )
        self.epoch = max(self.epoch, taken.epoch)
        self.takeovers += 1

    def _event(self, line: Line, verdict: Verdict) -> None:
        mark, at = line.mark, self._at(line)
        assert mark is not None
        if not verdict.must(mark.epoch >= self.epoch, FENCED, f"{at}: of owner {mark.epoch}, after owner {self.epoch}"):
            return
        verdict.must(mark.epoch == self.epoch, EPOCHS, f"{at}: owner {mark.epoch} never took over")
        expected = self.sequence + len(self._pending) + 1
        if not verdict.must(mark.sequence == expected, SEQUENCE, f"{at}: event {mark.sequence} instead of {expected}"):
            self._pending, self.sequence = [], mark.sequence - 1
        if mark.place != len(self._pending) or (self._pending and mark.id != _id_of(self._pending[0])):
            verdict.must(False, WHOLE, f"{at}: place {mark.place} of a commit after {len(self._pending)} of its events")
            self.sequence += len(self._pending)
            self._pending = []
        self._pending.append(line)
        if len(self._pending) >= mark.of:
            self._commit(verdict)

    def _commit(self, verdict: Verdict) -> None:
        verdict.see(WHOLE)
        leaves = [hashlib.sha256(b"\0" + each.stored).digest() for each in self._pending]
        self.chain = hashlib.sha256(b"".join((self.chain, *leaves))).digest()
        self.sequence += len(self._pending)
        self._pending = []

    def _must_be_whole(self, verdict: Verdict, at: str) -> None:
        if self._pending:
            verdict.must(False, WHOLE, f"{at}: a commit before it has only {len(self._pending)} of its events")
            self.sequence += len(self._pending)
            self._pending = []

    def _at(self, found: Found) -> str:
        return f"partition {self.partition}, offset {found.offset}"


def _id_of(line: Line) -> bytes:
    return line.mark.id if line.mark else b""


def check_partitions(found: Sequence[Found], partitions: int, verdict: Verdict) -> list[PartitionEnd]:
    """Everything in offset order; answers how each partition ends."""
    ends = [PartitionEnd(number) for number in range(partitions)]
    for each in found:
        ends[each.partition].read(each, verdict)
    for end in ends:
        end.end(verdict)
    return ends


def check_keyring(lines: Sequence[Line], ring: Sequence[Raw], verdict: Verdict) -> None:
    """Keys come in the commit of the first event that needs them, though in another topic."""
    keys = {(each.partition, (each.key or b"").partition(b"|")[2].decode()) for each in ring}
    last: dict[int, int] = {}
    for each in ring:
        number = int.from_bytes(dict(each.headers).get(RING, b""), "big")
        before = last.get(each.partition, 0)
        verdict.must(number > before, KEYS, f"partition {each.partition}: change {number} after change {before}")
        last[each.partition] = max(number, before)
    for line in lines:
        missing = [key for key in line.keys if (line.partition, key) not in keys]
        at = f"partition {line.partition}, offset {line.offset}"
        verdict.must(not missing, KEYS, f"{at}: {len(missing)} keys are not there")
        if line.ring:
            verdict.must(line.ring <= last.get(line.partition, 0), KEYS, f"{at}: change {line.ring} is not there")
