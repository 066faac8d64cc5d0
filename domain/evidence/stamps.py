"""What every stored event begins with, read without its schema: place, time, the how-manieth of each tag, and tags.

Stored bytes are 0x00, a schema's id in four bytes, and Avro; every schema ever released begins with the same fields.
Only the one way in which we write them is read, so that no bytes can be understood in two ways.
"""

from typing import Final, NamedTuple

from domain.event import MOST_BYTES, MOST_TAGS

_MOST: Final = (1 << 63) - 1


class StampWrong(Exception):
    """Bytes are no stored event."""


class Stamp(NamedTuple):
    """The beginning of a stored event."""

    schema: int
    position: int
    instant: int
    """Microseconds since 1970 in UTC."""
    event_id: str
    nth: dict[str, int]
    """For each tag the how-manieth event of the tenant with it this is."""


def read_stamp(stored: bytes) -> Stamp:
    """Raises StampWrong."""
    if not 5 < len(stored) <= MOST_BYTES or stored[0]:
        raise StampWrong("the bytes are no stored event")
    try:
        position, at = _number(stored, 5)
        instant, at = _number(stored, at)
        count, at = _number(stored, at)
        nths = []
        for _ in range(min(count, MOST_TAGS + 1)):
            nth, at = _number(stored, at)
            nths.append(nth)
        at = _end(stored, at, count)
        event_id, at = _text(stored, at)
        count, at = _number(stored, at)
        tags = []
        for _ in range(min(count, MOST_TAGS + 1)):
            tag, at = _text(stored, at)
            tags.append(tag)
        _end(stored, at, count)
    except (IndexError, UnicodeDecodeError):
        raise StampWrong("the bytes end within what every event begins with") from None
    if len(tags) != len(nths) or len(tags) > MOST_TAGS or len(set(tags)) != len(tags) or 0 in nths or not position:
        raise StampWrong("the event does not say of each of its tags the how-manieth it is")
    schema = int.from_bytes(stored[1:5], "big")
    return Stamp(schema, position, instant, event_id, dict(zip(tags, nths, strict=True)))


def _number(stored: bytes, at: int) -> tuple[int, int]:
    """A number that is not negative, as Avro's zigzag varint without needless bytes, and where it ends."""
    number = shift = 0
    while True:
        byte = stored[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            break
        if shift > 63:
            raise StampWrong("a number has more than 64 bits")
    if number & 1 or number >> 1 > _MOST or (not byte and shift > 7):
        raise StampWrong("a number is not written as we write it")
    return number >> 1, at


def _text(stored: bytes, at: int) -> tuple[str, int]:
    size, at = _number(stored, at)
    end = at + size
    if end > len(stored):
        raise StampWrong("a text ends beyond the event")
    return stored[at:end].decode(), end


def _end(stored: bytes, at: int, count: int) -> int:
    """Past the zero that ends an array of one block; an empty array is nothing but it."""
    if count and stored[at]:
        raise StampWrong("an array is not written in one block")
    return at + 1 if count else at
