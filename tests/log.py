"""A log of events that no command led to, as the sequencer would have written them: for what follows a log."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from adapters.avro.codec import Body, encode_own, encode_shared, encode_tags, frame
from adapters.embedded.batch import Batch, TenantState
from adapters.embedded.database import Database
from adapters.embedded.log_end import end_of_log
from domain.event import Event, Instant, Meta, Recorded
from domain.ids import TenantId
from domain.tree import Frontier, leaf_hash

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
        self._database = database
        self._tenants: dict[TenantId, TenantState] = {}
        self._types: dict[str, int] = {}
        self._shared = encode_shared(META)

    def commit(self, events: Iterable[tuple[TenantId, Event]]) -> list[Recorded]:
        """One commit; answers the events with their places."""
        connection = self._database.writer
        end = end_of_log(connection)
        batch = Batch(end.sequence, end.chain)
        recorded = [self._place(batch, tenant, event) for tenant, event in events]
        connection.execute("BEGIN IMMEDIATE")
        batch.write(connection)
        connection.execute("COMMIT")
        return recorded

    def commits(self, batches: Iterable[Sequence[tuple[TenantId, Event]]]) -> list[Recorded]:
        return [recorded for batch in batches for recorded in self.commit(batch)]

    def _place(self, batch: Batch, tenant: TenantId, event: Event) -> Recorded:
        state = self._tenants.get(tenant)
        if state is None:
            state = self._tenants[tenant] = TenantState(len(self._tenants) + 1, tenant, 0, 0, Frontier())
        state.position += 1
        state.instant = 1_790_000_000_000_000 + batch.last
        instant = Instant(state.instant)
        body = Body(self._shared, encode_own(event), encode_tags([]))
        stored, own = frame(type(event), state.position, instant, [], "0" * 36, body)
        leaf = leaf_hash(stored)
        state.frontier.append(leaf)
        batch.leaves.append(leaf)
        batch.tenants[state.number] = state
        kind = self._type(batch, event.type_name)
        row: Any = (batch.last + 1, state.number, state.position, kind, instant, own, stored)
        batch.rows.append(row)
        return Recorded(tenant, state.position, instant, event)

    def _type(self, batch: Batch, name: str) -> int:
        number = self._types.get(name)
        if number is None:
            number = self._types[name] = len(self._types) + 1
            batch.types.append((number, name))
        return number
