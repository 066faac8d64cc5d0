"""Puts what was read of a partition into its index: the same rows that the owner wrote into its own."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, NamedTuple

from adapters.avro.codec import Prefix, decode_own, decode_prefix
from adapters.index.bulk import Written, written
from adapters.index.database import Database
from adapters.index.outcomes import hash_of
from adapters.index.ring import RingChange
from adapters.index.tags import tag_key
from adapters.kafka.commits import CommitRead, LogUnlike
from adapters.kafka.control import TakeOver
from domain.directory.life import SubjectErased
from domain.event import Instant, Recorded
from domain.evidence.tree import Frontier
from domain.ids import Handle, TenantId

LEDGER: Final = "ledger"
KEYRING: Final = "keyring"
"""The streams whose cursors an index keeps."""
MOST_TENANTS: Final = 20_000
WAL_PAGES: Final = 4_000
"""After so many the write-ahead log is moved into the file, by the commit that makes it as long."""
ROWS: Final = 200
"""Of a statement: each has to begin anew, and to get Python's lock back."""
_ERASED: Final = SubjectErased.__name__


class Applied(NamedTuple):
    """What was applied: the last sequence, the heads of the tenants in it, and its events, if they were asked for."""

    sequence: int
    heads: dict[TenantId, int]
    recorded: list[Recorded]
    ring: RingChange


class _Tenant:
    __slots__ = ("frontier", "instant", "key", "number", "position", "tenant")

    def __init__(self, number: int, tenant: str, position: int, instant: int, frontier: Frontier) -> None:
        self.number, self.tenant, self.position, self.instant = number, tenant, position, instant
        self.frontier = frontier
        self.key = number.to_bytes(4, "big")


class Applier:
    """The only writer of an index while its partition is followed."""

    def __init__(self, database: Database, belongs: Callable[[str], bool]) -> None:
        """`belongs`: whether a tenant is placed in this partition."""
        self._database = database
        self._belongs = belongs
        database.writer.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()
        self._types: dict[str, int] = {}
        self._types.update((name, number) for number, name in self._rows("SELECT number, name FROM types"))
        ((self._last_tenant,),) = self._rows("SELECT coalesce(max(number), 0) FROM tenants")

    def _rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return self._database.writer.execute(statement, parameters).fetchall()

    def apply(
        self,
        read: Iterable[CommitRead | TakeOver],
        ring: RingChange,
        gone: Iterable[Handle],
        cursors: Iterable[tuple[str, int, int]],
        *,
        decode: bool,
    ) -> Applied:
        """In one transaction, with the cursors (stream, last, next). `decode`: whether somebody wants the events.

        Raises LogUnlike if positions don't follow each other; then nothing was applied.
        """
        work = _Work(self, decode, ring)
        try:
            for each in read:
                if isinstance(each, TakeOver):
                    work.take_over(each)
                else:
                    work.commit(each)
            work.finish(gone, cursors)
            self._write(work)
        except BaseException:
            self._tenants.clear()
            self._types = dict(self._rows("SELECT name, number FROM types"))
            ((self._last_tenant,),) = self._rows("SELECT coalesce(max(number), 0) FROM tenants")
            raise
        while len(self._tenants) > MOST_TENANTS:
            self._tenants.popitem(last=False)
        return Applied(work.sequence, work.heads, work.recorded, work.ring)

    def tenant(self, name: str) -> _Tenant:
        found = self._tenants.get(name)
        if found is None:
            rows = self._rows("SELECT number, position, instant, frontier FROM tenants WHERE tenant = ?", (name,))
            if rows:
                ((number, position, instant, frontier),) = rows
                found = _Tenant(number, name, position, instant, Frontier.unpack(position, frontier))
            else:
                if not self._belongs(name):
                    raise LogUnlike(
                        f"{name} is in a partition that is not its own: were partitions added to the topic? "
                        "Their number is fixed; make the topics anew with more, and copy the ledger there"
                    )
                self._last_tenant += 1
                found = _Tenant(self._last_tenant, name, 0, 0, Frontier())
            self._tenants[name] = found
        else:
            self._tenants.move_to_end(name)
        return found

    def type_number(self, name: str, new: list[tuple[int, str]]) -> int:
        number = self._types.get(name)
        if number is None:
            number = self._types[name] = max(self._types.values(), default=0) + 1
            new.append((number, name))
        return number

    def _write(self, work: "_Work") -> None:
        connection = self._database.writer
        with self._database.lock:
            connection.execute("BEGIN IMMEDIATE")
            try:
                _insert(connection, "types", work.types)
                connection.executemany(
                    "INSERT INTO tenants (number, tenant, position, instant, frontier) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (number) DO UPDATE SET position = excluded.position, instant = excluded.instant, "
                    "frontier = excluded.frontier",
                    [(t.number, t.tenant, t.position, t.instant, t.frontier.pack()) for t in work.tenants.values()],
                )
                _insert(connection, "events", work.events)
                work.postings.sort()
                _insert(connection, "postings", work.postings)
                _insert(connection, "commits", work.commits)
                _insert(connection, "batch", work.rows)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    one, many = _statements(table, len(rows[0]))
    whole = len(rows) // ROWS * ROWS
    for start in range(0, whole, ROWS):
        connection.execute(many, [*chain.from_iterable(rows[start : start + ROWS])])
    connection.executemany(one, rows[whole:])


@cache
def _statements(table: str, width: int) -> tuple[str, str]:
    row = f"({', '.join('?' * width)})"
    insert = f"INSERT INTO {table} VALUES "  # noqa: S608
    return insert + row, insert + ", ".join([row] * ROWS)


class _Work:
    """What one transaction writes."""

    def __init__(self, applier: Applier, decode: bool, ring: RingChange) -> None:
        self._applier = applier
        self._decode = decode
        self.ring = ring
        self.sequence = 0
        self.recorded: list[Recorded] = []
        self.types: list[tuple[int, str]] = []
        self.tenants: dict[int, _Tenant] = {}
        self.events: list[tuple[Any, ...]] = []
        self.postings: list[tuple[bytes, int, int, int]] = []
        self.commits: list[tuple[Any, ...]] = []
        self.rows: list[Written] = []
        self.erased: list[tuple[TenantId, str, tuple[Handle, ...]]] = []

    def take_over(self, taken: TakeOver) -> None:
        self.sequence = taken.sequence
        self.rows.append(
            written("owner", taken.epoch, taken.generation, taken.address, taken.sequence, taken.recorded_at)
        )

    def commit(self, read: CommitRead) -> None:
        ends: dict[str, tuple[int, int]] = {}
        sequence, instant, tenant = read.first, 0, None
        for name, stored, leaf in zip(read.tenants, read.stored, read.leaves, strict=True):
            prefix = decode_prefix(stored)
            if tenant is None or tenant.tenant != name:
                tenant = self._applier.tenant(name)
                self.tenants[tenant.number] = tenant
            if prefix.position != tenant.position + 1:
                raise LogUnlike(f"{name} goes on at position {prefix.position} after {tenant.position}")
            tenant.position = prefix.position
            tenant.instant = instant = prefix.instant
            tenant.frontier.append(leaf)
            self._event(tenant, prefix, stored, sequence)
            if prefix.idempotency_key is not None:
                ends[prefix.command_id] = (hash_of(tenant.number, prefix.idempotency_key), sequence)
            sequence += 1
        self.sequence = sequence - 1
        packed = b"".join([hash.to_bytes(8, "big") + end.to_bytes(8, "big") for hash, end in ends.values()])
        self.commits.append((read.first, len(read.stored), read.id, read.epoch, instant, read.chain, packed))

    def _event(self, tenant: _Tenant, prefix: Prefix, stored: bytes, sequence: int) -> None:
        own, position, name = prefix.own, prefix.position, prefix.event
        event = decode_own(stored, own) if self._decode or name in (_ERASED, "OpaqueRecorded") else None
        kind = self._applier.type_number(name if event is None else event.type_name, self.types)
        self.events.append((sequence, tenant.number, position, kind, prefix.instant, own, stored))
        key, tags = tenant.key, zip(prefix.tags, prefix.nth, strict=True)
        self.postings += [(tag_key(key, tag), kind, position, nth) for tag, nth in tags]
        if event is None:
            return
        if isinstance(event, SubjectErased):
            self.erased.append((TenantId(tenant.tenant), event.user, event.handles))
        if self._decode:
            self.recorded.append(Recorded(TenantId(tenant.tenant), position, Instant(prefix.instant), event))

    @property
    def heads(self) -> dict[TenantId, int]:
        """How far the tenants have come."""
        return {TenantId(each.tenant): each.position for each in self.tenants.values()}

    def finish(self, gone: Iterable[Handle], cursors: Iterable[tuple[str, int, int]]) -> None:
        self.rows += self.ring.rows()
        # What an erasure destroys, tombstones name one by one: what came into being after it is not theirs.
        self.rows += [written("erased", tenant, subject) for tenant, subject, _ in self.erased]
        self.ring.destroyed += self.erased
        self.rows += [written("gone handle", handle) for handle in gone]
        self.rows += [written("stream", *each) for each in cursors]
