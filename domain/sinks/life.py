"""A sink's life: what it is and how it is set, whether it is active, and how far it has come."""

from typing import Final

from domain.boundary import Boundary, about
from domain.command import Known, Missing
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import SinkId, TenantId


class SinkCreated(Event):
    """`settings` is JSON. `secret` is sealed, as bytes, so that nothing which opens sealed values for readers opens it.

    No `types` means all. `patience` is how many seconds an event that the target refuses is tried before it is
    dead-lettered. Without a `from_position` it is sent what comes after this event.
    """

    tenant: TenantId
    sink: SinkId
    target: Code
    """splunk, datadog, s3, gcs, azure, https or syslog"""
    settings: Sealed
    secret: bytes
    types: tuple[Code, ...]
    format: Code
    """cloudevents or ocsf"""
    personal: bool
    """Whether it is sent sealed values, opened."""
    patience: int
    from_position: int | None = None
    name: Sealed | None = None


class SinkChanged(Event):
    """All that can be changed, as it is from now on."""

    sink: SinkId
    settings: Sealed
    secret: bytes
    types: tuple[Code, ...]
    format: Code
    personal: bool
    patience: int
    name: Sealed | None = None


class SinkPaused(Event):
    sink: SinkId


class SinkResumed(Event):
    """It goes on where it was."""

    sink: SinkId


class SinkDisabled(Event):
    """Nothing has got through since then; it waits for somebody to resume it."""

    sink: SinkId
    reason: Code
    since: Instant


class SinkRemoved(Event):
    tenant: TenantId
    sink: SinkId


class SinkReplayRequested(Event):
    """It is sent again, or skips to, what begins at this position."""

    sink: SinkId
    from_position: int


class SinkAdvanced(Event):
    """Everything up to the position `reached` is dealt with; said now and then, for whichever node sends next."""

    sink: SinkId
    reached: int


LIFE: Final = (
    SinkCreated,
    SinkChanged,
    SinkPaused,
    SinkResumed,
    SinkDisabled,
    SinkRemoved,
    SinkReplayRequested,
    SinkAdvanced,
)
"""What says how a sink is: the latest of each, in order, is all there is to know."""


def life_of_sink(sink: SinkId) -> Boundary:
    """Whether a sink exists, and how it is set."""
    return about(sink, *LIFE)


class KnownSink(Known):
    """A sink, as its deciding and its sending both know it."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.life = "none"
        """none, active, paused, disabled or removed"""
        self.target = Code("")
        self.settings: Sealed | None = None
        self.secret = b""
        self.types: tuple[Code, ...] = ()
        self.format = Code("")
        self.personal = False
        self.patience = 0
        self.name: Sealed | None = None
        self.turn = 0
        """The position of the event that said last where to begin."""
        self.reached = 0
        """Everything up to here is dealt with, as far as the ledger knows."""

    def evolve(self, recorded: Recorded) -> None:
        match recorded.event:
            case SinkCreated() as created:
                self.life, self.target = "active", created.target
                self._set(created)
                self.turn = recorded.position
                begins = created.from_position
                self.reached = recorded.position if begins is None else begins - 1
            case SinkChanged() as changed:
                self._set(changed)
            case SinkPaused():
                self.life = "paused"
            case SinkResumed():
                self.life = "active"
            case SinkDisabled():
                self.life = "disabled"
            case SinkRemoved():
                self.life = "removed"
            case SinkReplayRequested(_, from_position):
                self.turn, self.reached = recorded.position, from_position - 1
            case SinkAdvanced(_, reached):
                self.reached = reached

    def _set(self, said: SinkCreated | SinkChanged) -> None:
        self.settings, self.secret, self.types, self.name = said.settings, said.secret, said.types, said.name
        self.format, self.personal, self.patience = said.format, said.personal, said.patience

    @property
    def lives(self) -> bool:
        return self.life not in ("none", "removed")

    def exists(self) -> None:
        if not self.lives:
            raise Missing("the sink does not exist")
