"""Histories for replay: events in a real log, each by a caller with a credential and an authority of its own."""

from collections.abc import Iterable
from itertools import count

from adapters.embedded.log import embedded_sequencer
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.keyring import Keyring
from domain.agents import OperatorKeyIssued
from domain.boundary import Boundary
from domain.command import Known
from domain.event import Event, Meta
from domain.ids import DEPLOYMENT, CredentialId, OperatorId, TenantId, is_id
from domain.ledger import Query, Work
from tests.domain.people import PLANET_EXPRESS

BEGAN = 1_790_000_000_000_000
OPERATOR, OPERATOR_KEY = "opr_first", "key_operator"


class Happened:
    """What was recorded, one command a call. The clock takes a second a command."""

    def __init__(self) -> None:
        self._database = Database(None)
        self._ticks = count(BEGAN, 1_000_000)
        self._now = BEGAN
        self._sequencer = embedded_sequencer(self._database, Keyring(self._database, bytes(32)), None, self._tick)
        self._sequencer.start()
        self.history = IndexHistory(self._database)

    def _tick(self) -> int:
        return self._now

    async def stop(self) -> None:
        await self._sequencer.stop()
        self._database.close()

    async def record(
        self,
        *events: Event,
        key: str | None = OPERATOR_KEY,
        by: str | None = None,
        may: str = "users:manage",
        policies: Iterable[str] | None = None,
        tenant: TenantId = PLANET_EXPRESS,
        behalf: tuple[str, ...] = (),
        caused_by: str | None = None,
        address: str | None = None,
    ) -> int:
        """The position after them. By default the operator's key is used; `by` is its holder, if that is a person."""
        self._now = next(self._ticks)
        kind = _kind(key, by)
        actor = by or (OPERATOR if key == OPERATOR_KEY else key or "somebody")
        tags = [f"actor:{actor}", *(f"actor:{each.partition(':')[2]}" for each in behalf)]
        tags += [f"used:{key}"] if key else []
        tags += [f"address:{address}"] if address else []
        head = self.history.head(tenant)[0]
        meta = Meta(
            event_id="",
            actor_kind=kind,
            actor_id=actor,
            on_behalf_of=behalf,
            credential_id=key,
            authority_permission=may,
            authority_decision=f"dec_{self._now // 1000:012x}{'0' * 20}",
            authority_policies=tuple(policies or (kind if kind == "operator" else "key",)),
            authority_position=head,
            command_id=f"cmd_{self._now}",
            causation_id=caused_by,
            correlation_id="cor_one",
            idempotency_key=None,
            idempotency_body=None,
            request=None,
            request_address=address,
            tags=tuple(tags),
        )
        outcome = await self._sequencer.execute(
            Work(tenant, Boundary(), lambda _: Boundary(), Known, lambda _: list(events), meta)
        )
        return outcome.position

    async def operator(self) -> None:
        """The deployment has an operator with a key."""

        issued = OperatorKeyIssued(OperatorId(OPERATOR), CredentialId(OPERATOR_KEY), b"operator")
        await self.record(issued, key=None, tenant=DEPLOYMENT, may="operators:manage")

    def event_id(self, position: int, tenant: TenantId = PLANET_EXPRESS) -> str:

        return self.history.entries(tenant, Query(after=position - 1, until=position), 1)[0].meta.event_id


def _kind(key: str | None, by: str | None) -> str:
    if key is None:
        return "system"
    if key == OPERATOR_KEY:
        return "operator"
    if key.startswith("tok"):
        return "directory"
    return "user" if by and is_id(by, "usr") else "service"
