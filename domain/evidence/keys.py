"""The keys that sign checkpoints: facts of the deployment, whose private halves are sealed and shown to no reader."""

from typing import Any, Final, assert_never

import msgspec

from domain.boundary import Boundary, Tally, about
from domain.command import Command, Decider, Known, Missing, Refused, Taken
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import DEPLOYMENT, CheckpointKeyId, TenantId

FIELD: Final = "checkpoint_key"
"""What a private key is sealed for; it opens nowhere else."""
LONGEST_OVERLAP: Final = 90 * 86_400_000_000
"""Microseconds."""


class CheckpointKeyAdded(Event):
    """From now on checkpoints are signed with this key too.

    `name` is the origin of the log it signs, `public` its 32 bytes in base64. `private` is sealed, as bytes, so that
    nothing which opens sealed values for readers opens this one.
    """

    tenant: TenantId
    key: CheckpointKeyId
    name: Code
    public: Code
    private: bytes


class CheckpointKeyRetired(Event):
    """The key signs nothing after `signs_until`; what it has signed can be verified for ever."""

    tenant: TenantId
    key: CheckpointKeyId
    signs_until: Instant


class RotateCheckpointKey(Command):
    """A new key; those before it sign until `former_until` too."""

    permission = "node:manage"
    key: CheckpointKeyId
    name: Code
    public: Code
    private: bytes
    former_until: Instant

    def boundary(self) -> Boundary:
        return about(self.key, CheckpointKeyAdded, CheckpointKeyRetired) | _EVERY


class RetireCheckpointKey(Command):
    """The key signs until then; the last one that signs stays."""

    permission = "node:manage"
    key: CheckpointKeyId
    signs_until: Instant

    def boundary(self) -> Boundary:
        return about(self.key, CheckpointKeyAdded, CheckpointKeyRetired) | _EVERY


KeysCommand = RotateCheckpointKey | RetireCheckpointKey


class CheckpointKey(msgspec.Struct, frozen=True):
    """A key as the history says it is."""

    key: CheckpointKeyId
    name: str
    public: str
    private: bytes
    added_at: Instant
    signs_until: Instant | None = None

    def signs_at(self, instant: int) -> bool:
        """Whether checkpoints of this instant are signed with it."""
        return self.signs_until is None or instant < self.signs_until


def note_key(keys: dict[str, CheckpointKey], recorded: Recorded) -> None:
    """One step of the fold to all keys by id, those that sign no more included."""
    match recorded.event:
        case CheckpointKeyAdded(key=key, name=name, public=public, private=private):
            keys[key] = CheckpointKey(key, name, public, private, recorded.instant)
        case CheckpointKeyRetired(key=key, signs_until=until) if key in keys:
            keys[key] = msgspec.structs.replace(keys[key], signs_until=until)


_TALLY: Final = Tally(
    "checkpoint_keys", f"tenant:{DEPLOYMENT}", (CheckpointKeyAdded, CheckpointKeyRetired), dict, note_key
)
_EVERY: Final = Boundary(tallies=(_TALLY,))


def kept(sealed: Sealed) -> bytes:
    """As events keep a private key: bytes, because whatever opens sealed values for readers must not open this one."""
    return msgspec.msgpack.encode(sealed)


def sealed_again(private: bytes) -> Sealed:
    """What `kept` was given."""
    return msgspec.msgpack.decode(private, type=Sealed)


def decide(command: KeysCommand, known: Known) -> list[Event]:
    keys: dict[str, CheckpointKey] = known.tallies["checkpoint_keys"]
    signing: list[Any] = [each for each in keys.values() if each.signs_at(known.now)]
    match command:
        case RotateCheckpointKey(key, name, public, private, former_until):
            if key in keys or any(each.public == public for each in keys.values()):
                raise Taken("the key exists already; make another")
            if former_until > known.now + LONGEST_OVERLAP:
                raise Refused("the keys before can sign for at most 90 days more")
            until = max(former_until, known.now)
            retired = [
                CheckpointKeyRetired(DEPLOYMENT, each.key, until)
                for each in signing
                if each.signs_until is None or each.signs_until > until
            ]
            return [CheckpointKeyAdded(DEPLOYMENT, key, name, public, private), *retired]
        case RetireCheckpointKey(key, signs_until):
            found = keys.get(key)
            if found is None:
                raise Missing("the key does not exist")
            if not any(each.key != key and each.signs_until is None for each in signing):
                raise Refused("no other key signs without an end; rotate first")
            until = max(signs_until, known.now)
            if not found.signs_at(known.now) or (found.signs_until is not None and found.signs_until <= until):
                return []
            return [CheckpointKeyRetired(DEPLOYMENT, key, until)]
        case _:
            assert_never(command)


decider = Decider(commands=(RotateCheckpointKey, RetireCheckpointKey), begin=Known, decide=decide)
