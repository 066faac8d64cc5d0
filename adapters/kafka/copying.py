"""Commits of an embedded ledger as those of a partition: read in their order, and appended in transactions of many."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from adapters.avro.codec import decode_prefix
from adapters.index.database import Database
from adapters.index.ring import RingChange
from adapters.index.wal import WalMover
from adapters.kafka.applying import KEYRING, LEDGER, Applier
from adapters.kafka.client import Received, Record
from adapters.kafka.commits import Verifier
from adapters.kafka.headers import CommitMark, headers_of
from adapters.kafka.log import KafkaLog
from adapters.kafka.partition import Partition
from adapters.kafka.ring_records import through
from domain.ids import TenantId

EVENTS_AT_ONCE: Final = 8_000
BYTES_AT_ONCE: Final = 4 << 20
"""What is read of the source, and then copied to all partitions at once, in a transaction each."""


class Commit(NamedTuple):
    id: bytes
    events: list[tuple[str, int, bytes]]
    """Tenant, position and stored bytes."""


class Copying:
    """Appends commits of the source to a partition that this node owns, and puts them into its index."""

    def __init__(self, log: KafkaLog, partition: Partition) -> None:
        self._log = log
        self._database = partition.database
        self._applier = Applier(self._database, lambda _: True)
        self._wal = WalMover(self._database)
        row = self._database.one("SELECT first + count - 1, chain FROM commits ORDER BY first DESC LIMIT 1", ())
        self._sequence: int
        self._sequence, chain = row or (0, bytes(32))
        (self._number,) = self._database.one("SELECT coalesce(max(last), 0) FROM streams WHERE name = ?", (KEYRING,))
        self._verifier = Verifier(f"{log.place.topic}/{log.place.partition}", log.epoch, self._sequence, chain)

    def copy(self, commits: Sequence[Commit]) -> None:
        """On the commit thread: in one transaction of Kafka's, then in one of the index."""
        records = [record for commit in commits for record in self._records(commit)]
        offsets = self._log.append(records)
        last = offsets[-1]
        received = [Received(each.place, offset, *each[1:]) for each, offset in zip(records, offsets, strict=True)]
        read = [each for _, each in self._verifier.read(received)]
        self._applier.apply(read, RingChange(), (), [(LEDGER, last, last + 1)], decode=False)
        self._wal.wrote(len(records))

    def _records(self, commit: Commit) -> list[Record]:
        records = []
        place, epoch, count = self._log.place, self._log.epoch, len(commit.events)
        for nth, (tenant, _, stored) in enumerate(commit.events):
            self._sequence += 1
            prefix = decode_prefix(stored)
            mark = CommitMark(commit.id, nth, count, epoch, self._sequence)
            headers = headers_of(stored, prefix.event_id, prefix.instant, TenantId(tenant), mark)
            if nth == count - 1 and self._number:
                headers.append(through(self._number))
            records.append(Record(place, tenant.encode(), stored, headers))
        return records

    def close(self) -> None:
        self._wal.stop()


def batches(source: Database) -> Iterator[list[Commit]]:
    """Whole commits of the source in their order, some at a time. One read transaction each: none is held for long."""
    last = 0
    while batch := _batch(source, last):
        last += sum(len(each.events) for each in batch)
        yield batch


def _batch(source: Database, last: int) -> list[Commit]:
    batch: list[Commit] = []
    events = size = 0
    with source.reading() as connection:
        rows = connection.execute(
            "SELECT t.tenant, e.position, CAST(e.stored AS BLOB) FROM events e JOIN tenants t ON t.number = e.tenant "
            "WHERE e.sequence > ? ORDER BY e.sequence",
            (last,),
        )
        for count, id in connection.execute("SELECT count, id FROM commits WHERE first > ? ORDER BY first", (last,)):
            commit = Commit(id, rows.fetchmany(count))
            batch.append(commit)
            events += count
            size += sum(len(each[2]) for each in commit.events)
            if events >= EVENTS_AT_ONCE or size >= BYTES_AT_ONCE:
                break
        rows.close()
    return batch
