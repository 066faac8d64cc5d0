"""Encoding by hand what fastavro encodes too, several times faster; tests hold the two equal, byte for byte."""

from collections.abc import Callable
from typing import Any, Final

from domain.event import Sealed

Put = Callable[[list[bytes], Any], None]

_SMALL: Final = tuple(bytes((number << 1,)) for number in range(64))
_LEAST: Final = -(1 << 63)
_MOST: Final = (1 << 63) - 1
NULL: Final = b"\x00"
SOME: Final = b"\x02"


def long(number: int) -> bytes:
    """A zigzag varint."""
    if 0 <= number < 64:
        return _SMALL[number]
    if not _LEAST <= number <= _MOST:
        raise OverflowError("the number does not fit 64 bits")
    rest = (number << 1) ^ (number >> 63)
    if rest < 1 << 14:
        return bytes((rest,)) if rest < 128 else bytes(((rest & 127) | 128, rest >> 7))
    out = bytearray()
    while rest > 127:
        out.append((rest & 127) | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_LENGTHS: Final = tuple(long(number) for number in range(2048))


def length(number: int) -> bytes:
    """A varint, from a table where it is short."""
    return _LENGTHS[number] if number < 2048 else long(number)


def put_string(out: list[bytes], value: str) -> None:
    data = value.encode()
    out.append(length(len(data)))
    out.append(data)


def put_bytes(out: list[bytes], value: bytes) -> None:
    out.append(length(len(value)))
    out.append(value)


def put_long(out: list[bytes], value: int) -> None:
    out.append(long(value))


def put_boolean(out: list[bytes], value: bool) -> None:
    out.append(b"\x01" if value else b"\x00")


def put_sealed(out: list[bytes], value: Sealed) -> None:
    key = value.key.encode()
    nonce, ciphertext, eq = value.nonce, value.ciphertext, value.eq
    out += (
        length(len(key)),
        key,
        length(len(nonce)),
        nonce,
        length(len(ciphertext)),
        ciphertext,
        length(len(eq)),
        eq,
    )


def nullable(put: Put) -> Put:
    """A union of null and one type, null first."""

    def put_nullable(out: list[bytes], value: Any) -> None:
        if value is None:
            out.append(NULL)
        else:
            out.append(SOME)
            put(out, value)

    return put_nullable


def array(put: Put) -> Put:
    """One block of items, and the end."""

    def put_array(out: list[bytes], value: Any) -> None:
        if value:
            out.append(length(len(value)))
            for each in value:
                put(out, each)
        out.append(NULL)

    return put_array


_PUTS: Final[dict[str, Put]] = {
    "string": put_string,
    "bytes": put_bytes,
    "long": put_long,
    "boolean": put_boolean,
    "muniment.Sealed": put_sealed,
}


def put_for(schema: Any) -> Put:
    """How to put a value of an Avro type; only the types that events use."""
    if isinstance(schema, list):
        return nullable(put_for(schema[1]))
    if isinstance(schema, dict):
        if schema["type"] == "array":
            return array(put_for(schema["items"]))
        return _PUTS["muniment.Sealed" if schema["type"] == "record" else schema["type"]]
    return _PUTS[schema]
