"""What if, over REST: a copy of history is edited, and what would have been decided otherwise is told."""

import asyncio
from itertools import islice
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import Field

from api.acting import Reading
from api.audit import Who
from api.bodies import Answer, Body, PermissionName, router, time_text
from api.http import problems
from api.permitted import may_read
from domain.capabilities import EVENTS
from domain.event import Event, Sealed, annotations_of, types_within
from domain.ids import Handle
from replay.edits import Add, Edit, LeaveOut, Move, NoSuchEvent, Permit, Plan
from replay.parted import AccessFlip, CredentialFlip, Opens
from replay.standing import DECIDING
from replay.what_if import Flip, Walked, standing_before, what_if

MayAskWhatIf = Annotated[Reading, may_read("replay:read", stored=False)]
MOST_TOLD: Final = 10_000
_MOST_TEXT: Final = 300
_ADDABLE: Final = frozenset(event for view in DECIDING for event in view.follows)
_NOTHING: Final = Sealed("none", b"", b"", b"")

routes = router("replay")
Position = Annotated[int, Field(ge=1, le=2**53)]
After = Annotated[int, Field(ge=0, le=2**53, description="The position after which it stands; 0: before everything.")]


class LeaveOutEdit(Body):
    """As if these had not happened: positions, or all that was done with a credential between two positions."""

    edit: Literal["leave_out"]
    positions: Annotated[list[Position], Field(max_length=10_000)] = Field(default_factory=list)
    credential: Annotated[str, Field(pattern=r"^(key|tok)_[a-z0-9_]{1,60}$")] | None = None
    from_position: Position = 1
    to_position: Position | None = None


class AddEdit(Body):
    """As if this had happened. `type` is an event that access can depend on, `fields` its own; sealed ones are not."""

    edit: Literal["add"]
    after: After
    type: Annotated[str, Field(pattern=r"^[A-Za-z]{1,60}$")]
    fields: dict[str, Any]


class MoveEdit(Body):
    """As if this had happened elsewhere."""

    edit: Literal["move"]
    position: Position
    after: After


class PermitEdit(Body):
    """As if a role had permitted just this from a position on, or an API key ever since its issue."""

    edit: Literal["permit"]
    of: Annotated[str, Field(pattern=r"^(rol|key)_[0-9a-f]{32}$")]
    permissions: Annotated[list[PermissionName], Field(max_length=200)]
    from_position: Position = 1


AnyEdit = Annotated[LeaveOutEdit | AddEdit | MoveEdit | PermitEdit, Field(discriminator="edit")]


class Question(Body):
    """`mode` closed: what rests on something that would not have been is left out too; open: it is told and stays."""

    edits: Annotated[list[AnyEdit], Field(min_length=1, max_length=100)]
    mode: Literal["closed", "open"] = "closed"
    to_position: Position | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_TOLD)] = 1_000


class FlippedDecision(Answer):
    """A recorded decision, or an event, that would not have been as it was."""

    position: int
    recorded_at: str
    type: str
    decision: str
    permission: str
    actor: Who
    credential: str | None
    was: Literal["allowed", "refused"]
    would: Literal["allowed", "refused"]
    because: str
    left_out: bool


class OpensBody(Answer):
    """`state` is `open`, `none` (there is no such credential), or why it opens nothing."""

    state: str
    permissions: list[str]


class FlippedCredential(Answer):
    """A credential that would open something else at the end; `first` is where its history parted."""

    credential: str
    was: OpensBody
    would: OpensBody
    first: int


class FlippedAccess(Answer):
    """A person whose roles would permit something else at the end."""

    subject: str
    lost: list[str]
    gained: list[str]
    first: int


class WhatIf(Answer):
    """`first` is the first position at which anything flips; null if nothing does. Lists are cut at `limit`."""

    tenant: str
    mode: Literal["closed", "open"]
    from_position: int
    to_position: int
    events: int
    decisions: int
    first: int | None
    flipped: int
    left_out: int
    followed: int
    undecidable: int
    life: dict[str, str] | None
    flips: list[FlippedDecision]
    credentials: list[FlippedCredential]
    access: list[FlippedAccess]
    complete: bool


@routes.post("/tenants/{tenant}/what-if")
async def ask_what_if(body: Question, reading: MayAskWhatIf) -> WhatIf:
    """Every recorded decision, credential and access that would be other in the edited history, and from where."""
    until = min(body.to_position or reading.at.position, reading.at.position)
    edits = [edit_of(each) for each in body.edits]
    return await what_if_of(reading, edits, until, closed=body.mode == "closed", limit=body.limit)


async def what_if_of(reading: Reading, edits: list[Edit], until: int, *, closed: bool, limit: int) -> WhatIf:
    """Raises Problem 422 for edits of what is not there, and 429 while another history is folded on this node."""
    node = reading.node
    if node.verifying.locked():
        raise problems.too_many_requests(5, "another history is being folded on this node; ask again in a moment")
    async with node.verifying:
        try:
            return await asyncio.to_thread(_asked, reading, edits, until, closed, limit)
        except NoSuchEvent as problem:
            raise problems.unprocessable(str(problem)) from problem


def _asked(reading: Reading, edits: list[Edit], until: int, closed: bool, limit: int) -> WhatIf:
    history, tenant = reading.node.history, reading.tenant
    plan = Plan(history, tenant, edits, until)
    start = standing_before(history, tenant, plan.first, reading.node.snapshots)
    return _told(reading, what_if(history, tenant, plan, until, closed=closed, most=limit, start=start), closed, limit)


def _told(reading: Reading, found: Walked, closed: bool, limit: int) -> WhatIf:
    at, parted = reading.at.instant, found.parted
    credentials = list(islice(parted.credentials(at), limit + 1))
    access = list(islice(parted.access(at), limit + 1))
    was, would = parted.life()
    firsts = [each.entry.position for each in found.flips[:1]]
    firsts += [each.first for each in credentials if each.first]
    firsts += [each.first for each in access if each.first]
    return WhatIf(
        tenant=reading.tenant,
        mode="closed" if closed else "open",
        from_position=min(found.first, found.until),
        to_position=found.until,
        events=found.events,
        decisions=found.decisions,
        first=min(firsts, default=None),
        flipped=found.flipped,
        left_out=found.left_out,
        followed=found.followed,
        undecidable=found.undecidable,
        life={"was": was, "would": would} if was != would else None,
        flips=[_flip(each) for each in found.flips],
        credentials=[_credential(each) for each in credentials[:limit]],
        access=[_access(each) for each in access[:limit]],
        complete=found.flipped == len(found.flips) and max(len(credentials), len(access)) <= limit,
    )


def edit_of(body: LeaveOutEdit | AddEdit | MoveEdit | PermitEdit) -> Edit:
    """Raises Problem 422."""
    match body:
        case LeaveOutEdit():
            if not body.positions and body.credential is None:
                raise problems.unprocessable("leave_out names neither positions nor a credential: name one")
            return LeaveOut(frozenset(body.positions), body.credential, body.from_position, body.to_position)
        case AddEdit():
            return Add(body.after, event_of(body.type, body.fields))
        case MoveEdit():
            return Move(body.position, body.after)
        case PermitEdit():
            return Permit(body.of, tuple(sorted(set(body.permissions))), body.from_position)


def event_of(type_name: str, fields: dict[str, Any]) -> Event:
    """An event that nobody recorded, of the fields that were given. Raises Problem 422."""
    kind = EVENTS.get(type_name)
    if kind is None or kind not in _ADDABLE:
        known = ", ".join(sorted(each.__name__ for each in _ADDABLE))
        raise problems.unprocessable(f"only events that access depends on can be added: {known}")
    given = dict(fields)
    for name, hint in annotations_of(kind).items():
        leaves = types_within(hint)
        if Sealed in leaves:
            if given.get(name) is not None:
                raise problems.unprocessable(f"{name} is sealed: leave it out, no decision depends on it")
            given[name] = None if type(None) in leaves else _NOTHING
        elif Handle in leaves:
            given.setdefault(name, None if type(None) in leaves else "hdl_none")
        elif bytes in leaves:
            given[name] = b""
    try:
        event: Event = msgspec.convert(given, kind)
    except (msgspec.ValidationError, ValueError, TypeError):
        wanted = ", ".join(name for name in kind.__struct_fields__ if name not in _never_given(kind))
        raise problems.unprocessable(f"the fields are not those of {type_name}, which has {wanted}") from None
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, str) and not 0 < len(value) <= _MOST_TEXT:
            raise problems.unprocessable(f"a text of an event that is added has 1 to {_MOST_TEXT} characters")
    return event


def _never_given(kind: type[Event]) -> frozenset[str]:
    hints = annotations_of(kind).items()
    return frozenset(name for name, hint in hints if {Sealed, bytes, Handle} & types_within(hint))


def _flip(flip: Flip) -> FlippedDecision:
    entry, meta = flip.entry, flip.entry.meta
    return FlippedDecision(
        position=entry.position,
        recorded_at=time_text(entry.instant),
        type=entry.event.type_name,
        decision=meta.authority_decision,
        permission=meta.authority_permission,
        actor=Who(kind=meta.actor_kind, id=meta.actor_id),
        credential=meta.credential_id,
        was="allowed" if flip.was else "refused",
        would="allowed" if flip.would else "refused",
        because=flip.because,
        left_out=flip.left_out,
    )


def _credential(flip: CredentialFlip) -> FlippedCredential:
    return FlippedCredential(
        credential=flip.credential, was=opens_body(flip.was), would=opens_body(flip.would), first=flip.first
    )


def opens_body(opens: Opens) -> OpensBody:
    return OpensBody(state=opens.state, permissions=list(opens.permissions))


def _access(flip: AccessFlip) -> FlippedAccess:
    return FlippedAccess(subject=flip.subject, lost=list(flip.lost), gained=list(flip.gained), first=flip.first)
