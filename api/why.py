"""Why, over REST: a recorded decision taken again in the state and by the rules of then, and what it rested on."""

import asyncio
from typing import Annotated, Literal

from fastapi import Query

from api.acting import Reading
from api.audit import Who
from api.bodies import Answer, router, time_text
from api.http import problems
from api.permitted import may_read
from api.trail_access import told
from domain.access.check import Decision
from domain.event import Entry
from domain.ledger import CommandRefused, RefusalsSummarised
from replay.standing import TooMuchAbout
from replay.why import Step, Why, why, would

MayAskWhy = Annotated[Reading, may_read("replay:read", stored=False)]

routes = router("replay")


class Answered(Answer):
    """Yes or no, and because of what; `policies` are the roles that allowed it, or `key`, `operator`, `system`."""

    allowed: bool
    because: str
    policies: list[str]


class DecisionThen(Answer):
    """What was recorded. `allowed` is null for a summary of refusals; `because` is what a refused caller was told."""

    id: str
    permission: str
    allowed: bool | None
    because: str | None
    kind: str | None
    policies: list[str]
    position: int
    at: str
    actor: Who
    on_behalf_of: list[str]
    credential: str | None


class Link(Answer):
    """What held then. What another history than the tenant's own says is told in full to operators alone."""

    what: str
    position: int | None
    recorded_at: str | None
    type: str | None
    actor: Who | None
    on_behalf_of: list[str]
    credential: str | None


class WhyAnswer(Answer):
    """`verdict` says whether what is decided `again` is what was decided then; `missing` what it would take to say."""

    tenant: str
    position: int
    type: str
    recorded_at: str
    decision: DecisionThen
    verdict: Literal["same", "different", "undecidable"]
    again: Answered | None
    missing: list[str]
    path: list[Link]


class WouldAnswer(Answer):
    """What a credential of the tenant was answered at a moment, and what that rested on."""

    tenant: str
    position: int
    at: str
    credential: str
    permission: str
    decision: Answered
    path: list[Link]


@routes.get("/tenants/{tenant}/why")
async def say_why(
    reading: MayAskWhy,
    position: Annotated[int, Query(ge=1, le=2**53, description="The event whose decision is asked about.")],
) -> WhyAnswer:
    """Why what an event records was allowed, or refused: decided again in the state and by the rules of then."""
    found = await why_of(reading, position)
    await reading.node.accesses.note(reading, "why", f"at {position}", told([position]))
    return found


async def why_of(reading: Reading, position: int) -> WhyAnswer:
    """Raises Problem 404 beyond the moment that is read."""
    if position > reading.at.position:
        raise problems.not_found(f"the tenant's history ends at position {reading.at.position}")
    try:
        found = await asyncio.to_thread(why, reading.node.history, reading.tenant, position)
    except TooMuchAbout as problem:
        raise problems.unprocessable(str(problem)) from problem
    return why_body(reading, found)


@routes.get("/tenants/{tenant}/access")
async def say_what_a_credential_may(
    reading: MayAskWhy,
    credential: Annotated[str, Query(pattern=r"^(key|tok)_[0-9a-f]{32}$")],
    permission: Annotated[str, Query(pattern=r"^[a-z][a-z0-9_]{0,49}:[a-z][a-z0-9_]{0,49}$")],
) -> WouldAnswer:
    """Whether one of the tenant's credentials has a permission at the moment asked about, and because of what."""
    at, history = reading.at, reading.node.history
    try:
        found = await asyncio.to_thread(would, history, reading.tenant, credential, permission, at.position, at.instant)
    except TooMuchAbout as problem:
        raise problems.unprocessable(str(problem)) from problem
    return WouldAnswer(
        tenant=reading.tenant,
        position=at.position,
        at=time_text(at.instant),
        credential=credential,
        permission=permission,
        decision=answered(found.decision),
        path=[_link(reading, each) for each in found.path],
    )


def why_body(reading: Reading, found: Why) -> WhyAnswer:
    entry, recorded, meta = found.entry, found.recorded, found.entry.meta
    return WhyAnswer(
        tenant=entry.tenant,
        position=entry.position,
        type=entry.event.type_name,
        recorded_at=time_text(entry.instant),
        decision=DecisionThen(
            id=recorded.id,
            permission=recorded.permission,
            allowed=recorded.allowed,
            because=recorded.because,
            kind=recorded.kind,
            policies=list(recorded.policies),
            position=recorded.position,
            at=time_text(recorded.at),
            actor=_who(entry),
            on_behalf_of=list(meta.on_behalf_of),
            credential=meta.credential_id,
        ),
        verdict=found.verdict,
        again=answered(found.again) if found.again else None,
        missing=list(found.missing),
        path=[_link(reading, each) for each in found.path],
    )


def answered(decision: Decision) -> Answered:
    return Answered(allowed=decision.allowed, because=decision.because, policies=list(decision.policies))


def is_refusal(entry: Entry) -> bool:
    """Whether an event says that something did not happen."""
    return isinstance(entry.event, CommandRefused | RefusalsSummarised)


def _who(entry: Entry) -> Who:
    return Who(kind=entry.meta.actor_kind, id=entry.meta.actor_id)


def _link(reading: Reading, step: Step) -> Link:
    entry = step.entry
    if entry is None or (step.tenant != reading.tenant and not reading.credential.subject.operator):
        return Link(
            what=step.what, position=None, recorded_at=None, type=None, actor=None, on_behalf_of=[], credential=None
        )
    return Link(
        what=step.what,
        position=entry.position,
        recorded_at=time_text(entry.instant),
        type=entry.event.type_name,
        actor=_who(entry),
        on_behalf_of=list(entry.meta.on_behalf_of),
        credential=entry.meta.credential_id,
    )
