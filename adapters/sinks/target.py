"""A target: where a sink's events go, and what it is told of how that went."""

import asyncio
import gzip
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from adapters.sinks.documents import Document, encode
from adapters.webhooks.courier import Answer, Courier, Line
from adapters.webhooks.kinds import Carried

REFUSED: Final = frozenset({400, 413, 422})
"""Statuses that say: not this, as it is."""


class Target(Protocol):
    """Ordered: nothing is sent before what came before it has been answered."""

    most: int
    """How many events go at once."""
    waits: int
    """Seconds to wait for more, so that few big things are written rather than many small."""

    async def send(self, documents: Sequence[Document]) -> Carried:
        """Send some of them, from the first on."""
        ...

    async def aclose(self) -> None:
        """Close what is open; it opens again when something is sent."""
        ...


class Lines:
    """Connections of one target: to each host one, opened when it is needed."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._lines: dict[str, Line] = {}

    async def send(self, url: str, headers: dict[str, str], body: bytes, **how: Any) -> Answer:
        host = url.split("/", 3)[2]
        line = self._lines.get(host)
        if line is None:
            line = self._lines[host] = self._courier.line()
        return await line.send(url, headers, body, **how)

    async def aclose(self) -> None:
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.aclose()


class HttpTarget:
    """What targets by HTTP share."""

    most = 500
    waits = 0

    def __init__(self, courier: Courier) -> None:
        self._lines = Lines(courier)

    async def aclose(self) -> None:
        await self._lines.aclose()


def fitting(parts: Sequence[bytes], most: int) -> int:
    """How many of the parts fit in so many bytes, with a byte between them; at least one."""
    size = 2
    for number, part in enumerate(parts):
        size += len(part) + 1
        if size > most and number:
            return number
    return len(parts)


async def compressed_array(
    make: Callable[[Document], Any], documents: Sequence[Document], most: int
) -> tuple[bytes, int]:
    """A JSON array of as many documents as fit, in gzip, and how many those are; made on a thread."""

    def pack() -> tuple[bytes, int]:
        parts = [encode(make(each)) for each in documents]
        count = fitting(parts, most)
        return gzip.compress(b"[" + b",".join(parts[:count]) + b"]", 6, mtime=0), count

    return await asyncio.to_thread(pack)


def judged(answer: Answer, *, refused: bool | None = None, reason: str | None = None) -> Answer:
    """The answer without what it brought, and whether what was sent is to blame."""
    is_refused = answer.status in REFUSED if refused is None else refused
    return msgspec.structs.replace(
        answer, refused=is_refused, reason=reason or answer.reason, headers=dict[str, str](), body=b""
    )
