"""Flags and their targets, as they follow from events."""

import msgspec

from domain.event import Code, Instant
from domain.flags import (
    FlagArchived,
    FlagDefaultChanged,
    FlagDefined,
    FlagSwitchedOff,
    FlagSwitchedOn,
    FlagTargeted,
)
from projections.flags import FLAGS, TARGETS, FlagRow, TargetRow
from tests.domain.people import DARK, FAST, FRY, LEELA, PLANET_EXPRESS, deleted, flag, provisioned, sealed
from tests.projections.folding import fold, rows_of

ON, OFF = Code("on"), Code("off")
VARIANTS = Code('{"on":true,"off":false}')
DEFINED = FlagDefined(DARK, Code("dark"), Code("boolean"), VARIANTS, OFF, ON, sealed(DARK, "night colours"))
ARCHIVED = FlagArchived(DARK, Code("dark"))


def test_a_flag_is_defined_changed_switched_and_archived() -> None:
    row = FlagRow(
        DARK,
        "dark",
        "boolean",
        VARIANTS,
        "off",
        "on",
        True,
        Instant(10),
        Instant(10),
        sealed(DARK, "night colours"),
    )
    changed = msgspec.structs.replace(row, default_variant="on", changed_at=Instant(20))
    off = msgspec.structs.replace(changed, on=False, changed_at=Instant(30))
    on = msgspec.structs.replace(off, on=True, changed_at=Instant(40))
    events = DEFINED, FlagDefaultChanged(DARK, ON), FlagSwitchedOff(DARK), FlagSwitchedOn(DARK), ARCHIVED
    for number, after in enumerate((row, changed, off, on), 1):
        assert rows_of(FLAGS, *events[:number]) == {DARK: after}
    assert rows_of(FLAGS, *events) == {}


def test_a_flag_is_found_by_its_key() -> None:
    rows = fold(DEFINED, flag(FAST))
    assert [key for key, _ in rows.find(FLAGS, "key", "dark")] == [DARK]


TARGETED = (
    DEFINED,
    flag(FAST),
    provisioned(FRY),
    provisioned(LEELA),
    FlagTargeted(DARK, FRY, ON),
    FlagTargeted(DARK, PLANET_EXPRESS, OFF),
    FlagTargeted(FAST, FRY, ON),
)


def test_a_target_is_told_its_variant_until_it_is_taken_away() -> None:
    key = f"{DARK}/{FRY}"
    assert rows_of(TARGETS, *TARGETED)[key] == TargetRow(DARK, FRY, "on", Instant(50))
    changed = (*TARGETED, FlagTargeted(DARK, FRY, OFF))
    assert rows_of(TARGETS, *changed)[key] == TargetRow(DARK, FRY, "off", Instant(80))
    assert key not in rows_of(TARGETS, *changed, FlagTargeted(DARK, FRY, None))


def test_targets_end_with_the_flag_and_with_the_user() -> None:
    assert rows_of(TARGETS, *TARGETED, ARCHIVED).keys() == {f"{FAST}/{FRY}"}
    assert rows_of(TARGETS, *TARGETED, deleted(FRY)).keys() == {f"{DARK}/{PLANET_EXPRESS}"}
