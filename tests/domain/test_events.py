"""Rules that every event and command obeys, because what they get wrong would be wrong for ever."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec
import pytest

import domain
from domain import capabilities
from domain.boundary import Boundary
from domain.capabilities import DECIDERS, ENDS_WITH, EVENTS, EVENTS_OF
from domain.command import Command
from domain.event import MOST_TAGS, SUBJECTS, Code, Event, Instant, Sealed, annotations_of, types_within
from domain.ids import DEPLOYMENT, KINDS, UserId, id_from, is_id, kind_of
from domain.ledger import Actor, Authority, Caller
from tests.domain.examples import EXAMPLES, value
from tests.domain.people import FRY, named
from tests.domain.world import running

every_event = pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
every_command = pytest.mark.parametrize("command", DECIDERS, ids=lambda command: command.__name__)

OF_THE_COMMAND = {"actor", "command", "correlation", "used", "address"}
"""Tags that say who caused an event, not what it is about."""
MOST_OF_THE_COMMAND = 5 + 4
"""One each, and four in a chain of delegation."""
ENDINGS = {"MemberRemoved", "RoleWithdrawn", "AssignmentExpired"}
"""Events that name a person and end what another event began."""


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(domain.__path__, "domain."):
        yield importlib.import_module(found.name)


def defined(base: type[Any]) -> set[type[Any]]:
    """Every class of the language that derives from this one."""
    classes = (each for module in modules() for each in vars(module).values() if inspect.isclass(each))
    return {each for each in classes if issubclass(each, base) and each is not base}


def test_every_event_is_listed_with_its_capability() -> None:
    listed = [event for of in EVENTS_OF.values() for event in of]
    assert set(listed) == defined(Event)
    assert len(listed) == len(set(listed)) == len(EVENTS)


def test_every_command_has_one_decider() -> None:
    assert set(DECIDERS) == defined(Command)
    modules_with_deciders = [
        module for module in modules() if hasattr(module, "decider") and module is not capabilities
    ]
    commands = [command for module in modules_with_deciders for command in module.decider.commands]
    assert len(commands) == len(set(commands))
    assert set(commands) == set(DECIDERS)


@every_event
def test_an_event_says_nothing_in_plain_text(event: type[Event]) -> None:
    """A name in an event can never be taken back: text is an id, a code of a restricted alphabet, or sealed."""
    allowed = SUBJECTS | {Code, Sealed, Instant, bytes, bool, int, type(None)}
    for name, annotation in annotations_of(event).items():
        if name in event.__struct_fields__:
            assert types_within(annotation) <= allowed, name


@every_event
def test_an_event_is_frozen(event: type[Event]) -> None:
    example = EXAMPLES[event.__name__]
    with pytest.raises(AttributeError):
        setattr(example, event.__struct_fields__[0], None)


@every_event
def test_every_id_in_an_event_is_a_tag(event: type[Event]) -> None:
    example = EXAMPLES[event.__name__]
    tags = example.subject_tags()
    for name, annotation in annotations_of(event).items():
        if name not in event.__struct_fields__ or not SUBJECTS & types_within(annotation):
            continue
        found = getattr(example, name)
        for each in found if isinstance(found, tuple) else (found,):
            assert f"{KINDS[each[:3]]}:{each}" in tags


@every_event
def test_whichever_kind_of_id_a_field_holds_gives_the_kind_of_the_tag(event: type[Event]) -> None:
    for name, annotation in annotations_of(event).items():
        for kind in SUBJECTS & types_within(annotation):
            id = value(name, kind, 77)
            if "tuple" in str(annotation):
                continue
            tags = msgspec.structs.replace(EXAMPLES[event.__name__], **{name: id}).subject_tags()
            assert f"{kind_of(id)}:{id}" in tags


@every_event
def test_an_absent_id_is_no_tag(event: type[Event]) -> None:
    hints = annotations_of(event)
    absent = {name: None for name in event.__struct_fields__ if type(None) in types_within(hints[name])}
    example = msgspec.structs.replace(EXAMPLES[event.__name__], **absent)
    assert not [tag for tag in example.subject_tags() if "None" in tag]


@every_event
def test_every_edge_and_name_is_a_tag(event: type[Event]) -> None:
    example = EXAMPLES[event.__name__]
    tags = example.subject_tags()
    for kind, left, right in event.edges:
        assert is_id(getattr(example, left), *KINDS)
        assert f"{kind}:{getattr(example, left)}/{getattr(example, right)}" in tags
    for kind, name in event.names:
        assert f"{kind}:{getattr(example, name)}" in tags


@every_event
def test_what_an_event_is_about_is_not_taken_for_who_caused_it(event: type[Event]) -> None:
    kinds = {tag.partition(":")[0] for tag in EXAMPLES[event.__name__].subject_tags()}
    assert not kinds & OF_THE_COMMAND


async def test_the_commands_own_tags_are_of_their_own_kinds() -> None:
    async with running() as world:
        command = next(command for command in DECIDERS if command.__name__ == "RotateOperatorKey")
        key = id_from("key", 1, bytes(10))
        caller = Caller(
            DEPLOYMENT,
            Actor("operator", "opr_nibbler"),
            Authority(command.permission, "dec_test"),
            "test",
            credential=key,
            on_behalf_of=("user:usr_one", "user:usr_two", "user:usr_three", "user:usr_four"),
            address="a" * 24,
        )
        await world.ledger.execute(command("opr_nibbler", key, b"hash"), caller)
        (entry,) = world.entries(DEPLOYMENT)
    of_the_command = [tag for tag in entry.meta.tags if tag not in entry.event.subject_tags()]
    assert {tag.partition(":")[0] for tag in of_the_command} == OF_THE_COMMAND
    assert len(of_the_command) == MOST_OF_THE_COMMAND


@every_event
def test_the_largest_event_of_the_longest_delegation_has_no_more_tags_than_allowed(event: type[Event]) -> None:
    tags = EXAMPLES[event.__name__].subject_tags()
    assert len(set(tags)) + MOST_OF_THE_COMMAND <= MOST_TAGS


PAST = {"Withdrawn", "SwitchedOff", "SwitchedOn", "HadNoEffect"}


@every_event
def test_an_event_is_in_the_past_tense(event: type[Event]) -> None:
    name = event.__name__
    assert name.endswith(("ed", *PAST)), name
    assert not name.endswith("Updated"), "say the fact"


@every_command
def test_a_command_is_a_wish(command: type[Command]) -> None:
    assert not command.__name__.endswith("ed")
    assert not hasattr(command, "subject_tags")


@every_command
def test_a_command_needs_a_permission(command: type[Command]) -> None:
    capability, _, right = command.permission.partition(":")
    assert capability.isalpha()
    assert right.isalpha()


@every_event
def test_what_a_person_holds_ends_with_the_person(event: type[Event]) -> None:
    """Each event names whom its thing ends with, if it gives a user something."""
    hints = annotations_of(event)
    holders = {name for name in event.__struct_fields__ if UserId in types_within(hints[name]) and name != "user"}
    if event.__name__ in ENDINGS:
        assert event.ends_with is None
        return
    assert ({event.ends_with} if event.ends_with else set()) == holders
    assert ENDS_WITH.get(event) == event.ends_with


def test_a_command_that_gives_something_asks_whether_the_person_is_there() -> None:
    """Who gives to a person must have seen the person's life; else it could be given after their end."""
    for command in DECIDERS:
        hints = annotations_of(command)  # type: ignore[arg-type]
        for name in command.__struct_fields__:
            if UserId not in types_within(hints[name]) or (hints[name] is UserId and name == "user"):
                continue
            boundary = filled(command, hints).boundary()
            person = value(name, UserId, command.__struct_fields__.index(name) + 1)
            named = {tag for item in boundary.items for tag in item.tags}
            assert f"user:{person}" in named or "tuple" in str(hints[name]), command.__name__


def filled(command: type[Command], hints: dict[str, Any]) -> Command:
    """A command with every field it must have, and a user wherever one may be."""
    fields = command.__struct_fields__
    required = fields[: len(fields) - len(command.__struct_defaults__)]
    users = {name for name in fields if UserId in types_within(hints[name])}
    values = {}
    for number, name in enumerate(fields, 1):
        if name in users and "tuple" not in str(hints[name]):
            values[name] = value(name, UserId, number)
        elif name in required:
            values[name] = named(FRY, "fry") if "Unique" in str(hints[name]) else _simple(name, hints[name], number)
    return command(**values)


def _simple(name: str, annotation: Any, number: int) -> Any:
    try:
        return value(name, annotation, number)
    except (KeyError, ValueError):
        return None


@every_command
def test_every_item_of_a_boundary_has_one_tag_and_names_types(command: type[Command]) -> None:
    """Each is answered by the latest event of each type with that tag: never by all events of something."""
    boundary: Boundary = filled(command, annotations_of(command)).boundary()  # type: ignore[arg-type]
    assert boundary.items, "nothing to see"
    for item in boundary.items:
        assert len(item.tags) == 1
        assert item.types
        kind = item.tags[0].partition(":")[0]
        for each in item.types:
            assert isinstance(each, type)
            assert kind in {tag.partition(":")[0] for tag in EXAMPLES[each.__name__].subject_tags()}, each
    for tally in boundary.tallies:
        assert tally.types
