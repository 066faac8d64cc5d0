"""The ledger: the one way to change anything, and the words of its ports."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

import msgspec

from domain.boundary import Boundary, Expectation
from domain.command import Command, Known
from domain.event import Code, Entry, Event, Instant, Meta, Recorded, Sealed
from domain.ids import Handle, TenantId


class CommandRefused(Event):
    """An administrative command that the rules or permissions said no to. It names no subject but the attempt."""

    names = (("attempt", "command"),)
    command: Code
    kind: Code
    """Refused, Missing, Taken or NotPermitted."""
    reason: Code


class RefusalsSummarised(Event):
    """So many more refusals of one kind by one actor, from `first` to `last`."""

    names = (("attempt", "command"),)
    command: Code
    reason: Code
    count: int
    first: Instant
    last: Instant


class CommandHadNoEffect(Event):
    """A command with an idempotency key that changed nothing, so that its retry changes nothing later either."""

    names = (("attempt", "command"),)
    command: Code


class OpaqueRecorded(Event):
    """What the recorder face was given: a type and bytes that mean something to whoever wrote them."""

    names = (("opaque", "type"),)
    type: Code
    data: bytes

    @property
    def type_name(self) -> str:
        return "opaque:" + self.type


class Actor(msgspec.Struct, frozen=True):
    """Who acts: `kind` is user, agent, service, operator, directory, credential or system."""

    kind: str
    id: str


class Authority(msgspec.Struct, frozen=True):
    """What allowed a caller to act, and what would take it back."""

    permission: str
    decision: str
    policies: tuple[str, ...] = ()
    position: int = 0
    """How far the deciding view had read the tenant."""
    holds: tuple[Expectation, ...] = ()
    """What must not have happened since; else the decision is asked again."""


class Idempotency(msgspec.Struct, frozen=True):
    """A client's key, hashed together with the actor, and the hash of what it came with.

    Both are hashed with keys of the tenant; the body's is a key of the day, so that what was asked can't be guessed
    back once the key is destroyed. `body_before` is the same under the key of the day before, for retries.
    """

    key: bytes
    body: bytes
    body_before: bytes = b""


class Caller(msgspec.Struct, frozen=True):
    """Who asks, for whom, in which tenant, under what authority."""

    tenant: TenantId
    actor: Actor
    authority: Authority
    correlation_id: str
    credential: str | None = None
    on_behalf_of: tuple[str, ...] = ()
    causation_id: str | None = None
    idempotency: Idempotency | None = None
    request: Sealed | None = None
    address: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What became of a command: its events, which end at `position`; none if nothing changed."""

    tenant: TenantId
    position: int
    """The last event's, or the tenant's head if nothing was appended."""
    instant: Instant
    events: tuple[Event, ...]
    repeated: bool = False
    """Whether this answers a retry with what happened the first time."""


class QueueFull(Exception):
    """More is waiting than may wait; try again after `retry_after` seconds."""

    retry_after: Final = 1


class AuthorityChanged(Exception):
    """What allowed the caller has changed since; decide access again at `position` or later."""

    def __init__(self, tenant: TenantId, position: int) -> None:
        super().__init__(f"authority has changed at {tenant}:{position}")
        self.tenant = tenant
        self.position = position


class VersionChanged(Exception):
    """What the caller expected to be unchanged has changed."""


class KeyReused(Exception):
    """The idempotency key came with another body before."""


class NotReady(Exception):
    """The ledger accepts nothing now; the message says why and what to do."""


class TooLarge(Exception):
    """An event of more than 65,535 bytes; the message says by how much. Make several smaller ones."""


class NewKeys(msgspec.Struct):
    """Data keys and handles that the first event to need them brings into being."""

    keys: dict[str, tuple[str, bytes]] = {}
    """Key id → (subject, wrapped key)."""
    handles: dict[Handle, bytes] = {}
    """Handle → keyed hash of the value it stands for."""
    tenant_key: tuple[str, bytes] | None = None
    """The id of the tenant's key, and itself wrapped, if that has not been recorded yet."""


class Work(msgspec.Struct, frozen=True):
    """One command as the sequencer sees it."""

    tenant: TenantId
    boundary: Boundary
    then: Callable[[Any], Boundary]
    begin: Callable[[Instant], Known]
    decide: Callable[[Any], list[Event]]
    """Raises Refused."""
    meta: Meta
    """What all events of the command share; its tags are those that do not follow from the events."""
    expects: tuple[Expectation, ...] = ()
    holds: tuple[Expectation, ...] = ()
    idempotency: Idempotency | None = None
    keys: NewKeys | None = None


class Sequencer(Protocol):
    """The single writer of a partition.

    Commands are decided one after another, each against everything that was decided before it; a batch becomes durable
    in one commit, and only then is anybody answered, refusals included. Positions are dense per tenant. A failed commit
    leaves no trace, and a command that raises fails alone.
    """

    async def execute(self, work: Work) -> Outcome:
        """Raises Refused, AuthorityChanged, VersionChanged, KeyReused, QueueFull or NotReady."""
        ...


class Query(msgspec.Struct, frozen=True):
    """Which events of a tenant: any of the tags' sets (all tags of a set), any of the types, between two positions."""

    tags: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    """Event names; empty for all."""
    after: int = 0
    until: int | None = None
    """The last position that may be among them."""


class History(Protocol):
    """What has been recorded. Every answer is of one moment of the log."""

    def head(self, tenant: TenantId) -> tuple[int, Instant]:
        """The tenant's last position and its instant; (0, 0) if it has no history."""
        ...

    def entries(self, tenant: TenantId, query: Query, limit: int, newest_first: bool = False) -> Sequence[Entry]: ...

    def recorded(self, tenant: TenantId, query: Query, limit: int) -> Sequence[Recorded]:
        """Oldest first, without who and why: what folds need."""
        ...

    def latest(self, tenant: TenantId, tag: str, types: Sequence[str]) -> Sequence[Recorded]:
        """The latest event of each type with a tag, oldest first."""
        ...

    def instant_of(self, tenant: TenantId, position: int) -> Instant:
        """When a position was recorded; raises KeyError beyond the head."""
        ...

    def stored(self, tenant: TenantId, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """(position, stored bytes), exactly as they were written."""
        ...

    def position_at(self, tenant: TenantId, instant: Instant) -> int:
        """The last position recorded at or before an instant; 0 before the first."""
        ...

    def tenants(self) -> Sequence[TenantId]: ...


class Feed(Protocol):
    """Says when a tenant has grown."""

    async def wait(self, tenant: TenantId, beyond: int, timeout: float) -> int:
        """The tenant's head once it is beyond a position, or as it is after `timeout` seconds."""
        ...


class Ledger(Protocol):
    """The one way to change anything."""

    async def execute(
        self, command: Command, by: Caller, *, expects: Iterable[Expectation] = (), keys: NewKeys | None = None
    ) -> Outcome:
        """Decide and record. Raises what Sequencer.execute raises."""
        ...
