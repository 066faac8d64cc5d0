"""A sink is set up, changed, paused and removed."""

from typing import Final, assert_never

from domain.boundary import Boundary, Tally
from domain.command import Command, Decider, Refused, Taken
from domain.event import Code, Event, Recorded, Sealed
from domain.ids import SinkId, TenantId
from domain.sinks.life import (
    KnownSink,
    SinkChanged,
    SinkCreated,
    SinkPaused,
    SinkRemoved,
    SinkResumed,
    life_of_sink,
)

MOST_SINKS: Final = 50


class CreateSink(Command):
    permission = "sinks:manage"
    tenant: TenantId
    sink: SinkId
    target: Code
    settings: Sealed
    secret: bytes
    types: tuple[Code, ...]
    format: Code
    personal: bool
    patience: int
    from_position: int | None = None
    name: Sealed | None = None

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink) | Boundary(tallies=(every_sink_of(self.tenant),))


class ChangeSink(Command):
    permission = "sinks:manage"
    sink: SinkId
    settings: Sealed
    secret: bytes
    types: tuple[Code, ...]
    format: Code
    personal: bool
    patience: int
    name: Sealed | None = None

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink)


class PauseSink(Command):
    permission = "sinks:manage"
    sink: SinkId

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink)


class ResumeSink(Command):
    permission = "sinks:manage"
    sink: SinkId

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink)


class RemoveSink(Command):
    permission = "sinks:manage"
    tenant: TenantId
    sink: SinkId

    def boundary(self) -> Boundary:
        return life_of_sink(self.sink)


SinksCommand = CreateSink | ChangeSink | PauseSink | ResumeSink | RemoveSink


def _note_sink(sinks: set[SinkId], recorded: Recorded) -> None:
    match recorded.event:
        case SinkCreated(sink=sink):
            sinks.add(sink)
        case SinkRemoved(sink=sink):
            sinks.discard(sink)


def every_sink_of(tenant: TenantId) -> Tally:
    """The sinks that a tenant has."""
    return Tally("sinks", f"tenant:{tenant}", (SinkCreated, SinkRemoved), set, _note_sink)


def _is_set(known: KnownSink, command: ChangeSink) -> bool:
    """Whether it is as the command wants it."""
    same_name = command.name is None if known.name is None else known.name.same_as(command.name)
    wanted = command.secret, command.types, command.format, command.personal, command.patience
    is_so = wanted == (known.secret, known.types, known.format, known.personal, known.patience)
    return is_so and same_name and command.settings.same_as(known.settings)


def decide(command: SinksCommand, known: KnownSink) -> list[Event]:
    match command:
        case CreateSink(tenant, sink):
            if known.life != "none":
                raise Taken("the sink exists already")
            if len(known.tallies["sinks"]) >= MOST_SINKS:
                raise Refused(f"a tenant can have {MOST_SINKS} sinks; remove one first")
            said = (command.types, command.format, command.personal, command.patience, command.from_position)
            return [SinkCreated(tenant, sink, command.target, command.settings, command.secret, *said, command.name)]
        case ChangeSink(sink, settings, secret, types, format, personal, patience, name):
            known.exists()
            changed = SinkChanged(sink, settings, secret, types, format, personal, patience, name)
            return [] if _is_set(known, command) else [changed]
        case PauseSink(sink):
            known.exists()
            return [] if known.life == "paused" else [SinkPaused(sink)]
        case ResumeSink(sink):
            known.exists()
            return [] if known.life == "active" else [SinkResumed(sink)]
        case RemoveSink(tenant, sink):
            known.exists()
            return [SinkRemoved(tenant, sink)]
        case _:
            assert_never(command)


decider = Decider(
    commands=(CreateSink, ChangeSink, PauseSink, ResumeSink, RemoveSink),
    begin=KnownSink,
    decide=decide,
)
