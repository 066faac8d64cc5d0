"""A batch: everything that one group commit writes, collected in memory while its commands are decided."""

import hashlib
import secrets
import sqlite3
from typing import Final, NamedTuple

from adapters.embedded.bulk import insert
from adapters.ring import RingChange
from domain.event import Recorded
from domain.ids import TenantId
from domain.ledger import Outcome
from domain.tree import Frontier

EPOCH: Final = 1
"""The embedded log has one owner; the number is in every commit, because Kafka's has many."""


class TenantState:
    """A tenant as the writer keeps it."""

    __slots__ = ("frontier", "instant", "key", "number", "position", "tenant")

    def __init__(self, number: int, tenant: TenantId, position: int, instant: int, frontier: Frontier) -> None:
        self.number = number
        self.key = number.to_bytes(4, "big")
        self.tenant = tenant
        self.position = position
        self.instant = instant
        self.frontier = frontier


class Row(NamedTuple):
    """An event as it is written."""

    sequence: int
    tenant: int
    position: int
    type: int
    instant: int
    own: int
    stored: bytes


class First(NamedTuple):
    """What an idempotency key led to."""

    body: bytes
    outcome: Outcome


class Batch:
    """Filled on the event loop, written by the commit thread, and then only read."""

    def __init__(self, sequence: int, chain: bytes) -> None:
        self.first = sequence + 1
        self.chain = chain
        self.rows: list[tuple[int, int, int, int, int, int, bytes]] = []
        self.postings: list[tuple[bytes, int, int, int]] = []
        self.recorded: dict[tuple[int, int], Recorded] = {}
        self.leaves: list[bytes] = []
        self.types: list[tuple[int, str]] = []
        self.tenants: dict[int, TenantState] = {}
        self.outcomes: dict[tuple[int, bytes], First] = {}
        self.ring = RingChange()

    @property
    def last(self) -> int:
        """The last event's sequence."""
        return self.first + len(self.rows) - 1

    def heads(self) -> dict[TenantId, int]:
        """How far the tenants in it have come."""
        return {state.tenant: state.position for state in self.tenants.values()}

    def write(self, connection: sqlite3.Connection) -> None:
        """Inside the transaction that is open. Sorted, so that what lies side by side is written together."""
        insert(connection, "types", self.types)
        insert(
            connection,
            "tenants",
            [
                (state.number, state.tenant, state.position, state.instant, state.frontier.pack())
                for state in self.tenants.values()
            ],
            "ON CONFLICT (number) DO UPDATE SET "
            "position = excluded.position, instant = excluded.instant, frontier = excluded.frontier",
        )
        insert(connection, "events", self.rows)
        self.postings.sort()
        insert(connection, "postings", self.postings)
        self.ring.write(connection)
        self.chain = hashlib.sha256(b"".join((self.chain, *self.leaves))).digest()
        commit = (self.first, len(self.rows), secrets.token_bytes(16), EPOCH, self.chain)
        insert(connection, "commits", [commit])
