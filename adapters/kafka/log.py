"""The log of a partition that this node owns: a group commit is one transaction, around which is one of the index."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from adapters.index.batch import Batch
from adapters.index.bulk import written
from adapters.index.database import Database
from adapters.index.ring import RingChange
from adapters.index.wal import WalMover
from adapters.kafka.applying import KEYRING, LEDGER
from adapters.kafka.client import Fenced, OutcomeUnknown, Record, Writer
from adapters.kafka.headers import CommitMark, headers_of, schema_header
from adapters.kafka.ring_records import records_of, through
from adapters.kafka.topics import Topics

COMMIT_TIMEOUT: Final = 10.0
"""Seconds after which the outcome of a commit is not waited for any more."""


APPEND_TIMEOUT: Final = 60.0
MARKER: Final = 2
"""After the last record of a commit comes its marker, then nothing that was acknowledged."""


class SchemaIds(Protocol):
    """Swaps our schema ids for those of an outside registry, where there is one."""

    def swap_out(self, stored: bytes) -> bytes: ...


class KafkaLog:
    """See adapters.index.log.CommitLog. Its writer has been opened, and its takeover record is in the index."""

    def __init__(
        self,
        writer: Writer,
        database: Database,
        topics: Topics,
        partition: int,
        epoch: int,
        offset: int,
        end: Callable[[], int],
        schemas: SchemaIds | None = None,
    ) -> None:
        """`epoch` and `offset` are those of the takeover record; `end` asks the brokers where the partition ends."""
        self._end = end
        self.epoch = epoch
        self.offset = offset
        """Of the last record that is known to be committed."""
        self.committed_at = time.monotonic()
        self.trouble: str | None = None
        self._writer = writer
        self._database = database
        self.place, self._keyring = topics.of_ledger(partition), topics.of_keyring(partition)
        self._schemas = schemas
        database.writer.execute("PRAGMA wal_autocheckpoint = 0")  # whoever followed let commits do it
        self._wal = WalMover(database)
        (self._ring,) = database.one("SELECT coalesce(max(last), 0) FROM streams WHERE name = ?", (KEYRING,))

    can_be_lost: Final = True

    def confirm(self) -> None:
        """Raises Fenced or Unavailable."""
        if self._end() > self.offset + MARKER:
            raise Fenced

    def commit(self, batch: Batch) -> None:
        ring = self._ring_records(batch.ring)
        records = self._records(batch, ring)
        with self._database.committing() as write:
            offsets = self._writer.commit([*ring, *records], COMMIT_TIMEOUT, lambda: write(batch.written()))
            self.committed_at = time.monotonic()
            last = offsets[-1]
            streams = [written("stream", LEDGER, last, last + 1)]
            if ring:
                self._ring += len(ring)
                streams.append(written("stream", KEYRING, self._ring, offsets[len(ring) - 1] + 1))
            write(streams)
        if batch.ring.destroyed:
            self._database.has_slack = True
        self.offset = last
        self._wal.wrote(len(batch.rows))

    def _ring_records(self, change: RingChange) -> list[Record]:
        return records_of(change, self._keys_of(change), self._keyring, self._ring) if change else []

    def _keys_of(self, change: RingChange) -> list[str]:
        """The ids of the data keys that are destroyed with their subjects."""
        found: list[str] = []
        for tenant, subject, _ in change.destroyed:
            rows = self._database.writer.execute(
                "SELECT id FROM data_keys WHERE tenant = ? AND subject = ?", (tenant, subject)
            )
            found += [id for (id,) in rows]
        return found

    def _records(self, batch: Batch, ring: Sequence[Record]) -> list[Record]:
        tenants = {number: state.tenant for number, state in batch.tenants.items()}
        keys = {number: tenant.encode() for number, tenant in tenants.items()}
        id, count, epoch, place, schemas = batch.id, len(batch.rows), self.epoch, self.place, self._schemas
        records = []
        for nth, (row, event_id) in enumerate(zip(batch.rows, batch.event_ids, strict=True)):
            number, stored = row[2], row[7]
            mark = CommitMark(id, nth, count, epoch, row[1])
            headers = headers_of(stored, event_id, row[5], tenants[number], mark)
            if schemas is not None:
                headers.append(schema_header(stored))
                stored = schemas.swap_out(stored)
            records.append(Record(place, keys[number], stored, headers))
        if ring:
            last = records[-1]
            records[-1] = Record(place, last.key, last.value, [*last.headers, through(self._ring + len(ring))])
        return records

    def append(self, records: Sequence[Record]) -> list[int]:
        """Whole commits of another ledger's, one after another, in one transaction; the caller applies them."""
        if self._schemas is not None:
            swap = self._schemas.swap_out
            records = [
                Record(place, key, swap(value), [*headers, schema_header(value)])
                for place, key, value, headers in records
                if value is not None
            ]
        offsets = self._writer.commit(records, APPEND_TIMEOUT)
        self.offset = offsets[-1]
        return offsets

    def change_ring(self, change: RingChange) -> None:
        records = self._ring_records(change)
        offsets = self._writer.commit(records, COMMIT_TIMEOUT)
        self._ring += len(records)
        self._database.commit([*change.rows(), written("stream", KEYRING, self._ring, offsets[-1] + 1)])
        self._database.has_slack = True

    def lost(self, problem: BaseException) -> str | None:
        """Whatever went wrong, only reading the partition can tell what became of it."""
        if isinstance(problem, Fenced):
            self.trouble = "another node owns the partition now"
        elif isinstance(problem, OutcomeUnknown):
            self.trouble = "the outcome of the last commit is being found out"
        else:
            self.trouble = f"the last commit failed ({type(problem).__name__}): what became of it is being found out"
        return None

    def close(self) -> None:
        self._wal.stop()
        self._writer.close()
