"""Product events over REST: the product's own events, recorded by the batch, and read again."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
from fastapi import Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError

from api.acting import Acting, Reading
from api.audit import may_unseal
from api.audit_actions import ACTION
from api.bodies import Answer, Body, Cursor, Limit, next_cursor, place_of, router, time_text
from api.http.field_errors import field_errors
from api.http.json_body import at_most
from api.permitted import may, may_read
from api.recording import Batch, Given, NewEvent, Results
from api.trail_access import told
from domain.audit_actions.recording import MOST_AT_ONCE, ActionRecorded, tag_of
from domain.audit_actions.schemas import joined
from domain.event import Entry
from domain.ledger import Query as Asked

MayReadRecorded = Annotated[Reading, may_read("audit:read", stored=False)]
MayRecord = Annotated[Acting, may("audit:record")]
PARTY = r"^[a-z][a-z0-9_]{0,29}/[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"
MOST_BODY = 4 * 1024 * 1024

_SEALED: Final = ("personal", "called")

routes = router("product events")


class NewEvents(Body):
    events: Annotated[list[Given], Field(min_length=1, max_length=MOST_AT_ONCE)]


class RecordedParty(Answer):
    type: str
    id: str
    name: str | None


class RecordedEvent(Answer):
    """A product's event. What is sealed is left out, and named in `sealed`, unless the caller has people:unseal.

    What an erased person's keys sealed is named in `erased`.
    """

    position: int
    recorded_at: str
    id: str
    action: str
    version: int
    occurred_at: str
    actor: RecordedParty
    targets: list[RecordedParty]
    metadata: dict[str, Any]
    sealed: list[str]
    erased: list[str]


class RecordedEvents(Answer):
    items: list[RecordedEvent]
    next: str | None = None
    position: int


@routes.post("/tenants/{tenant}/audit-events")
@at_most(MOST_BODY)
async def record_audit_events(body: NewEvents, caller: MayRecord, request: Request) -> Results:
    """Record what happened in the product. Each event stands alone: what is refused does not stop the others."""

    def why_not(given: Any) -> str:
        try:
            NewEvent.model_validate(given)
        except ValidationError as invalid:
            errors, _ = field_errors(RequestValidationError(invalid.errors()), request.app)
            return "; ".join(f"{each.location}: {each.message}" for each in errors[:3])
        return "it is no event"

    batch = Batch(caller, why_not)
    for given in body.events:
        batch.add(given)
    return await batch.record()


PartyAsked = Annotated[str | None, Query(pattern=PARTY, description="As type/id.")]


@routes.get("/tenants/{tenant}/audit-events")
async def list_audit_events(
    reading: MayReadRecorded,
    action: Annotated[str | None, Query(pattern=ACTION, max_length=100)] = None,
    actor: PartyAsked = None,
    target: PartyAsked = None,
    id: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> RecordedEvents:
    """The product's events, the newest first, with all that is asked for; the trail has them among all others."""
    tags = [f"action:{action}"] if action else []
    tags += [tag_of("acted", actor)] if actor else []
    tags += [tag_of("acted_on", target)] if target else []
    tags += [f"action_id:{id}"] if id else []
    of = f"product events {tags}"
    place = place_of(reading, cursor, of)
    until = min(reading.at.position, int(place) - 1) if place else reading.at.position
    asked = Asked(tuple(tags), (ActionRecorded.__name__,), 0, until)
    found = await asyncio.to_thread(reading.node.history.entries, reading.tenant, asked, limit + 1, True)
    more = next_cursor(reading, str(found[limit - 1].position), of) if len(found) > limit else None
    unseals = may_unseal(reading)
    items = [_recorded_body(reading, each, unseals) for each in found[:limit]]
    opened = sum(_opened(each, entry) for each, entry in zip(items, found, strict=False)) if unseals else 0
    kinds = " ".join(each.partition(":")[0] for each in tags)  # whom it was about, only the ledger may say
    await reading.node.accesses.note(reading, "product_events", kinds, told((each.position for each in items), opened))
    return RecordedEvents(items=items, next=more, position=reading.at.position)


def _recorded_body(reading: Reading, entry: Entry, unseals: bool) -> RecordedEvent:
    event = _product_event(entry)
    held = [name for name in _SEALED if getattr(event, name) is not None]
    opened = {name: reading.open(name, getattr(event, name)) for name in held} if unseals else {}
    names, personal = opened.get("called"), opened.get("personal")
    called = msgspec.json.decode(names) if names else [None] * (1 + len(event.targets))
    actor, *targets = (
        _party_body(each, name) for each, name in zip((event.actor, *event.targets), called, strict=True)
    )
    return RecordedEvent(
        position=entry.position,
        recorded_at=time_text(entry.instant),
        id=event.id,
        action=event.action,
        version=event.version,
        occurred_at=time_text(event.occurred_at),
        actor=actor,
        targets=targets,
        metadata=joined(
            msgspec.json.decode(event.metadata) if event.metadata else {},
            msgspec.json.decode(personal) if personal else {},
        ),
        sealed=[] if unseals else held,
        erased=[name for name, value in opened.items() if value is None],
    )


def _product_event(entry: Entry) -> ActionRecorded:
    if not isinstance(entry.event, ActionRecorded):
        raise TypeError(f"{entry.event.type_name} is no product event")
    return entry.event


def _opened(body: RecordedEvent, entry: Entry) -> int:
    """How many personal values it shows."""
    return sum(1 for name in _SEALED if getattr(entry.event, name) is not None and name not in body.erased)


def _party_body(party: str, name: str | None) -> RecordedParty:
    type, _, id = party.partition("/")
    return RecordedParty(type=type, id=id, name=name)
