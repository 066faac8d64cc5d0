"""The ledger on a node: makes a command and its caller into work for the sequencer, and records refusals."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, Final

import msgspec

from adapters.fresh_ids import new_id
from domain import tenants
from domain.boundary import Boundary, Expectation
from domain.capabilities import DECIDERS
from domain.command import Command, Decider, Known, Missing, NotPermitted, Refused, Taken
from domain.event import Code, Event, Instant, Meta, Recorded
from domain.ids import DEPLOYMENT, TenantId
from domain.ledger import (
    Caller,
    CommandHadNoEffect,
    CommandRefused,
    NewKeys,
    Outcome,
    RefusalsSummarised,
    Sequencer,
    Work,
)

RECORDED_SINGLY: Final = 10
"""Refusals of one actor, command and reason within a window; more are summed up."""
WINDOW: Final = 60_000_000
MOST_COUNTED: Final = 10_000
MOST_DELEGATES: Final = 4


REFUSALS: Final = {each.__name__: each for each in (Refused, Missing, Taken, NotPermitted)}


@lru_cache(10_000)
def _alive(tenant: TenantId) -> Boundary:
    """What every command of a tenant must have seen."""
    return Boundary() if tenant == DEPLOYMENT else tenants.life_of(tenant)


class _Refusals:
    """How often one actor was refused one command for one reason in the window that runs."""

    __slots__ = ("by", "count", "first", "last")

    def __init__(self, now: int, by: Caller) -> None:
        self.first = self.last = now
        self.by = by
        self.count = 0


class LocalLedger:
    """See domain.ledger.Ledger."""

    def __init__(self, sequencer: Sequencer, clock: Callable[[], int]) -> None:
        self._sequencer = sequencer
        self._clock = clock
        self._refusals: OrderedDict[tuple[str, str, str, str], _Refusals] = OrderedDict()

    async def execute(
        self, command: Command, by: Caller, *, expects: Iterable[Expectation] = (), keys: NewKeys | None = None
    ) -> Outcome:
        _must_be_meant(command, by)
        decider = DECIDERS[type(command)]
        name = type(command).__name__
        work = Work(
            tenant=by.tenant,
            boundary=command.boundary() | _alive(by.tenant),
            then=lambda known: command.then(known.inner),
            begin=partial(_Alive, decider, by.tenant),
            decide=partial(self._decide, decider, command, name, by),
            meta=meta_of(by, name),
            expects=tuple(expects),
            holds=by.authority.holds,
            idempotency=by.idempotency,
            keys=keys,
        )
        return _answer(await self._sequencer.execute(work))

    async def refuse(self, name: str, by: Caller, reason: str, *, keys: NewKeys | None = None) -> None:
        """Record that a caller was not permitted to ask for this; then raises NotPermitted."""

        def decide(_: Any) -> list[Event]:
            return self._refused(name, by, reason, "NotPermitted")

        meta = meta_of(by, name)
        await self._sequencer.execute(
            Work(by.tenant, Boundary(), _nothing_more, Known, decide, meta, idempotency=by.idempotency, keys=keys)
        )
        raise NotPermitted(reason)

    async def summarise(self) -> None:
        """Record the sums of the windows that are over; a timer's. Without it the next refusal of a kind does it."""
        now = self._clock()
        for key in [key for key, counted in self._refusals.items() if now - counted.first > WINDOW]:
            counted = self._refusals.pop(key)
            if counted.count > RECORDED_SINGLY:
                summary = _summary(key[2], key[3], counted)
                meta = meta_of(msgspec.structs.replace(counted.by, idempotency=None), key[2])
                await self._sequencer.execute(
                    Work(counted.by.tenant, Boundary(), _nothing_more, Known, partial(_just, summary), meta)
                )

    def _decide(self, decider: Decider, command: Command, name: str, by: Caller, known: "_Alive") -> list[Event]:
        try:
            known.must_be_alive(command)
            events = decider.decide(command, known.inner)
        except Refused as refused:
            events = self._refused(name, by, refused.reason, type(refused).__name__) if known.has_history else []
            if not events:
                raise
            return events
        if not events and by.idempotency:
            return [CommandHadNoEffect(Code(name))]
        return events

    def _refused(self, name: str, by: Caller, reason: str, kind: str = "Refused") -> list[Event]:
        """The events that record a refusal: one each, until there are too many of a kind."""
        now = self._clock()
        key = (by.tenant, by.actor.id, name, reason)
        counted = self._refusals.get(key)
        events: list[Event] = []
        if counted is not None and now - counted.first > WINDOW:
            if counted.count > RECORDED_SINGLY:
                events.append(_summary(name, reason, counted))
            counted = None
        if counted is None:
            counted = self._refusals[key] = _Refusals(now, by)
            if len(self._refusals) > MOST_COUNTED:
                self._refusals.popitem(last=False)
        counted.count += 1
        counted.last = now
        if counted.count <= RECORDED_SINGLY or by.idempotency:
            events.append(CommandRefused(Code(name), Code(kind), Code(reason)))
        return events


_LIVES: Final[dict[type[Event], str]] = {
    tenants.TenantCreated: "active",
    tenants.TenantSuspended: "suspended",
    tenants.TenantResumed: "active",
    tenants.TenantDeleted: "deleted",
}


def _must_be_meant(command: Command, by: Caller) -> None:
    """A defect of ours, if not: a command about one tenant in another's history, or a chain that no event can carry."""
    about = getattr(command, "tenant", by.tenant)
    if about != by.tenant and by.tenant != DEPLOYMENT:
        raise ValueError(f"{type(command).__name__} names another tenant than its caller acts in")
    if len(by.on_behalf_of) > MOST_DELEGATES:
        raise Refused(f"the chain of delegation is longer than {MOST_DELEGATES}; act more directly")


class _Alive(Known):
    """What a capability knows, and whether the tenant is alive."""

    def __init__(self, decider: Decider, tenant: TenantId, now: Instant) -> None:
        super().__init__(now)
        self.inner = decider.begin(now)
        self.tallies = self.inner.tallies
        self._life = "active" if tenant == DEPLOYMENT else "none"

    def evolve(self, recorded: Recorded) -> None:
        life = _LIVES.get(type(recorded.event))
        if life is not None:
            self._life = life
            self.inner.tenant_deleted = life == "deleted"
        self.inner.evolve(recorded)

    @property
    def has_history(self) -> bool:
        """Whether there is a tenant: a refusal must not begin the history of one that was never created."""
        return self._life != "none"

    def must_be_alive(self, command: Command) -> None:
        if isinstance(command, tenants.CreateTenant):
            return
        if self._life == "none" or (self._life == "deleted" and not command.while_deleted):
            raise Missing("the tenant does not exist")
        if self._life == "suspended" and not command.while_suspended:
            raise Refused("the tenant is suspended; resume it first")


def meta_of(by: Caller, command: str) -> Meta:
    command_id = new_id("cmd")
    tags = [f"actor:{by.actor.id}", f"command:{command_id}", f"correlation:{by.correlation_id}"]
    tags += (f"actor:{each.partition(':')[2]}" for each in by.on_behalf_of)
    if by.credential:
        tags.append(f"used:{by.credential}")
    if by.address:
        tags.append(f"address:{by.address}")
    idempotency = by.idempotency
    return Meta(
        event_id="",
        actor_kind=by.actor.kind,
        actor_id=by.actor.id,
        on_behalf_of=by.on_behalf_of,
        credential_id=by.credential,
        authority_permission=by.authority.permission,
        authority_decision=by.authority.decision,
        authority_policies=by.authority.policies,
        authority_position=by.authority.position,
        command_id=command_id,
        causation_id=by.causation_id,
        correlation_id=by.correlation_id,
        idempotency_key=idempotency.key if idempotency else None,
        idempotency_body=idempotency.body if idempotency else None,
        request=by.request,
        request_address=by.address,
        tags=tuple(tags),
    )


def _nothing_more(_: Any) -> Boundary:
    return Boundary()


def _just(event: Event, _: Any) -> list[Event]:
    return [event]


def _summary(name: str, reason: str, counted: _Refusals) -> RefusalsSummarised:
    more = counted.count - RECORDED_SINGLY
    return RefusalsSummarised(Code(name), Code(reason), more, Instant(counted.first), Instant(counted.last))


def _answer(outcome: Outcome) -> Outcome:
    """A command that was refused is answered by its refusal, also when it is repeated."""
    last = outcome.events[-1] if outcome.events else None
    if isinstance(last, CommandRefused):
        raise REFUSALS.get(last.kind, Refused)(last.reason)
    if isinstance(last, CommandHadNoEffect):
        return Outcome(outcome.tenant, outcome.position, outcome.instant, (), outcome.repeated)
    return outcome
