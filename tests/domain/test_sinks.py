"""Sinks: set up, changed, paused, disabled and removed; how far they have come, and their dead letters."""

import pytest

from domain.command import Command, Missing, Refused, Taken
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import SinkId
from domain.sinks.life import (
    SinkAdvanced,
    SinkChanged,
    SinkCreated,
    SinkDisabled,
    SinkPaused,
    SinkRemoved,
    SinkReplayRequested,
    SinkResumed,
)
from domain.sinks.sending import (
    AdvanceSink,
    DisableSink,
    GiveUpOnEvent,
    KnownSending,
    ReplaySink,
    RequestSinkTest,
    RetrySinkLetter,
    SettleSinkLetter,
    SinkDeadLetterDelivered,
    SinkDeliveryFailed,
    SinkRetryRequested,
    SinkTestRequested,
    decide,
)
from domain.sinks.sinks import MOST_SINKS, ChangeSink, CreateSink, PauseSink, RemoveSink, ResumeSink
from tests.domain.given import BEFORE, NOW, given
from tests.domain.people import PLANET_EXPRESS, sealed

SINK = SinkId("snk_one")
HERE, THERE = sealed(SINK, '{"url":"https://here"}'), sealed(SINK, '{"url":"https://there"}')
TYPES, CLOUD, OCSF = (Code("UserProvisioned"),), Code("cloudevents"), Code("ocsf")
PAUSED, RESUMED, REMOVED = SinkPaused(SINK), SinkResumed(SINK), SinkRemoved(PLANET_EXPRESS, SINK)
DISABLED = SinkDisabled(SINK, Code("nothing gets through"), BEFORE)
CREATE = CreateSink(PLANET_EXPRESS, SINK, Code("splunk"), HERE, b"one", TYPES, CLOUD, False, 60)
CHANGE = ChangeSink(SINK, THERE, b"two", (), OCSF, False, 90)
CHANGED = SinkChanged(SINK, THERE, b"two", (), OCSF, False, 90)
FAILED = SinkDeliveryFailed(SINK, 7, Code("018b"), Code("UserProvisioned"), 3, 400, Code("refused"), BEFORE)
ASKED, DELIVERED = SinkRetryRequested(SINK, 7), SinkDeadLetterDelivered(SINK, 7)


def created(sink: SinkId = SINK, from_position: int | None = None, name: Sealed | None = None) -> SinkCreated:
    return SinkCreated(PLANET_EXPRESS, sink, Code("splunk"), HERE, b"one", TYPES, CLOUD, False, 60, from_position, name)


def test_a_sink_is_made_once() -> None:
    given().when(CREATE).then(created())
    given(created()).when(CREATE).then_refused("exists already", Taken)
    given(created(), REMOVED).when(CREATE).then_refused("exists already", Taken)


def test_a_tenant_has_so_many() -> None:
    others = [created(SinkId(f"snk_{number}")) for number in range(MOST_SINKS)]
    given(*others).when(CREATE).then_refused(f"{MOST_SINKS} sinks")
    given(*others, SinkRemoved(PLANET_EXPRESS, SinkId("snk_3"))).when(CREATE).then(created())


def test_a_sink_is_changed_as_a_whole_or_not_at_all() -> None:
    given(created()).when(CHANGE).then(CHANGED)
    given(created(), CHANGED).when(CHANGE).then_nothing()
    same = ChangeSink(SINK, HERE, b"one", TYPES, CLOUD, False, 60)
    given(created()).when(same).then_nothing()
    given(created(name=sealed(SINK, "the SOC's"))).when(same).then(
        SinkChanged(SINK, HERE, b"one", TYPES, CLOUD, False, 60)
    )


def test_it_is_paused_and_resumed() -> None:
    given(created()).when(PauseSink(SINK)).then(PAUSED)
    given(created(), PAUSED).when(PauseSink(SINK)).then_nothing()
    given(created(), PAUSED).when(ResumeSink(SINK)).then(RESUMED)
    given(created(), DISABLED).when(ResumeSink(SINK)).then(RESUMED)
    given(created()).when(ResumeSink(SINK)).then_nothing()


@pytest.mark.parametrize(
    "command",
    [CHANGE, PauseSink(SINK), ResumeSink(SINK), RemoveSink(PLANET_EXPRESS, SINK), ReplaySink(SINK, 1)],
)
def test_what_is_not_there_is_missing(command: Command) -> None:
    given().when(command).then_refused("does not exist", Missing)
    given(created(), REMOVED).when(command).then_refused("does not exist", Missing)


def known(*history: Event) -> KnownSending:
    found = KnownSending(NOW)
    for position, event in enumerate(history, 1):
        found.evolve(Recorded(PLANET_EXPRESS, position, NOW, event))
    return found


def test_it_begins_after_it_was_made_or_where_it_is_told() -> None:
    assert (known(created()).turn, known(created()).reached) == (1, 1)
    assert known(created(from_position=1)).reached == 0
    told = known(created(), SinkAdvanced(SINK, 9), SinkReplayRequested(SINK, 4))
    assert (told.turn, told.reached) == (3, 3)


def test_how_far_it_has_come_is_said_only_if_it_is_news_of_this_turn() -> None:
    assert decide(AdvanceSink(SINK, 1, 9), known(created())) == [SinkAdvanced(SINK, 9)]
    assert decide(AdvanceSink(SINK, 1, 9), known(created(), SinkAdvanced(SINK, 9))) == []
    assert decide(AdvanceSink(SINK, 1, 9), known(created(), SinkReplayRequested(SINK, 4))) == []
    assert decide(AdvanceSink(SINK, 1, 9), known(created(), REMOVED)) == []


def test_a_dead_letter_is_passed_over_retried_and_settled() -> None:
    given_up = GiveUpOnEvent(SINK, 1, FAILED)
    assert decide(given_up, known(created())) == [FAILED, SinkAdvanced(SINK, 7)]
    assert decide(GiveUpOnEvent(SINK, None, FAILED), known(created())) == [FAILED]
    assert decide(given_up, known(created(), SinkReplayRequested(SINK, 4))) == []
    assert decide(RetrySinkLetter(SINK, 7), known(created(), FAILED)) == [ASKED]
    assert decide(RetrySinkLetter(SINK, 7), known(created(), FAILED, ASKED)) == []
    assert decide(SettleSinkLetter(SINK, 7), known(created(), FAILED, ASKED)) == [DELIVERED]
    assert decide(SettleSinkLetter(SINK, 7), known(created(), FAILED, ASKED, DELIVERED)) == []
    with pytest.raises(Refused, match="no dead letter"):
        decide(RetrySinkLetter(SINK, 7), known(created()))


def test_it_is_disabled_once_and_tested_whenever() -> None:
    disable = DisableSink(SINK, Code("nothing gets through"), Instant(BEFORE))
    assert decide(disable, known(created())) == [DISABLED]
    assert decide(disable, known(created(), PAUSED)) == []
    assert decide(RequestSinkTest(SINK), known(created(), PAUSED)) == [SinkTestRequested(SINK)]
