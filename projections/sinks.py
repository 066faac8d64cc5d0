"""Sinks as they are at a moment, and the dead letters of each."""

from collections.abc import Sequence

import msgspec

from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import SinkId
from domain.sinks import life, sending
from domain.view import Close, View


class SinkRow(msgspec.Struct, frozen=True):
    """`state` is active, paused or disabled; `secret` is sealed, and stays bytes."""

    sink: SinkId
    target: str
    settings: Sealed
    secret: bytes
    types: tuple[str, ...]
    format: str
    personal: bool
    patience: int
    state: str
    created_at: Instant
    changed_at: Instant
    name: Sealed | None = None
    from_position: int | None = None
    """Where it was told to begin last; None: after it was made."""
    reached: int | None = None
    """Everything up to here was dealt with when it was said last; None: nothing was said since it was told to begin."""
    disabled_because: str | None = None
    failing_since: Instant | None = None
    tested_at: Instant | None = None


class Sinks(View[SinkRow]):
    name = "sinks"
    row = SinkRow
    follows = (*life.LIFE, sending.SinkTestRequested)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.sink,)  # type: ignore[attr-defined]

    def evolve(self, row: SinkRow | None, recorded: Recorded) -> SinkRow | None:
        match recorded.event:
            case life.SinkCreated() as made:
                return SinkRow(
                    made.sink,
                    made.target,
                    made.settings,
                    made.secret,
                    made.types,
                    made.format,
                    made.personal,
                    made.patience,
                    "active",
                    recorded.instant,
                    recorded.instant,
                    made.name,
                    made.from_position,
                )
            case life.SinkRemoved():
                return None
        return None if row is None else msgspec.structs.replace(row, **_changes(recorded.event, recorded.instant))


def _changes(event: Event, at: Instant) -> dict[str, object]:
    match event:
        case life.SinkChanged(_, settings, secret, types, format, personal, patience, name):
            said = {"settings": settings, "secret": secret, "types": types, "format": format, "personal": personal}
            return {**said, "patience": patience, "name": name, "changed_at": at}
        case life.SinkPaused():
            return {"state": "paused", "disabled_because": None, "failing_since": None, "changed_at": at}
        case life.SinkResumed():
            return {"state": "active", "disabled_because": None, "failing_since": None, "changed_at": at}
        case life.SinkDisabled(_, reason, since):
            return {"state": "disabled", "disabled_because": reason, "failing_since": since, "changed_at": at}
        case life.SinkReplayRequested(_, from_position):
            return {"from_position": from_position, "reached": None, "changed_at": at}
        case life.SinkAdvanced(_, reached):
            return {"reached": reached}
        case sending.SinkTestRequested():
            return {"tested_at": at}
    return {}


class SinkLetterRow(msgspec.Struct, frozen=True):
    """`state` is dead or, once somebody has asked for it, retrying."""

    sink: SinkId
    position: int
    event_id: str
    event_type: str
    attempts: int
    status: int | None
    reason: str
    since: Instant
    failed_at: Instant
    state: str


class SinkLetters(View[SinkLetterRow]):
    """Keyed `sink/position`, the position in 20 digits, so that they are paged in their order."""

    name = "sink_dead_letters"
    row = SinkLetterRow
    follows = (*sending.LETTERS, life.SinkRemoved)
    indexes = ("sink",)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        match event:
            case life.SinkRemoved(_, sink):
                return (Close("sink", sink),)
        return (key_of(event.sink, event.failed_position),)  # type: ignore[attr-defined]

    def evolve(self, row: SinkLetterRow | None, recorded: Recorded) -> SinkLetterRow | None:
        match recorded.event:
            case sending.SinkDeliveryFailed(sink, position, id, type, attempts, status, reason, since):
                at = recorded.instant
                return SinkLetterRow(sink, position, id, type, attempts, status, reason, since, at, "dead")
            case sending.SinkRetryRequested() if row:
                return msgspec.structs.replace(row, state="retrying")
            case sending.SinkDeadLetterDelivered():
                return None
        return row


def key_of(sink: str, position: int) -> str:
    return f"{sink}/{position:020d}"


SINKS, SINK_LETTERS = Sinks(), SinkLetters()
