"""Ends a transaction that the brokers have forgotten to end: it is committed if it can have been acknowledged.

A coordinator that takes a partition for deleted completes a transaction without writing its marker there. Nothing is
open then, by its word, and yet nobody reads past that place. Only a later marker of the same producer ends it; which
one, commit or abort, must follow from what is there. An owner asks for a commit once all records are written, so whole
commits can have been acknowledged, and half of one can't. Everything here blocks.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from adapters.index.log import end_of_log
from adapters.kafka.applying import KEYRING, LEDGER
from adapters.kafka.client import Admin, Client, Place, Reader, Received, Unavailable
from adapters.kafka.commits import CommitRead, LogUnlike, Verifier
from adapters.kafka.control import TakeOver
from adapters.kafka.follower import with_our_id
from adapters.kafka.headers import mark_of
from adapters.kafka.partition import Partition
from adapters.kafka.ring_records import number_of

GRACE: Final = 3.0
"""Seconds in which a marker may come that is only late."""
TRANSACTION_TIMEOUT: Final = 10.0
OPEN_TIMEOUT: Final = 20.0
MARK_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 30.0
PAUSE: Final = 0.1
POLL: Final = 0.2
TOOLS: Final = "look for it with `kafka-transactions.sh … find-hanging`, and end it with `abort`"


class Settled(NamedTuple):
    """A hanging transaction that was ended."""

    records: int
    committed: bool


class IndexEnd(NamedTuple):
    """Where an index ends, and the offsets from which it goes on."""

    epoch: int
    sequence: int
    chain: bytes
    next: int
    ring: int
    ring_next: int


class _Span(NamedTuple):
    """Offsets of a partition: up to `stable` everything is decided, from there to `end` it hangs."""

    stable: int
    end: int

    @property
    def hangs(self) -> bool:
        return self.stable < self.end


def index_end(partition: Partition) -> IndexEnd:
    """On the thread that writes the index. Raises LogShorter."""
    database = partition.database
    end = end_of_log(database.writer)
    (epoch,) = database.one("SELECT coalesce(max(epoch), 0) FROM owners", ())
    streams = {name: (last, next) for name, last, next in database.writer.execute("SELECT * FROM streams")}
    _, next = streams.get(LEDGER, (-1, 0))
    return IndexEnd(epoch, end.sequence, end.chain, next, *streams.get(KEYRING, (0, 0)))


def still_hangs(admin: Admin, places: Sequence[Place], patience: float = GRACE) -> bool:
    """Whether after so many seconds there is a partition with records that no marker has decided on."""
    deadline = time.monotonic() + patience
    while any(each.hangs for each in _spans(admin, places).values()):
        if time.monotonic() > deadline:
            return True
        time.sleep(PAUSE)
    return False


def settle(client: Client, admin: Admin, ledger: Place, keyring: Place, name: str, index: IndexEnd) -> Settled | None:
    """Fence every writer of the transactional id `name`, and end what hangs; None if nothing does any more.

    Raises Fenced or OutcomeUnknown, or Unavailable, also where only people can decide or it is another writer's.
    """
    settler = client.settler(name, TRANSACTION_TIMEOUT)
    try:
        settler.open(OPEN_TIMEOUT)
        spans = _spans(admin, [ledger, keyring])
        hanging = [place for place, span in spans.items() if span.hangs]
        if not hanging:
            return None
        beyond = _Beyond(client, index, ledger, spans[ledger], keyring, spans[keyring])
        commit = beyond.is_to_be_committed()
        settler.mark(hanging, MARK_TIMEOUT, commit=commit)
    finally:
        settler.close()
    if still_hangs(admin, hanging, MARK_TIMEOUT):
        raise Unavailable(f"a transaction that is not of {name} hangs in {_words(hanging, spans)}: {TOOLS}")
    return Settled(sum(spans[place].end - spans[place].stable for place in hanging), commit)


class _Beyond:
    """What is beyond the last stable offsets of a partition's two topics, and what it means."""

    def __init__(
        self, client: Client, index: IndexEnd, ledger: Place, span: _Span, keyring: Place, ring_span: _Span
    ) -> None:
        self._client = client
        self._index = index
        self._ledger, self._span = ledger, span
        self._keyring, self._ring_span = keyring, ring_span
        self._ring = index.ring
        """The last change of the keyring that is there."""
        self._named = 0
        """The last change of the keyring that a whole commit needs."""
        self._is_known = 0
        """Commits that hang, or a part of the keyring that does, which can have been acknowledged."""
        self._is_torn = False

    def is_to_be_committed(self) -> bool:
        """Raises Unavailable where the one must be committed, and the other must not be."""
        hanging = self._read_keyring()
        self._read_ledger()
        numbers = [number_of(each.headers) or 0 for each in hanging]
        if self._ring_span.hangs and self._index.ring_next > self._ring_span.stable:
            self._is_known += 1
        if numbers and not self._needs_no_event(hanging):
            self._is_torn |= max(numbers) > self._named
            self._is_known += min(numbers) <= self._named
        if self._is_known and self._is_torn:
            spans = {self._ledger: self._span, self._keyring: self._ring_span}
            where = _words([place for place, span in spans.items() if span.hangs], spans)
            raise Unavailable(
                f"what hangs in {where} begins with what may have been acknowledged, and goes on with what was not "
                "written to its end: compare it with an archive or another node's index before anybody ends it"
            )
        return not self._is_torn

    def _read_keyring(self) -> list[Received]:
        """What of it hangs and is not in the index. Notes how far the keyring goes, with that."""
        span, next = self._ring_span, self._index.ring_next
        decided = self._read(self._keyring, next, span.stable, committed=True)
        self._ring = max([self._ring, *(number_of(each.headers) or 0 for each in decided)])
        hanging = list(self._read(self._keyring, max(next, span.stable), span.end, committed=False))
        self._ring = max([self._ring, *(number_of(each.headers) or 0 for each in hanging)])
        return hanging

    def _read_ledger(self) -> None:
        span, index = self._span, self._index
        verifier = Verifier(f"{self._ledger.topic}/{self._ledger.partition}", index.epoch, index.sequence, index.chain)
        try:
            for record in self._read(self._ledger, index.next, span.stable, committed=True):
                for _, each in verifier.read([with_our_id(record)]):
                    self._take(each)
        except LogUnlike as problem:
            raise Unavailable(str(problem)) from problem
        if span.hangs and index.next > span.stable:
            self._check_index()
            self._is_known += 1  # an owner's index has it, which it only has once that was acknowledged
        for record in self._read(self._ledger, max(index.next, span.stable), span.end, committed=False):
            if not self._is_torn:
                self._go_on(verifier, record)
        self._is_torn |= not verifier.is_between_commits

    def _check_index(self) -> None:
        """That the index was made of what hangs. Raises Unavailable."""
        records = list(self._read(self._ledger, self._span.stable, self._index.next, committed=False))
        mark = mark_of(records[-1].headers) if records else None
        if mark is None or mark.sequence != self._index.sequence:
            raise Unavailable(f"{self._ledger.topic}/{self._ledger.partition} differs from what was read")

    def _go_on(self, verifier: Verifier, record: Received) -> None:
        """With a record that hangs."""
        try:
            for _, each in verifier.read([with_our_id(record)]):
                if isinstance(each, CommitRead):
                    if each.ring > self._ring:
                        self._is_torn = True  # its keys were not written
                        return
                    self._is_known += 1
                self._take(each)
        except LogUnlike:
            self._is_torn = True

    def _take(self, each: CommitRead | TakeOver) -> None:
        if isinstance(each, CommitRead):
            self._named = max(self._named, each.ring)

    def _needs_no_event(self, hanging: Sequence[Received]) -> bool:
        """Whether these are keys alone, which owners also record by themselves, and which harm nobody."""
        keys = all(each.value is not None and (each.key or b"")[:4] in (b"dek|", b"kek|") for each in hanging)
        return keys and not self._span.hangs

    def _read(self, place: Place, start: int, end: int, *, committed: bool) -> Iterator[Received]:
        """The records from one offset to before another. Raises Unavailable."""
        if start >= end:
            return
        reader = self._client.reader(committed=committed)
        try:
            yield from _until(reader, place, start, end)
        finally:
            reader.close()


def _until(reader: Reader, place: Place, start: int, end: int) -> Iterator[Received]:
    reader.assign({place: start})
    deadline = time.monotonic() + READ_TIMEOUT
    while True:
        yield from (each for each in reader.poll(POLL) if each.offset < end)
        if reader.position(place) >= end:
            return
        if time.monotonic() > deadline:
            raise Unavailable("the end of the partition was not read in time")


def _spans(admin: Admin, places: Sequence[Place]) -> dict[Place, _Span]:
    """The ends are asked first: what is stable by then is no end that has moved meanwhile."""
    ends = admin.ends(places, committed=False)
    stable = admin.ends(places, committed=True)
    return {place: _Span(stable[place], ends[place]) for place in places}


def _words(places: Sequence[Place], spans: Mapping[Place, _Span]) -> str:
    return " and ".join(f"{each.topic}/{each.partition} from offset {spans[each].stable} on" for each in places)
