"""A log of events that no command led to, as the sequencer would have written them: for what follows a log."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from typing import Final

from adapters.avro.codec import Body, encode_own, encode_shared, encode_tags, frame
from adapters.index.database import Database
from domain.event import Event, Instant, Meta, Recorded
from domain.evidence.tree import leaf_hash
from domain.ids import TenantId

META: Final = Meta(
    event_id="",
    actor_kind="operator",
    actor_id="opr_1",
    on_behalf_of=(),
    credential_id=None,
    authority_permission="users:manage",
    authority_decision="dec_1",
    authority_policies=(),
    authority_position=0,
    command_id="cmd_1",
    causation_id=None,
    correlation_id="req_1",
    idempotency_key=None,
    idempotency_body=None,
    request=None,
    request_address=None,
    tags=(),
)


class WrittenLog:
    """Appends commits to a log's file."""

    def __init__(self, database: Database) -> None:
        self._connection = database.writer
        self._shared = encode_shared(META)
        self._tags = encode_tags([])
        self._heads: dict[TenantId, int] = {}
        self._numbers: dict[str, int] = {}
        self._sequence = 0
        self._chain = bytes(32)

    def commit(self, events: Iterable[tuple[TenantId, Event]]) -> list[Recorded]:
        """One commit; answers the events with their places."""
        first, leaves, recorded = self._sequence + 1, [], []
        self._connection.execute("BEGIN IMMEDIATE")
        for tenant, event in events:
            stored, placed = self._append(tenant, event)
            leaves.append(leaf_hash(stored))
            recorded.append(placed)
        self._chain = hashlib.sha256(b"".join((self._chain, *leaves))).digest()
        commit = (first, len(leaves), secrets.token_bytes(16), recorded[-1].instant, self._chain, b"")
        self._connection.execute(
            "INSERT INTO commits (first, count, id, epoch, instant, chain, outcomes) VALUES (?, ?, ?, 1, ?, ?, ?)",
            commit,
        )
        self._connection.execute("COMMIT")
        return recorded

    def commits(self, batches: Iterable[Sequence[tuple[TenantId, Event]]]) -> list[Recorded]:
        return [recorded for batch in batches for recorded in self.commit(batch)]

    def _append(self, tenant: TenantId, event: Event) -> tuple[bytes, Recorded]:
        self._sequence += 1
        position = self._heads[tenant] = self._heads.get(tenant, 0) + 1
        instant = Instant(1_790_000_000_000_000 + self._sequence)
        body = Body(self._shared, encode_own(event), self._tags)
        stored, own = frame(type(event), position, instant, [], "0" * 36, body)
        number = self._number(tenant, "INSERT INTO tenants VALUES (?, ?, 0, 0, x'')")
        kind = self._number(event.type_name, "INSERT INTO types VALUES (?, ?)")
        row = (self._sequence, number, position, kind, instant, own, stored)
        self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self._connection.execute(
            "UPDATE tenants SET position = ?, instant = ? WHERE number = ?", (position, instant, number)
        )
        return stored, Recorded(tenant, position, instant, event)

    def _number(self, name: str, make: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers) + 1
            self._connection.execute(make, (self._numbers[name], name))
        return self._numbers[name]
