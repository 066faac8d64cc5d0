"""Flags as they are at a moment, and which tenants and users are told another variant than the default."""

from collections.abc import Sequence

import msgspec

from domain import flags
from domain.directory import life
from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import FlagId
from domain.view import Close, View


class FlagRow(msgspec.Struct, frozen=True):
    flag: FlagId
    key: str
    kind: str
    variants: str
    default_variant: str
    off_variant: str
    on: bool
    created_at: Instant
    changed_at: Instant
    description: Sealed | None = None


class Flags(View[FlagRow]):
    name = "flags"
    row = FlagRow
    follows = (
        flags.FlagDefined,
        flags.FlagDefaultChanged,
        flags.FlagSwitchedOff,
        flags.FlagSwitchedOn,
        flags.FlagArchived,
    )
    indexes = ("key",)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.flag,)  # type: ignore[attr-defined]

    def evolve(self, row: FlagRow | None, recorded: Recorded) -> FlagRow | None:
        at = recorded.instant
        match recorded.event:
            case flags.FlagDefined(flag, key, kind, variants, default, off, description):
                return FlagRow(flag, key, kind, variants, default, off, True, at, at, description)
            case flags.FlagDefaultChanged(_, variant) if row:
                return msgspec.structs.replace(row, default_variant=variant, changed_at=at)
            case flags.FlagSwitchedOff() if row:
                return msgspec.structs.replace(row, on=False, changed_at=at)
            case flags.FlagSwitchedOn() if row:
                return msgspec.structs.replace(row, on=True, changed_at=at)
            case flags.FlagArchived():
                return None
        return row


class TargetRow(msgspec.Struct, frozen=True):
    flag: FlagId
    subject: str
    variant: str
    since: Instant


class Targets(View[TargetRow]):
    """Keyed `flag/subject`."""

    name = "flag_targets"
    row = TargetRow
    follows = (flags.FlagTargeted, flags.FlagArchived, life.UserDeleted)
    indexes = ("flag", "subject")

    def concerns(self, event: Event) -> Sequence[str | Close]:
        match event:
            case flags.FlagTargeted(flag, subject):
                return (f"{flag}/{subject}",)
            case flags.FlagArchived(flag):
                return (Close("flag", flag),)
            case life.UserDeleted(user):
                return (Close("subject", user),)
        return ()

    def evolve(self, row: TargetRow | None, recorded: Recorded) -> TargetRow | None:
        match recorded.event:
            case flags.FlagTargeted(flag, subject, variant) if variant is not None:
                return TargetRow(flag, subject, variant, recorded.instant)
        return None


FLAGS, TARGETS = Flags(), Targets()
