"""A batch: everything that one group commit writes, collected in memory while its commands are decided."""

import asyncio
import hashlib
import secrets
from itertools import islice
from typing import Final

from adapters.embedded.bulk import Written, written
from adapters.embedded.states import TenantState
from adapters.embedded.tags import KEY_LENGTH
from adapters.ring import RingChange
from domain.event import Recorded
from domain.ids import TenantId
from domain.ledger import Outcome

EPOCH: Final = 1
"""The embedded log has one owner; the number is in every commit, because Kafka's has many."""


class Batch:
    """Filled on the event loop, then written by the commit thread, and only read by then."""

    def __init__(self, sequence: int) -> None:
        self.first = sequence + 1
        self.answers: list[tuple[asyncio.Future[Outcome], Outcome | Exception]] = []
        """Who waits for its commit, and what they will be told."""
        self.chain = b""
        self.rows: list[Written] = []
        """Events: sequence, tenant, position, type, instant, own, stored, keys of the tags, nths as JSON."""
        self.recorded: dict[tuple[int, int], Recorded] = {}
        self.leaves: list[bytes] = []
        self.types: list[tuple[int, str]] = []
        self.tenants: dict[int, TenantState] = {}
        self.ends: list[tuple[int, int]] = []
        """Hash of tenant and idempotency key, sequence of the last event."""
        self.ring = RingChange()
        self._indexed = 0
        self._positions: dict[tuple[bytes, int], list[int]] = {}

    def positions(self, key: bytes, type: int) -> list[int]:
        """Where it has events of a tag and type; indexed only once somebody asks."""
        for row in islice(self.rows, self._indexed, None):
            position, number, keys = row[3], row[4], row[8]
            for start in range(0, len(keys), KEY_LENGTH):
                self._positions.setdefault((keys[start : start + KEY_LENGTH], number), []).append(position)
        self._indexed = len(self.rows)
        return self._positions.get((key, type), [])

    @property
    def last(self) -> int:
        """The last event's sequence."""
        return self.first + len(self.rows) - 1

    def seal(self, chain: bytes) -> bytes:
        """Nothing more is added; returns the hash of all leaves of the log up to its last."""
        self.chain = hashlib.sha256(b"".join((chain, *self.leaves))).digest()
        self._tenants: list[Written] = [
            written("tenant", each.number, each.tenant, each.position, each.instant, each.frontier.pack())
            for each in self.tenants.values()
        ]
        self._packed = b"".join([hash.to_bytes(8, "big") + end.to_bytes(8, "big") for hash, end in self.ends])
        self.heads: dict[TenantId, int] = {state.tenant: state.position for state in self.tenants.values()}
        """How far the tenants in it have come."""
        return self.chain

    def written(self) -> list[Written]:
        """All that the commit writes."""
        id, instant = secrets.token_bytes(16), self.rows[-1][5]
        return [
            *(written("type", *each) for each in self.types),
            *self._tenants,
            *self.rows,
            *self.ring.rows(),
            written("commit", self.first, len(self.rows), id, EPOCH, instant, self.chain, self._packed),
        ]
