"""Audit actions: schemas that only grow within a version, and the product's own events, each recorded once."""

import json
from typing import Any

import pytest

from domain.audit_actions.recording import ActionRecorded, KnownActions, RecordActions, tag_of
from domain.audit_actions.recording import decide as decide_recording
from domain.audit_actions.registering import (
    AuditActionRegistered,
    AuditActionRetired,
    RegisterAuditAction,
    RetireAuditAction,
)
from domain.audit_actions.schemas import MOST_BYTES, joined, normalised, parted
from domain.command import Missing, Refused
from domain.directory.life import SubjectErased
from domain.event import Code, Event, Instant, Recorded
from tests.domain.given import NOW, given
from tests.domain.people import FRY, PLANET_EXPRESS, deleted, provisioned, sealed

APPROVED = Code("invoice.approved")


def text(*required: str, **properties: Any) -> str:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return json.dumps({**schema, "required": list(required)} if required else schema)


AMOUNT = text(amount={"type": "integer", "minimum": 1})
WITH_NOTE = text(amount={"type": "integer", "minimum": 1}, note={"type": "string"})


def held(schema: str) -> Code:
    return Code(json.dumps(normalised(schema), separators=(",", ":")))


def registered(schema: str = AMOUNT, version: int = 1) -> AuditActionRegistered:
    return AuditActionRegistered(PLANET_EXPRESS, APPROVED, version, held(schema))


def register(schema: str = AMOUNT, version: int = 1) -> RegisterAuditAction:
    return RegisterAuditAction(PLANET_EXPRESS, APPROVED, version, Code(schema))


RETIRED = AuditActionRetired(PLANET_EXPRESS, APPROVED)


def test_an_action_is_registered_with_its_objects_closed() -> None:
    given().when(register()).then(registered())
    assert json.loads(registered().schema)["additionalProperties"] is False


def test_registering_the_same_again_changes_nothing() -> None:
    given(registered()).when(register()).then_nothing()


def test_a_version_grows() -> None:
    given(registered()).when(register(WITH_NOTE)).then(registered(WITH_NOTE))


def test_a_version_does_not_lose_anything() -> None:
    given(registered(WITH_NOTE)).when(register(AMOUNT)).then_refused("/note: a field can't be taken away")


def test_the_next_version_may_be_anything_else() -> None:
    given(registered(WITH_NOTE)).when(register(AMOUNT, 2)).then(registered(AMOUNT, 2))


@pytest.mark.parametrize("version", [3, 7])
def test_no_version_is_left_out(version: int) -> None:
    given(registered()).when(register(AMOUNT, version)).then_refused("the version must be 2")


def test_an_action_is_retired_once() -> None:
    given(registered()).when(RetireAuditAction(PLANET_EXPRESS, APPROVED)).then(RETIRED)
    given(registered(), RETIRED).when(RetireAuditAction(PLANET_EXPRESS, APPROVED)).then_nothing()
    given().when(RetireAuditAction(PLANET_EXPRESS, APPROVED)).then_refused("not registered", Missing)


def test_a_retired_action_is_taken_up_again_under_the_next_version() -> None:
    given(registered(), RETIRED).when(register()).then_refused("the version must be 2")
    given(registered(), RETIRED).when(register(AMOUNT, 2)).then(registered(AMOUNT, 2))


STRING, PLAIN, WORDS = {"type": "string"}, {"type": "string", "x-personal": False}, {"enum": ["a"], "type": "string"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (text(a=STRING), text(a={"type": "integer"})),
        (text(a=STRING), text(a={"type": "string", "maxLength": 5})),
        (text(a={"type": "string", "minLength": 1}), text(a={"type": "string", "minLength": 2})),
        (text(a=STRING), text(a=WORDS)),
        (text(a=WORDS), text(a={"type": "string", "enum": ["b"]})),
        (text(a=WORDS), text(a=STRING)),
        (text(a=STRING), text("a", a=STRING)),
        (text(a=STRING), text(a=PLAIN)),
        (text(a=PLAIN), text(a=STRING)),
        (text(a=STRING), text(a={"type": "string", "format": "date"})),
        (text(a={"type": ["string", "null"]}), text(a=STRING)),
        (text(a={"type": "number"}), text(a={"type": "integer"})),
        (text(a={"type": "array", "items": STRING}), text(a={"type": "array", "items": WORDS})),
        (
            text(a={"type": "object", "properties": {"b": STRING}}),
            text(a={"type": "object", "properties": {"b": STRING}, "x-personal": False}),
        ),
    ],
)
def test_what_would_refuse_or_reveal_what_was_valid_needs_a_new_version(old: str, new: str) -> None:
    given(registered(old)).when(register(new)).then_refused("register the schema under the next version")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (text("a", a=STRING), text(a=STRING)),
        (text(a={"type": "integer"}), text(a={"type": "number"})),
        (text(a=STRING), text(a={"type": ["string", "null"]})),
        (text(a={"type": "string", "maxLength": 5}), text(a={"type": "string", "maxLength": 6})),
        (text(a=WORDS), text(a={"type": "string", "enum": ["b", "a"]})),
        (text(a={"type": "string", "format": "date"}), text(a=STRING)),
    ],
)
def test_what_allows_more_is_growth(old: str, new: str) -> None:
    given(registered(old)).when(register(new)).then(registered(new))


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        "[]",
        "[" * 5000,
        '{"type": "array", "items": {"type": "string"}}',
        '{"type": "object", "$ref": "http://169.254.169.254/"}',
        '{"type": "object", "$schema": "http://json-schema.org/draft-04/schema#"}',
        text(a={"type": "string", "pattern": "(a+)+$"}),
        text(a={"type": "string", "format": "regex"}),
        text(a={"type": ["string", "integer"]}),
        text(a={"type": "string", "maxLength": -1}),
        text(a={"type": "string", "maxLength": True}),
        text(a={"type": "array"}),
        text(a={"type": "array", "items": PLAIN}),
        text(a={"type": "object", "additionalProperties": True}),
        text(a={"type": "string", "enum": []}),
        text(a={"type": "string", "enum": [{}]}),
        text(a={"type": "string", "x-personal": "no"}),
        text("b", a=STRING),
        text(**{"a/b": STRING}),
        text(**{f"a{number}": STRING for number in range(300)}),
        text(a={"type": "string", "description": "x" * MOST_BYTES}),
        text(
            a={
                "type": "object",
                "properties": {
                    "a": {
                        "type": "object",
                        "properties": {
                            "a": {
                                "type": "object",
                                "properties": {"a": {"type": "object", "properties": {"a": {"type": "null"}}}},
                            }
                        },
                    }
                },
            }
        ),
    ],
    ids=range(22),
)
def test_what_can_not_be_compared_or_bounded_is_no_schema(schema: str) -> None:
    with pytest.raises(Refused):
        normalised(schema)


def test_free_text_is_personal_and_the_rest_is_not_unless_it_is_marked() -> None:
    schema = normalised(
        text(
            note=STRING,
            code=PLAIN,
            state={"type": "string", "enum": ["open", "closed"]},
            amount={"type": "number"},
            salary={"type": "number", "x-personal": True},
            lines={"type": "array", "items": {"type": "object", "properties": {"text": STRING}}},
            sizes={"type": "array", "items": {"type": "integer"}},
            at={"type": "object", "properties": {"city": STRING, "floor": {"type": "integer"}}},
            free={"type": "object", "x-personal": False, "properties": {"city": STRING}},
            gone={"type": ["string", "null"]},
        )
    )
    said = {
        "note": "for Fry",
        "code": "X-1",
        "state": "open",
        "amount": 1.5,
        "salary": 3,
        "lines": [{"text": "a"}],
        "sizes": [1, 2],
        "at": {"city": "New New York", "floor": 3},
        "free": {"city": "Mars"},
        "gone": None,
    }
    plain, personal = parted(schema, said)
    assert personal == {
        "note": "for Fry",
        "salary": 3,
        "lines": [{"text": "a"}],
        "at": {"city": "New New York"},
        "gone": None,
    }
    assert plain == {
        "code": "X-1",
        "state": "open",
        "amount": 1.5,
        "sizes": [1, 2],
        "at": {"floor": 3},
        "free": {"city": "Mars"},
    }
    assert joined(plain, personal) == said


def recorded(id: str, actor: str = "customer/c-1", *targets: str) -> ActionRecorded:
    return ActionRecorded(APPROVED, 1, Code(id), NOW, Code(actor), tuple(Code(each) for each in targets), 7, False)


def record(*events: ActionRecorded, users: tuple[Any, ...] = ()) -> RecordActions:
    return RecordActions(tuple(each.id for each in events), users, events)


def decided(command: RecordActions, *history: Event) -> list[Event]:
    known = KnownActions(Instant(NOW))
    for position, event in enumerate(history, 1):
        known.evolve(Recorded(PLANET_EXPRESS, position, NOW, event))
    return decide_recording(command, known)


def test_events_are_recorded_in_their_order_and_each_id_once() -> None:
    one, two, three = recorded("one"), recorded("two"), recorded("three")
    assert decided(record(one, two, one)) == [one, two]
    assert decided(record(one, two, three), two) == [one, three]


def test_nothing_is_sealed_for_somebody_who_is_erased() -> None:
    fry, other = recorded("one", f"user/{FRY}"), recorded("two")
    command = record(fry, other, users=(FRY,))
    assert decided(command, provisioned(FRY)) == [fry, other]
    assert decided(command, provisioned(FRY), deleted(FRY, "fry")) == [fry, other]
    assert decided(command, provisioned(FRY), deleted(FRY, "fry"), SubjectErased(FRY, ())) == [other]
    assert decided(command) == [other]


def test_an_event_is_found_by_its_action_id_actor_and_targets() -> None:
    event = recorded("one", "customer/c-1", "invoice/i-1", f"user/{FRY}")
    assert event.subject_tags() == [
        "action:invoice.approved",
        "action_id:one",
        "acted:customer/c-1",
        "acted_on:invoice/i-1",
        f"user:{FRY}",
    ]
    assert tag_of("acted", "credential/key_one") == "credential:key_one"


def test_descriptions_are_compared_without_being_opened() -> None:
    said, other = sealed(PLANET_EXPRESS, "what it means"), sealed(PLANET_EXPRESS, "what else")
    before = AuditActionRegistered(PLANET_EXPRESS, APPROVED, 1, held(AMOUNT), said)
    again = RegisterAuditAction(PLANET_EXPRESS, APPROVED, 1, Code(AMOUNT), said)
    given(before).when(again).then_nothing()
    changed = RegisterAuditAction(PLANET_EXPRESS, APPROVED, 1, Code(AMOUNT), other)
    given(before).when(changed).then(AuditActionRegistered(PLANET_EXPRESS, APPROVED, 1, held(AMOUNT), other))
