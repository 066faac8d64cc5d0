"""A batch: everything that one group commit writes, collected in memory while its commands are decided."""

import hashlib
import secrets
from itertools import islice

from adapters.index.bulk import Written, written
from adapters.index.ring import RingChange
from adapters.index.states import TenantState
from adapters.index.tags import KEY_LENGTH
from adapters.index.waiting import Waiting
from domain.event import Recorded
from domain.ids import TenantId
from domain.ledger import Outcome


class Batch:
    """Filled on the event loop, then written by the commit thread, and only read by then."""

    def __init__(self, sequence: int) -> None:
        self.first = sequence + 1
        self.answers: list[tuple[Waiting, Outcome | Exception]] = []
        """Who waits for its commit, and what they will be told."""
        self.id, self.epoch, self.chain = b"", 0, b""
        self.rows: list[Written] = []
        """Events: sequence, tenant, position, type, instant, own, stored, keys of the tags, nths as JSON."""
        self.recorded: dict[tuple[int, int], Recorded] = {}
        self.leaves: list[bytes] = []
        self.event_ids: list[str] = []
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

    def seal(self, chain: bytes, epoch: int) -> bytes:
        """Nothing more is added; returns the hash of all leaves of the log up to its last. `epoch`: of its owner."""
        self.id, self.epoch = secrets.token_bytes(16), epoch
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
        instant = self.rows[-1][5]
        return [
            *(written("type", *each) for each in self.types),
            *self._tenants,
            *self.rows,
            *self.ring.rows(),
            written("commit", self.first, len(self.rows), self.id, self.epoch, instant, self.chain, self._packed),
        ]
