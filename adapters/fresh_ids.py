"""Fresh ids and nonces: ours, and for events UUIDs of version 7 (RFC 9562 §5.7)."""

import os
import time
from collections.abc import Iterator
from typing import Final

_CHUNK: Final = 12
_CHUNKS: Final = 512
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

_chunks: Iterator[bytes] = iter(())


def random_12() -> bytes:
    """12 random bytes, from the system's generator by the page: a call for each cost more than what it was for.

    An iterator's step is atomic, so no two threads get the same; two that refill at once each bring fresh ones.
    """
    global _chunks  # noqa: PLW0603
    while True:
        for chunk in _chunks:
            return chunk
        data = os.urandom(_CHUNK * _CHUNKS)
        _chunks = iter([data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)])


def _forget() -> None:
    """A forked child must not give out what its parent gives out."""
    global _chunks  # noqa: PLW0603
    _chunks = iter(())


os.register_at_fork(after_in_child=_forget)


def new_id(prefix: str) -> str:
    """A fresh id with this prefix: what `domain.ids.id_from` makes of now and 10 random bytes."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{random_12()[:10].hex()}"


def new_event_id(instant: int) -> str:
    """A fresh UUIDv7 for a time in microseconds. It promises no order."""
    when, rest = f"{instant // 1000:012x}", random_12().hex()
    return f"{when[:8]}-{when[8:]}-7{rest[:3]}-{_VARIANT[rest[3]]}{rest[4:7]}-{rest[7:19]}"
