"""Fresh ids: ours, and for events UUIDs of version 7 (RFC 9562 §5.7)."""

import os
import time

from domain.ids import id_from


def new_id(prefix: str) -> str:
    """A fresh id with this prefix."""
    return id_from(prefix, time.time_ns() // 1000, os.urandom(10))


def new_event_id(instant: int) -> str:
    """A fresh UUIDv7 for a time in microseconds. It promises no order."""
    number = ((instant // 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    number = (number & ~(0xF << 76)) | (7 << 76)
    number = (number & ~(0x3 << 62)) | (2 << 62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
