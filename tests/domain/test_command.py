"""What is known of a thing is what its newest event says."""

from domain.command import Latest
from domain.event import Instant, Recorded
from tests.domain.people import FRY, PLANET_EXPRESS, provisioned


def at(position: int) -> Recorded:
    return Recorded(PLANET_EXPRESS, position, Instant(position), provisioned(FRY))


def test_an_older_event_that_is_shown_later_changes_nothing() -> None:
    latest: Latest[str, str] = Latest()
    latest.note("fry", "new", at(5))
    latest.note("fry", "old", at(4))
    assert latest["fry"] == "new"


def test_one_event_may_speak_twice_and_the_last_word_holds() -> None:
    latest: Latest[str, str | None] = Latest()
    latest.note("fry", "first", at(5))
    latest.note("fry", None, at(5))
    assert latest["fry"] is None


def test_each_thing_has_its_own_newest_event() -> None:
    latest: Latest[str, str] = Latest()
    latest.note("fry", "new", at(5))
    latest.note("leela", "older", at(4))
    assert dict(latest) == {"fry": "new", "leela": "older"}
