"""Decoding by hand what every event begins with, which indexes read of each: fastavro takes twice as long for it.

What our encoder writes of ordinary events is understood here: an array in one block, names of less than 64 bytes.
Everything else, and what is broken, is for fastavro to read or to refuse; tests hold the two equal.
"""

from collections.abc import Sequence
from typing import Any, Final

from adapters.avro.shape import HEAD, SEALED, SHARED, STAMP

_TYPES: Final = [
    (field["name"], ["null", SEALED] if field["name"] == "request" else field["type"])
    for field in (*STAMP, *HEAD, *SHARED)
]
"""Of the fields that are read here, as schemas have them: what is sealed is spelt out at its first use."""
_NUMBER: Final[Sequence[Any]] = tuple(None if byte & 0x81 else byte >> 1 for byte in range(256))
"""What one byte says, if it is all of a number that is not negative; else None, which nothing can be added to."""
_PAST: Final[Sequence[Any]] = tuple(None if size is None else 1 + size for size in _NUMBER)
"""By the first byte of a string, the way from there to what follows it."""

Head = tuple[int, int, list[int], str, list[str], str, bytes | None, int]
"""Position, instant, nths, event id, tags, command id, idempotency key, and where the event's own fields begin."""


def begins_so(fields: Sequence[dict[str, Any]]) -> bool:
    """Whether a schema's fields begin with those that are read here."""
    return [(each["name"], each["type"]) for each in fields[: len(_TYPES)]] == _TYPES


def head_of(stored: bytes) -> Head | None:
    """None for what is not ordinary."""
    try:
        position, at = _long(stored, 5)
        instant, at = _long(stored, at)
        nth, at = _longs(stored, at)
        end = at + _PAST[stored[at]]
        event_id = stored[at + 1 : end].decode()
        tags, at = _strings(stored, end)
        command_id, key, own = _who_and_why(stored, at)
    except (IndexError, TypeError, ValueError):
        return None
    return (position, instant, nth, event_id, tags, command_id, key, own) if own <= len(stored) else None


def _long(stored: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, and where it ends."""
    rest = stored[at]
    shift, number = 7, rest & 127
    while rest > 127:
        at += 1
        rest = stored[at]
        number |= (rest & 127) << shift
        shift += 7
    if shift > 63:
        raise ValueError("more than 63 bits")
    return (number >> 1) ^ -(number & 1), at + 1


def _length(stored: bytes, at: int) -> tuple[int, int]:
    size, at = _long(stored, at)
    if size < 0:
        raise ValueError("a negative length")
    return size, at


def _longs(stored: bytes, at: int) -> tuple[list[int], int]:
    count, at, numbers = _NUMBER[stored[at]], at + 1, []
    for _ in range(count):
        number = _NUMBER[stored[at]]
        if number is None:
            number, at = _long(stored, at)
        else:
            at += 1
        numbers.append(number)
    return numbers, _end(stored, at) if count else at


def _strings(stored: bytes, at: int) -> tuple[list[str], int]:
    count, at, strings = _NUMBER[stored[at]], at + 1, []
    for _ in range(count):
        size = _NUMBER[stored[at]]
        if size is None:
            size, at = _length(stored, at)
        else:
            at += 1
        end = at + size
        strings.append(stored[at:end].decode())
        at = end
    return strings, _end(stored, at) if count else at


def _end(stored: bytes, at: int) -> int:
    """Where what follows an array begins, whose items end here."""
    if stored[at]:
        raise ValueError("another block")
    return at + 1


def _who_and_why(stored: bytes, at: int) -> tuple[str, bytes | None, int]:
    """The command's id, its idempotency key, and where all of it ends."""
    past = _PAST
    at += past[stored[at]]  # actor_kind
    at += past[stored[at]]  # actor_id
    at = _strings(stored, at)[1] if stored[at] else at + 1  # on_behalf_of
    at = _some(stored, at) if stored[at] else at + 1  # credential_id
    at += past[stored[at]]  # authority_permission
    at += past[stored[at]]  # authority_decision
    at = _strings(stored, at)[1] if stored[at] else at + 1  # authority_policies
    _, at = _long(stored, at)  # authority_position
    end = at + past[stored[at]]
    command_id = stored[at + 1 : end].decode()
    at = _some(stored, end) if stored[end] else end + 1  # causation_id
    at += past[stored[at]]  # correlation_id
    end, key = at + 1, None
    if stored[at]:
        end = _some(stored, at)
        key = stored[at + 2 : end]
    at = _some(stored, end) if stored[end] else end + 1  # idempotency_body
    if stored[at]:
        at = _some(stored, at)  # request: its key
        at += past[stored[at]]  # nonce
        size, at = _length(stored, at)  # ciphertext
        at += size
        at += past[stored[at]]  # eq
    else:
        at += 1
    return command_id, key, _some(stored, at) if stored[at] else at + 1  # request_address


def _some(stored: bytes, at: int) -> int:
    """Past a string that could have been null."""
    if stored[at] != 2:
        raise ValueError("no such branch")
    at += 1
    end: int = at + _PAST[stored[at]]
    return end
