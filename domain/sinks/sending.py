"""What becomes of sending: how far it has come, what could not be delivered, and what is to be sent again."""

from typing import assert_never

from domain.boundary import Boundary, edge
from domain.command import Command, Decider, Missing
from domain.event import Code, Event, Instant, Recorded
from domain.ids import SinkId
from domain.sinks.life import (
    KnownSink,
    SinkAdvanced,
    SinkDisabled,
    SinkReplayRequested,
    life_of_sink,
)


class SinkTestRequested(Event):
    """Delivered itself, once, out of order, also while the sink is paused."""

    sink: SinkId


class SinkDeliveryFailed(Event):
    """A dead letter: the event at this position was tried for as long as the sink has patience, and passed over."""

    edges = (("sink_dead_letter", "sink", "failed_position"),)
    sink: SinkId
    failed_position: int
    failed_id: Code
    failed_type: Code
    attempts: int
    status: int | None
    """What the target answered last, if it answered with one."""
    reason: Code
    since: Instant


class SinkRetryRequested(Event):
    """A dead letter is to be tried once more, out of order."""

    edges = (("sink_dead_letter", "sink", "failed_position"),)
    sink: SinkId
    failed_position: int


class SinkDeadLetterDelivered(Event):
    """It is a dead letter no more."""

    edges = (("sink_dead_letter", "sink", "failed_position"),)
    sink: SinkId
    failed_position: int


class ReplaySink(Command):
    permission = "sinks:manage"
    sink: SinkId
    from_position: int

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink)


class RequestSinkTest(Command):
    permission = "sinks:manage"
    sink: SinkId

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink)


class RetrySinkLetter(Command):
    permission = "sinks:manage"
    sink: SinkId
    position: int

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink) | letter(self.sink, self.position)


class AdvanceSink(Command):
    """The node's own. `turn` is the sink's while it was delivered: a replay asked for since must not be undone."""

    permission = "sinks:manage"
    while_suspended = True
    sink: SinkId
    turn: int
    reached: int

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink)


class GiveUpOnEvent(Command):
    """The node's own. `turn` as in AdvanceSink; None: it was tried out of order."""

    permission = "sinks:manage"
    while_suspended = True
    sink: SinkId
    turn: int | None
    failed: SinkDeliveryFailed

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink)


class SettleSinkLetter(Command):
    """The node's own: it has been delivered after all."""

    permission = "sinks:manage"
    while_suspended = True
    sink: SinkId
    position: int

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink) | letter(self.sink, self.position)


class DisableSink(Command):
    """The node's own: nothing gets through, or the receiver wants no more."""

    permission = "sinks:manage"
    while_suspended = True
    sink: SinkId
    reason: Code
    since: Instant

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink)


SendingCommand = (
    ReplaySink | RequestSinkTest | RetrySinkLetter | AdvanceSink | GiveUpOnEvent | SettleSinkLetter | DisableSink
)

LETTERS = (SinkDeliveryFailed, SinkRetryRequested, SinkDeadLetterDelivered)


def letter(sink: SinkId, position: int) -> Boundary:
    """Whether there is a dead letter of a position."""
    return edge("sink_dead_letter", sink, str(position), *LETTERS)


class KnownSending(KnownSink):
    """A sink, and one dead letter."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.letter = "none"
        """none, dead, retrying or delivered"""

    def evolve(self, recorded: Recorded) -> None:
        super().evolve(recorded)
        match recorded.event:
            case SinkDeliveryFailed():
                self.letter = "dead"
            case SinkRetryRequested():
                self.letter = "retrying"
            case SinkDeadLetterDelivered():
                self.letter = "delivered"


def decide(command: SendingCommand, known: KnownSending) -> list[Event]:
    match command:
        case ReplaySink(sink, from_position):
            known.exists()
            return [SinkReplayRequested(sink, from_position)]
        case RequestSinkTest(sink):
            known.exists()
            return [SinkTestRequested(sink)]
        case RetrySinkLetter(sink, position):
            known.exists()
            if known.letter not in ("dead", "retrying"):
                raise Missing("the sink has no dead letter of that position")
            return [] if known.letter == "retrying" else [SinkRetryRequested(sink, position)]
        case AdvanceSink(sink, turn, reached):
            is_news = known.lives and turn == known.turn and reached > known.reached
            return [SinkAdvanced(sink, reached)] if is_news else []
        case GiveUpOnEvent(sink, turn, failed):
            if not known.lives or turn not in (None, known.turn):
                return []
            in_order = turn is not None and failed.failed_position > known.reached
            return [failed, SinkAdvanced(sink, failed.failed_position)] if in_order else [failed]
        case SettleSinkLetter(sink, position):
            is_news = known.lives and known.letter in ("dead", "retrying")
            return [SinkDeadLetterDelivered(sink, position)] if is_news else []
        case DisableSink(sink, reason, since):
            return [SinkDisabled(sink, reason, since)] if known.life == "active" else []
        case _:
            assert_never(command)


decider = Decider(
    commands=(
        ReplaySink,
        RequestSinkTest,
        RetrySinkLetter,
        AdvanceSink,
        GiveUpOnEvent,
        SettleSinkLetter,
        DisableSink,
    ),
    begin=KnownSending,
    decide=decide,
)
