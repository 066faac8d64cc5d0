"""Flags: defined with their variants, told by default or by target, switched off and on, archived."""

import pytest

from domain.command import Command, Missing, Refused, Taken
from domain.event import Code
from domain.flags import (
    ArchiveFlag,
    ChangeFlagDefault,
    DefineFlag,
    FlagArchived,
    FlagDefaultChanged,
    FlagDefined,
    FlagSwitchedOff,
    FlagSwitchedOn,
    FlagTargeted,
    SwitchFlagOff,
    SwitchFlagOn,
    TargetFlag,
)
from tests.domain.given import given
from tests.domain.people import DARK, FAST, FRY, LEELA, PLANET_EXPRESS, deleted, flag, provisioned, sealed

ON, OFF, MAYBE = Code("on"), Code("off"), Code("maybe")
THERE = flag(DARK)
KEY = Code("dark")
ARCHIVED = FlagArchived(DARK, KEY)


def define(kind: str, variants: str, default: str = "a", off: str = "a") -> DefineFlag:
    return DefineFlag(DARK, KEY, Code(kind), Code(variants), Code(default), Code(off))


@pytest.mark.parametrize(
    ("kind", "variants"),
    [
        ("boolean", '{"a":true,"b":false}'),
        ("string", '{"a":"","b":"Ω"}'),
        ("number", '{"a":1,"b":-2.5e3}'),
        ("object", '{"a":{},"b":{"deep":[1,{"er":null}]}}'),
    ],
)
def test_a_flag_of_each_kind_is_defined(kind: str, variants: str) -> None:
    description = sealed(DARK, "night colours")
    command = DefineFlag(DARK, KEY, Code(kind), Code(variants), Code("a"), Code("b"), description)
    event = FlagDefined(DARK, KEY, Code(kind), Code(variants), Code("a"), Code("b"), description)
    given().when(command).then(event)


@pytest.mark.parametrize(
    ("kind", "variants"),
    [
        ("boolean", '{"a":1}'),
        ("boolean", '{"a":true,"b":"true"}'),
        ("string", '{"a":null}'),
        ("number", '{"a":"1"}'),
        ("number", '{"a":true}'),
        ("number", '{"a":NaN}'),
        ("object", '{"a":[]}'),
        ("object", "[" * 100_000),
        ("object", '{"a":' * 100_000),
        ("string", '["a"]'),
        ("string", ""),
        ("string", "a"),
        ("string", '{"a":"\ud800"}'),
    ],
)
def test_variants_are_values_of_their_kind(kind: str, variants: str) -> None:
    given().when(define(kind, variants)).then_refused(f"names and values of kind {kind}", Refused)


def test_a_flag_has_a_kind_that_openfeature_knows() -> None:
    given().when(define("date", '{"a":1}')).then_refused("must be one of boolean, string, number, object", Refused)


def test_the_default_and_the_off_variant_are_variants() -> None:
    variants = '{"a":true}'
    given().when(define("boolean", variants, default="b")).then_refused("no such variant", Refused)
    given().when(define("boolean", variants, off="b")).then_refused("no such variant", Refused)
    given().when(define("boolean", "{}")).then_refused("no such variant", Refused)


def test_a_flag_is_defined_once() -> None:
    command = DefineFlag(DARK, Code("other"), THERE.kind, THERE.variants, ON, OFF)
    given(THERE).when(command).then_refused("the flag exists already", Taken)
    given(THERE, ARCHIVED).when(command).then_refused("the flag exists already", Taken)


def test_a_key_is_one_flags_until_it_is_archived() -> None:
    command = DefineFlag(FAST, KEY, THERE.kind, THERE.variants, ON, OFF)
    event = FlagDefined(FAST, KEY, THERE.kind, THERE.variants, ON, OFF)
    given(THERE).when(command).then_refused("another flag has this key", Taken)
    given(THERE, ARCHIVED).when(command).then(event)
    again = DefineFlag(DARK, KEY, THERE.kind, THERE.variants, ON, OFF)
    given(THERE, ARCHIVED, event).when(again).then_refused("exists already", Taken)


def test_the_default_is_changed() -> None:
    given(THERE).when(ChangeFlagDefault(DARK, ON)).then(FlagDefaultChanged(DARK, ON))
    changed = FlagDefaultChanged(DARK, ON)
    given(THERE, changed).when(ChangeFlagDefault(DARK, OFF)).then(FlagDefaultChanged(DARK, OFF))


def test_the_default_as_it_is_changes_nothing() -> None:
    given(THERE).when(ChangeFlagDefault(DARK, OFF)).then_nothing()
    given(THERE, FlagDefaultChanged(DARK, ON)).when(ChangeFlagDefault(DARK, ON)).then_nothing()


def test_tenants_and_users_are_told_another_variant() -> None:
    given(THERE).when(TargetFlag(DARK, PLANET_EXPRESS, ON)).then(FlagTargeted(DARK, PLANET_EXPRESS, ON))
    given(THERE, provisioned(FRY)).when(TargetFlag(DARK, FRY, ON)).then(FlagTargeted(DARK, FRY, ON))


def test_a_target_is_changed_and_taken_away() -> None:
    targeted = THERE, provisioned(FRY), FlagTargeted(DARK, FRY, ON)
    given(*targeted).when(TargetFlag(DARK, FRY, OFF)).then(FlagTargeted(DARK, FRY, OFF))
    given(*targeted).when(TargetFlag(DARK, FRY, None)).then(FlagTargeted(DARK, FRY, None))


def test_a_target_as_it_is_changes_nothing() -> None:
    targeted = THERE, provisioned(FRY), FlagTargeted(DARK, FRY, ON)
    given(*targeted).when(TargetFlag(DARK, FRY, ON)).then_nothing()
    given(THERE, provisioned(FRY)).when(TargetFlag(DARK, FRY, None)).then_nothing()
    given(*targeted, FlagTargeted(DARK, FRY, None)).when(TargetFlag(DARK, FRY, None)).then_nothing()


def test_one_target_says_nothing_about_another() -> None:
    history = THERE, flag(FAST), provisioned(FRY), provisioned(LEELA), FlagTargeted(DARK, FRY, ON)
    given(*history).when(TargetFlag(DARK, LEELA, ON)).then(FlagTargeted(DARK, LEELA, ON))
    given(*history).when(TargetFlag(FAST, FRY, ON)).then(FlagTargeted(FAST, FRY, ON))


def test_who_is_not_there_is_told_nothing() -> None:
    given(THERE).when(TargetFlag(DARK, FRY, ON)).then_refused("the user does not exist", Missing)
    gone = THERE, provisioned(FRY), FlagTargeted(DARK, FRY, ON), deleted(FRY)
    given(*gone).when(TargetFlag(DARK, FRY, OFF)).then_refused("the user does not exist", Missing)
    given(*gone).when(TargetFlag(DARK, FRY, None)).then_nothing()


def test_a_variant_that_is_none_is_neither_default_nor_target() -> None:
    given(THERE).when(ChangeFlagDefault(DARK, MAYBE)).then_refused("no such variant", Refused)
    given(THERE).when(TargetFlag(DARK, PLANET_EXPRESS, MAYBE)).then_refused("no such variant", Refused)


def test_a_flag_is_switched_off_and_on() -> None:
    off, on = FlagSwitchedOff(DARK), FlagSwitchedOn(DARK)
    given(THERE).when(SwitchFlagOff(DARK)).then(off)
    given(THERE, off).when(SwitchFlagOn(DARK)).then(on)
    given(THERE, off, on).when(SwitchFlagOff(DARK)).then(off)
    given(THERE).when(SwitchFlagOn(DARK)).then_nothing()
    given(THERE, off).when(SwitchFlagOff(DARK)).then_nothing()
    given(THERE, off, on).when(SwitchFlagOn(DARK)).then_nothing()


def test_a_flag_is_archived() -> None:
    given(THERE).when(ArchiveFlag(DARK)).then(ARCHIVED)


@pytest.mark.parametrize(
    "command",
    [
        ChangeFlagDefault(DARK, ON),
        TargetFlag(DARK, PLANET_EXPRESS, ON),
        TargetFlag(DARK, PLANET_EXPRESS, None),
        SwitchFlagOff(DARK),
        SwitchFlagOn(DARK),
        ArchiveFlag(DARK),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_flag_that_is_not_there_can_not_be_changed(command: Command) -> None:
    given().when(command).then_refused("the flag does not exist", Missing)
    given(THERE, FlagSwitchedOff(DARK), ARCHIVED).when(command).then_refused("is archived", Missing)
