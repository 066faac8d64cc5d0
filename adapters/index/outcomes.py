"""What the idempotency keys of the last day led to: in memory, and by commit in the file, so that a start finds them.

Keys are random, so an index of them in the file would be touched in another place by every command.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from adapters.avro.codec import decode_entry
from adapters.index.database import Database
from adapters.index.numbers import NumberTable
from adapters.index.states import TenantState
from domain.event import Entry
from domain.ledger import Outcome

DAY: Final = 86_400_000_000
GENERATION: Final = DAY // 4
_SPREAD: Final = 0x9E3779B97F4A7C15
_64_BITS: Final = (1 << 64) - 1
_PAIR: Final = struct.Struct(">QQ")


class First(NamedTuple):
    """The hash of the body that a key came with first, and what it led to."""

    body: bytes
    outcome: Outcome


class Outcomes:
    """Knows every key of the last day (and up to six hours more), by a hash of tenant and key."""

    def __init__(self, database: Database, now: int) -> None:
        self._database = database
        self._uncommitted: dict[int, First] = {}
        self._generations: list[tuple[int, NumberTable]] = []
        """Newest first: when each began."""
        with database.reading() as connection:
            rows = connection.execute(
                "SELECT instant, outcomes FROM commits WHERE instant > ? ORDER BY first", (now - DAY,)
            )
            for instant, packed in rows:
                self.keep(instant, _PAIR.iter_unpack(packed))

    def keep(self, instant: int, pairs: Iterable[tuple[int, int]]) -> None:
        """These hashes led to what ends at these sequences; committed at this instant."""
        if not self._generations or instant - self._generations[0][0] > GENERATION:
            self._generations.insert(0, (instant, NumberTable()))
            while len(self._generations) > 1 and instant - self._generations[-2][0] > DAY:
                self._generations.pop()
        table = self._generations[0][1]
        for hash, sequence in pairs:
            table.put(hash, sequence)

    def note(self, hash: int, first: First) -> None:
        """What a key has just led to, before its commit."""
        self._uncommitted[hash] = first

    def came(self, instant: int, pairs: Sequence[tuple[int, int]]) -> None:
        """After the commit."""
        for hash, _ in pairs:
            del self._uncommitted[hash]
        self.keep(instant, pairs)

    def forget_uncommitted(self) -> None:
        self._uncommitted.clear()

    def find(self, hash: int, tenant: TenantState, key: bytes) -> First | None:
        """What a key led to. The file is read only for a key that was seen."""
        first = self._uncommitted.get(hash)
        if first is None:
            for _, table in self._generations:
                if sequence := table.get(hash):
                    return self._read(tenant, key, sequence)
        return first

    def _read(self, tenant: TenantState, key: bytes, sequence: int) -> First | None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT tenant, stored FROM events WHERE sequence = ?", (sequence,)).fetchone()
            if row is None or row[0] != tenant.number:
                return None
            last = decode_entry(tenant.tenant, row[1])
            if last.meta.idempotency_key != key:
                return None
            entries: list[Entry] = []
            for (stored,) in connection.execute(
                "SELECT stored FROM events WHERE tenant = ? AND position <= ? ORDER BY position DESC",
                (tenant.number, last.position),
            ):
                entry = decode_entry(tenant.tenant, stored)
                if entry.meta.command_id != last.meta.command_id:
                    break
                entries.append(entry)
        events = tuple(entry.event for entry in reversed(entries))
        return First(last.meta.idempotency_body or b"", Outcome(tenant.tenant, last.position, last.instant, events))


def hash_of(tenant: int, key: bytes) -> int:
    """64 bits that stand for a tenant's number and a key, which is a hash already; who asks compares the key itself."""
    return (int.from_bytes(key[:8], "big") + tenant * _SPREAD) & _64_BITS
