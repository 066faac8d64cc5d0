"""A flag: a named value of the product that can differ by tenant and user, with a switch that turns it off."""

from typing import Any, Final, assert_never

import msgspec

from domain.boundary import Boundary, about, edge, tagged
from domain.command import Command, Decider, Known, Missing, Refused, Taken
from domain.directory.life import Lives, life_of_user
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import FlagId, TenantId, UserId, is_id


class FlagDefined(Event):
    """`variants` names the values, as JSON; `off_variant` is told while the flag is switched off."""

    names = (("flag_key", "key"),)
    flag: FlagId
    key: Code
    kind: Code
    """boolean, string, number or object"""
    variants: Code
    default_variant: Code
    off_variant: Code
    description: Sealed | None = None


class FlagDefaultChanged(Event):
    flag: FlagId
    variant: Code


class FlagTargeted(Event):
    """This tenant or user is told this variant; None: told the default again."""

    ends_with = "subject"
    edges = (("target", "flag", "subject"),)
    flag: FlagId
    subject: TenantId | UserId
    variant: Code | None


class FlagSwitchedOff(Event):
    flag: FlagId


class FlagSwitchedOn(Event):
    flag: FlagId


class FlagArchived(Event):
    """It answers nothing any more, and its key is free."""

    names = (("flag_key", "key"),)
    flag: FlagId
    key: Code


class DefineFlag(Command):
    permission = "flags:manage"
    flag: FlagId
    key: Code
    kind: Code
    variants: Code
    default_variant: Code
    off_variant: Code
    description: Sealed | None = None

    def boundary(self) -> Boundary:
        return life_of_flag(self.flag) | tagged(f"flag_key:{self.key}", FlagDefined, FlagArchived)


class ChangeFlagDefault(Command):
    permission = "flags:manage"
    flag: FlagId
    variant: Code

    def boundary(self) -> Boundary:
        return life_of_flag(self.flag)


class TargetFlag(Command):
    permission = "flags:manage"
    flag: FlagId
    subject: TenantId | UserId
    variant: Code | None

    def boundary(self) -> Boundary:
        wanted = life_of_flag(self.flag) | edge("target", self.flag, self.subject, FlagTargeted)
        return wanted | life_of_user(UserId(self.subject)) if is_id(self.subject, "usr") else wanted


class SwitchFlagOff(Command):
    permission = "flags:manage"
    flag: FlagId

    def boundary(self) -> Boundary:
        return life_of_flag(self.flag)


class SwitchFlagOn(Command):
    permission = "flags:manage"
    flag: FlagId

    def boundary(self) -> Boundary:
        return life_of_flag(self.flag)


class ArchiveFlag(Command):
    permission = "flags:manage"
    flag: FlagId

    def boundary(self) -> Boundary:
        return life_of_flag(self.flag)


VARIANTS: Final[dict[str, Any]] = {
    "boolean": dict[str, bool],
    "string": dict[str, str],
    "number": dict[str, float],
    "object": dict[str, dict[str, Any]],
}
"""The variants of each kind of flag; the kinds are OpenFeature's."""

FlagsCommand = DefineFlag | ChangeFlagDefault | TargetFlag | SwitchFlagOff | SwitchFlagOn | ArchiveFlag


def life_of_flag(flag: FlagId) -> Boundary:
    """What a flag is and says."""
    return about(flag, FlagDefined, FlagDefaultChanged, FlagSwitchedOff, FlagSwitchedOn, FlagArchived)


class KnownFlag(Known):
    """A flag, who has its key, one target, and whether the target exists."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.lives = Lives()
        self.flags: dict[FlagId, FlagDefined | None] = {}
        self.keyed: dict[str, FlagId | None] = {}
        self.default: Code | None = None
        self.on = True
        self.target: Code | None = None

    def evolve(self, recorded: Recorded) -> None:
        self.lives.evolve(recorded)
        match recorded.event:
            case FlagDefined(flag, key) as defined:
                self.flags[flag], self.keyed[key], self.default = defined, flag, defined.default_variant
            case FlagDefaultChanged(_, variant):
                self.default = variant
            case FlagTargeted(_, _, variant):
                self.target = variant
            case FlagSwitchedOff():
                self.on = False
            case FlagSwitchedOn():
                self.on = True
            case FlagArchived(flag, key):
                self.flags[flag], self.keyed[key] = None, None

    def flag(self, flag: FlagId) -> FlagDefined:
        defined = self.flags.get(flag)
        if defined is None:
            raise Missing("the flag does not exist, or is archived")
        return defined


def decide(command: FlagsCommand, known: KnownFlag) -> list[Event]:
    match command:
        case DefineFlag(flag, key, kind, variants, default, off, description):
            if flag in known.flags:
                raise Taken("the flag exists already")
            if known.keyed.get(key) is not None:
                raise Taken("another flag has this key; choose another")
            _are_variants(variants, kind)
            _is_variant(default, variants)
            _is_variant(off, variants)
            return [FlagDefined(flag, key, kind, variants, default, off, description)]
        case ChangeFlagDefault(flag, variant):
            _is_variant(variant, known.flag(flag).variants)
            return [] if known.default == variant else [FlagDefaultChanged(flag, variant)]
        case TargetFlag(flag, subject, variant):
            defined = known.flag(flag)
            gone = is_id(subject, "usr") and not known.lives.user_exists(UserId(subject))
            if variant is not None:
                _is_variant(variant, defined.variants)
                if gone:
                    raise Missing("the user does not exist in this tenant")
            return [] if gone or known.target == variant else [FlagTargeted(flag, subject, variant)]
        case SwitchFlagOff(flag):
            known.flag(flag)
            return [FlagSwitchedOff(flag)] if known.on else []
        case SwitchFlagOn(flag):
            known.flag(flag)
            return [] if known.on else [FlagSwitchedOn(flag)]
        case ArchiveFlag(flag):
            return [FlagArchived(flag, known.flag(flag).key)]
        case _:
            assert_never(command)


def _are_variants(variants: Code, kind: Code) -> None:
    if kind not in VARIANTS:
        raise Refused(f"the flag's kind must be one of {', '.join(VARIANTS)}")
    try:
        msgspec.json.decode(variants, type=VARIANTS[kind])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise Refused(f"the variants are not a JSON object of names and values of kind {kind}") from None


def _is_variant(variant: Code, variants: Code) -> None:
    if variant not in msgspec.json.decode(variants, type=dict[str, msgspec.Raw]):
        raise Refused("the flag has no such variant; name one of its variants")


decider = Decider(
    commands=(DefineFlag, ChangeFlagDefault, TargetFlag, SwitchFlagOff, SwitchFlagOn, ArchiveFlag),
    begin=KnownFlag,
    decide=decide,
)


def told(on: bool, off_variant: str, default_variant: str, targets: list[str]) -> tuple[str, str]:
    """The variant that is told, and why in OpenFeature's words; `targets` are the variants meant, nearest first."""
    if not on:
        return off_variant, "DISABLED"
    if targets:
        return targets[0], "TARGETING_MATCH"
    return default_variant, "DEFAULT"
