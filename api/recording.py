"""Recording: a product's own events on their way to the ledger, each judged by itself."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import Field, StringConstraints

from api.acting import Acting
from api.audit_actions import ActionName, Version
from api.bodies import Answer, Body, ShortText, Time, instant_of
from domain.audit_actions import recording, schemas
from domain.audit_actions.recording import MOST_TARGETS, ActionRecorded
from domain.audit_actions.registering import AuditActionRegistered, AuditActionRetired, key_of
from domain.directory import life
from domain.event import Code
from domain.ids import DEPLOYMENT, TenantId, UserId, is_id
from domain.ledger import Outcome

_EVENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
EventId = Annotated[str, StringConstraints(pattern=f"^{_EVENT_ID.pattern}$")]
PartyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
PartyType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]

MOST_METADATA: Final = 16_384
"""Bytes of an event's metadata, as JSON."""
MOST_VALUES: Final = 500
AHEAD: Final = 5 * 60 * 1_000_000
"""Microseconds that the product's clock may be before ours."""


class Party(Body):
    """Who acts, or on what: an id that names nobody, and the name, which is sealed."""

    type: PartyType
    id: PartyId
    name: ShortText | None = None


class NewEvent(Body):
    """`id` is the product's own: it is recorded once in a tenant, however often it is sent."""

    id: EventId
    action: ActionName
    version: Version = 1
    occurred_at: Time
    actor: Party
    targets: Annotated[list[Party], Field(max_length=MOST_TARGETS)] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)


Given = Annotated[NewEvent | dict[str, Any], Field(union_mode="left_to_right")]
"""What is no event is refused by itself, and the others are recorded."""


class Result(Answer):
    """What became of one event. `repeated`: its id was recorded before, at `position`."""

    id: str | None
    status: Literal["recorded", "repeated", "refused"]
    position: int | None = None
    because: str | None = None


class Results(Answer):
    """One for each event, in their order."""

    items: list[Result]
    recorded: int
    repeated: int
    refused: int
    position: int


class Registered(msgspec.Struct, frozen=True):
    """The schema that an event is checked by, and where it was registered."""

    text: str
    schema: schemas.Schema
    position: int
    shared: bool


class Batch:
    """Events of one call. `why_not` says what is wrong with something that is no event at all."""

    def __init__(self, caller: Acting, why_not: Callable[[Any], str]) -> None:
        self._caller = caller
        self._why_not = why_not
        self._now = caller.node.clock()
        self._results: list[Result | NewEvent] = []
        """What was refused, and what was not yet."""
        self._actions: dict[str, ActionRecorded] = {}
        self._users: dict[UserId, bool] = {}
        self._schemas: dict[tuple[str, int], Registered | None] = {}

    def add(self, given: NewEvent | dict[str, Any]) -> None:
        if not isinstance(given, NewEvent):
            id = given.get("id")
            known = id if isinstance(id, str) and _EVENT_ID.fullmatch(id) else None
            self._results.append(Result(id=known, status="refused", because=self._why_not(given)))
            return
        registered = self._schema_of(given.action, given.version)
        because = self._objection(given, registered)
        if because is not None or registered is None:
            self._results.append(Result(id=given.id, status="refused", because=because))
            return
        self._results.append(given)
        if given.id not in self._actions:
            self._actions[given.id] = self._made(given, registered)

    def _objection(self, event: NewEvent, registered: Registered | None) -> str | None:
        """Why an event can't be recorded."""
        if instant_of(event.occurred_at) > self._now + AHEAD:
            return "occurred_at: it lies in the future; look at the product's clock"
        if registered is None:
            return "action: it is not registered in this version; an operator can register it"
        metadata = event.metadata
        if len(msgspec.json.encode(metadata)) > MOST_METADATA:
            return f"metadata: it takes more than {MOST_METADATA} bytes as JSON; send less"
        if _values_in(metadata) > MOST_VALUES:
            return f"metadata: it has more than {MOST_VALUES} values; send fewer"
        if because := self._caller.node.schema_objection(registered.text, metadata):
            return because
        if is_id(event.actor.id, "usr") and not self._is_there(UserId(event.actor.id)):
            return "actor/id: the tenant has no such user, or the user was erased; send another id"
        if any(is_id(each.id, "usr") and each.name and each.id != event.actor.id for each in event.targets):
            return "targets/name: leave out what a user of the tenant is called: it could not be erased with the user"
        return None

    def _schema_of(self, action: str, version: int) -> Registered | None:
        """By the tenant's own action of this name; if it has none, by the deployment's."""
        key = (action, version)
        if key not in self._schemas:
            own = self._caller.tenant
            self._schemas[key] = self._registered(own if self._is_open(own, action) else DEPLOYMENT, action, version)
        return self._schemas[key]

    def _is_open(self, tenant: TenantId, action: str) -> bool:
        types = (AuditActionRegistered.__name__, AuditActionRetired.__name__)
        latest = self._caller.node.history.latest(tenant, f"action_schema:{action}", types)
        return bool(latest) and isinstance(latest[-1].event, AuditActionRegistered)

    def _registered(self, tenant: TenantId, action: str, version: int) -> Registered | None:
        latest = self._caller.node.history.latest
        found = latest(tenant, f"action_version:{key_of(action, version)}", (AuditActionRegistered.__name__,))
        retired = latest(tenant, f"action_schema:{action}", (AuditActionRetired.__name__,))
        if not found or (retired and retired[-1].position > found[-1].position):
            return None
        text = found[-1].event.schema  # type: ignore[attr-defined]
        return Registered(text, msgspec.json.decode(text), found[-1].position, tenant == DEPLOYMENT)

    def _is_there(self, user: UserId) -> bool:
        """Whether what is sealed under the user's key can be erased with the user."""
        if user not in self._users:
            types = (life.UserProvisioned.__name__, life.SubjectErased.__name__)
            latest = self._caller.node.history.latest(self._caller.tenant, f"user:{user}", types)
            self._users[user] = bool(latest) and isinstance(latest[-1].event, life.UserProvisioned)
        return self._users[user]

    def _made(self, event: NewEvent, registered: Registered) -> ActionRecorded:
        plain, personal = schemas.parted(registered.schema, event.metadata)
        names = [event.actor.name, *(each.name for each in event.targets)]
        caller, actor = self._caller, event.actor.id
        subject = actor if is_id(actor, "usr") else caller.tenant
        return ActionRecorded(
            action=Code(event.action),
            version=event.version,
            id=Code(event.id),
            occurred_at=instant_of(event.occurred_at),
            actor=_party(event.actor),
            targets=tuple(_party(each) for each in event.targets),
            schema_position=registered.position,
            shared=registered.shared,
            metadata=Code(_json(plain)) if plain else None,
            personal=caller.seal(subject, "personal", _json(personal)) if personal else None,
            called=caller.seal(subject, "called", _json(names)) if any(names) else None,
        )

    async def record(self) -> Results:
        """In one commit: all that were not refused, or none."""
        actions, caller = tuple(self._actions.values()), self._caller
        positions, last = dict[str, int](), caller.node.feed.head(caller.tenant)
        if actions:
            users = tuple(user for user, is_there in self._users.items() if is_there)
            outcome = await caller.execute(recording.RecordActions(tuple(each.id for each in actions), users, actions))
            positions, last = _positions(outcome), outcome.position
        told = set[str]()
        items = [self._result(each, positions, told) for each in self._results]
        of = Counter(each.status for each in items)
        return Results(
            items=items, recorded=of["recorded"], repeated=of["repeated"], refused=of["refused"], position=last
        )

    def _result(self, event: Result | NewEvent, positions: dict[str, int], told: set[str]) -> Result:
        if isinstance(event, Result):
            return event
        if event.id in positions:
            first = event.id not in told
            told.add(event.id)
            return Result(id=event.id, status="recorded" if first else "repeated", position=positions[event.id])
        history, tenant = self._caller.node.history, self._caller.tenant
        before = history.latest(tenant, f"action_id:{event.id}", (ActionRecorded.__name__,))
        if not before:
            return Result(id=event.id, status="refused", because="actor/id: the user was erased meanwhile")
        return Result(id=event.id, status="repeated", position=before[-1].position)


def _positions(outcome: Outcome) -> dict[str, int]:
    """Where each event of a command lies; they follow each other."""
    first = outcome.position - len(outcome.events) + 1
    return {
        each.id: position for position, each in enumerate(outcome.events, first) if isinstance(each, ActionRecorded)
    }


def _party(party: Party) -> Code:
    return Code(f"{party.type}/{party.id}")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _values_in(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(_values_in(each) for each in value.values())
    if isinstance(value, list):
        return 1 + sum(_values_in(each) for each in value)
    return 1
