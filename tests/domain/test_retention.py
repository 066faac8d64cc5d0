"""Retention: a period, holds that keep everything, and trimming that neither may contradict."""

import pytest

from domain.command import Missing, Taken
from domain.event import Instant
from domain.ids import HoldId
from domain.retention import (
    DAY,
    LONGEST,
    ChangeRetention,
    HistoryTrimmed,
    LegalHoldLifted,
    LegalHoldPlaced,
    LiftLegalHold,
    PlaceLegalHold,
    RetentionChanged,
    TrimHistory,
)
from tests.domain.given import given
from tests.domain.people import PLANET_EXPRESS, sealed

HOLD, OTHER = HoldId("hld_" + "1" * 32), HoldId("hld_" + "2" * 32)
THIRTY = RetentionChanged(PLANET_EXPRESS, 30)
PLACED = LegalHoldPlaced(PLANET_EXPRESS, HOLD, sealed(PLANET_EXPRESS, "a lawsuit"))
NOW = Instant(20_000 * DAY)
OLD = Instant(NOW - 30 * DAY)


def trim(last: int = 7, last_at: Instant = OLD) -> TrimHistory:
    return TrimHistory(PLANET_EXPRESS, last, last_at, b"root", b"frontier")


TRIMMED = HistoryTrimmed(PLANET_EXPRESS, 7, OLD, b"root", b"frontier")


def test_a_period_is_set_once_and_taken_away() -> None:
    given().when(ChangeRetention(PLANET_EXPRESS, 30)).then(THIRTY)
    given(THIRTY).when(ChangeRetention(PLANET_EXPRESS, 30)).then()
    given(THIRTY).when(ChangeRetention(PLANET_EXPRESS, None)).then(RetentionChanged(PLANET_EXPRESS, None))
    given().when(ChangeRetention(PLANET_EXPRESS, None)).then()


@pytest.mark.parametrize("days", [0, -1, LONGEST + 1])
def test_a_period_must_make_sense(days: int) -> None:
    given().when(ChangeRetention(PLANET_EXPRESS, days)).then_refused("36500 days")


def test_a_hold_is_placed_once_and_lifted_once() -> None:
    given().when(PlaceLegalHold(PLANET_EXPRESS, HOLD, PLACED.reason)).then(PLACED)
    given(PLACED).when(PlaceLegalHold(PLANET_EXPRESS, HOLD)).then_refused("exists already", Taken)
    given(PLACED).when(LiftLegalHold(PLANET_EXPRESS, HOLD)).then(LegalHoldLifted(PLANET_EXPRESS, HOLD))
    given().when(LiftLegalHold(PLANET_EXPRESS, HOLD)).then_refused("does not exist", Missing)
    lifted = given(PLACED, LegalHoldLifted(PLANET_EXPRESS, HOLD))
    lifted.when(LiftLegalHold(PLANET_EXPRESS, HOLD)).then_refused("does not exist", Missing)


def test_what_is_older_than_the_period_is_trimmed_once() -> None:
    given(THIRTY).when(trim(), NOW).then(TRIMMED)
    given(THIRTY, TRIMMED).when(trim(), NOW).then()
    given(THIRTY, TRIMMED).when(trim(6), NOW).then()


def test_what_is_younger_or_kept_for_ever_is_not_trimmed() -> None:
    given(THIRTY).when(trim(last_at=Instant(OLD + 1)), NOW).then_refused("not older")
    given().when(trim(), NOW).then_refused("for ever")
    given(THIRTY, RetentionChanged(PLANET_EXPRESS, None)).when(trim(), NOW).then_refused("for ever")


def test_any_hold_in_force_keeps_everything() -> None:
    other = LegalHoldPlaced(PLANET_EXPRESS, OTHER)
    given(THIRTY, PLACED).when(trim(), NOW).then_refused("legal hold")
    given(THIRTY, PLACED, other, LegalHoldLifted(PLANET_EXPRESS, HOLD)).when(trim(), NOW).then_refused("legal hold")
    lifted = LegalHoldLifted(PLANET_EXPRESS, HOLD), LegalHoldLifted(PLANET_EXPRESS, OTHER)
    given(THIRTY, PLACED, other, *lifted).when(trim(), NOW).then(TRIMMED)
