"""The hash of a view's rows: equal wherever the same rows are kept, in any order, and cheap to keep current.

It is the sum, modulo 2^256, of the SHA-256 of each row's canonical bytes: a row that begins is added, one that ends is
subtracted. It finds what went wrong by accident; whoever may write the rows may also write their hash.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from domain.view import Versioned

_WRAP: Final = 1 << 256
_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode
_sha256: Final = hashlib.sha256


def row_hash(key: str, since: int, row: msgspec.Struct) -> int:
    """What one row adds to the sum."""
    return int.from_bytes(_sha256(_encode((key, since, row))).digest(), "big")


def digest(total: int) -> bytes:
    """A sum of row hashes (which may have grown beyond 2^256, or below zero) as 32 bytes."""
    return (total % _WRAP).to_bytes(32, "big")


def total_of(kept: bytes) -> int:
    """The sum that `digest` wrote."""
    return int.from_bytes(kept, "big")


def hash_of(rows: Iterable[Versioned[Any]]) -> bytes:
    """The hash of rows that are at hand."""
    return digest(sum(row_hash(each.key, each.since, each.row) for each in rows))
