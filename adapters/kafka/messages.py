"""What nodes say to each other: a command for the tenant's owner, and what became of it."""

from typing import Any, Final

import msgspec

from adapters.kafka.owner import Moved
from domain.boundary import Expectation, Item
from domain.capabilities import DECIDERS, EVENTS
from domain.command import Command, Missing, NotPermitted, Refused, Taken
from domain.event import Event, Instant, Sealed
from domain.ids import Handle, TenantId
from domain.ledger import (
    Actor,
    Authority,
    AuthorityChanged,
    Caller,
    Idempotency,
    KeyReused,
    NewKeys,
    NotReady,
    Outcome,
    QueueFull,
    TooLarge,
    VersionChanged,
)

COMMANDS: Final = {each.__name__: each for each in DECIDERS}


class NotUnderstood(ValueError):
    """A message of another version, or of nobody's: the nodes of a deployment must run the same version."""


class _Expected(msgspec.Struct, array_like=True):
    tags: tuple[str, ...]
    types: tuple[str, ...]
    tenant: str | None
    after: int


class _By(msgspec.Struct):
    tenant: str
    actor: Actor
    permission: str
    decision: str
    policies: tuple[str, ...]
    position: int
    holds: tuple[_Expected, ...]
    correlation_id: str
    credential: str | None
    on_behalf_of: tuple[str, ...]
    causation_id: str | None
    idempotency: Idempotency | None
    request: Sealed | None
    address: str | None


class _Asked(msgspec.Struct):
    command: str
    fields: msgspec.Raw
    """Of the command; nothing for a refusal."""
    by: _By
    expects: tuple[_Expected, ...]
    keys: NewKeys | None
    refusal: str | None = None
    """Why the command is refused before it is decided, so that this is recorded."""


class _Said(msgspec.Struct):
    position: int = 0
    instant: int = 0
    events: tuple[tuple[str, msgspec.Raw], ...] = ()
    repeated: bool = False
    problem: str | None = None
    reason: str = ""
    tenant: str = ""


class Asked(msgspec.Struct):
    """A command, or with `refusal` the wish that its refusal is recorded."""

    name: str
    command: Command | None
    by: Caller
    expects: tuple[Expectation, ...]
    keys: NewKeys | None
    refusal: str | None


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_asked: Final = msgspec.msgpack.Decoder(_Asked).decode
_decode_said: Final = msgspec.msgpack.Decoder(_Said).decode


def encode_asked(asked: Asked) -> bytes:
    by, authority = asked.by, asked.by.authority
    return _encode(
        _Asked(
            asked.name,
            msgspec.Raw(_encode(asked.command)),
            _By(
                by.tenant,
                by.actor,
                authority.permission,
                authority.decision,
                authority.policies,
                authority.position,
                tuple(map(_expected, authority.holds)),
                by.correlation_id,
                by.credential,
                by.on_behalf_of,
                by.causation_id,
                by.idempotency,
                by.request,
                by.address,
            ),
            tuple(map(_expected, asked.expects)),
            asked.keys,
            asked.refusal,
        )
    )


def decode_asked(data: bytes) -> Asked:
    """Raises NotUnderstood."""
    try:
        asked = _decode_asked(data)
        kind = COMMANDS.get(asked.command)
        command = None
        if asked.refusal is None:
            if kind is None:
                raise NotUnderstood(f"there is no command {asked.command[:40]}")
            command = msgspec.msgpack.decode(asked.fields, type=kind)
    except msgspec.MsgspecError as problem:
        raise NotUnderstood("the message is not a command as this version knows it") from problem
    by = asked.by
    caller = Caller(
        TenantId(by.tenant),
        by.actor,
        Authority(by.permission, by.decision, by.policies, by.position, tuple(map(_expectation, by.holds))),
        by.correlation_id,
        by.credential,
        by.on_behalf_of,
        by.causation_id,
        by.idempotency,
        by.request,
        by.address,
    )
    keys = asked.keys
    if keys is not None:
        keys.handles = {Handle(handle): lookup for handle, lookup in keys.handles.items()}
    return Asked(asked.command, command, caller, tuple(map(_expectation, asked.expects)), keys, asked.refusal)


def encode_outcome(outcome: Outcome) -> bytes:
    events = tuple((type(event).__name__, msgspec.Raw(_encode(event))) for event in outcome.events)
    return _encode(_Said(outcome.position, outcome.instant, events, outcome.repeated))


def encode_problem(problem: Exception) -> bytes | None:
    """None for what no caller can be told: a defect."""
    name = next((name for name, kind in _PROBLEMS.items() if type(problem) is kind), None)
    if name is None:
        return None
    if isinstance(problem, AuthorityChanged):
        return _encode(_Said(position=problem.position, problem=name, tenant=problem.tenant))
    reason = problem.reason if isinstance(problem, Refused) else str(problem)
    return _encode(_Said(problem=name, reason=reason))


def decode_said(tenant: TenantId, data: bytes) -> Outcome:
    """Raises what the owner raised, or NotUnderstood."""
    try:
        said = _decode_said(data)
        if said.problem is None:
            events = tuple(_event(name, fields) for name, fields in said.events)
            return Outcome(tenant, said.position, Instant(said.instant), events, said.repeated)
    except msgspec.MsgspecError as problem:
        raise NotUnderstood("the answer is not one that this version knows") from problem
    kind = _PROBLEMS.get(said.problem)
    if kind is None:
        raise NotUnderstood("the answer is a problem that this version does not know")
    if kind is AuthorityChanged:
        raise AuthorityChanged(TenantId(said.tenant), said.position)
    raise kind(said.reason) if said.reason else kind()


_PROBLEMS: Final[dict[str, Any]] = {
    each.__name__: each
    for each in (
        Refused,
        Missing,
        Taken,
        NotPermitted,
        AuthorityChanged,
        VersionChanged,
        KeyReused,
        QueueFull,
        NotReady,
        TooLarge,
        Moved,
    )
}


def _event(name: str, fields: msgspec.Raw) -> Event:
    kind = EVENTS.get(name)
    if kind is None:
        raise NotUnderstood(f"there is no event {name[:40]}")
    event: Event = msgspec.msgpack.decode(fields, type=kind)
    return event


def _expected(expectation: Expectation) -> _Expected:
    item = expectation.item
    types = tuple(each if isinstance(each, str) else each.__name__ for each in item.types)
    return _Expected(item.tags, types, item.tenant, expectation.after)


def _expectation(expected: _Expected) -> Expectation:
    tenant = None if expected.tenant is None else TenantId(expected.tenant)
    return Expectation(Item(expected.tags, expected.types, tenant), expected.after)
