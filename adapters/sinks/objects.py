"""Object storage: batches become objects that are made once, never changed, and named after where they begin.

So each event is in one object, whatever fails: an object that is there already is asked how far it goes, and what comes
next begins after it. A replay writes its objects beside the others, under its own number.
"""

import asyncio
import gzip
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from adapters.sinks.documents import Document, encode
from adapters.sinks.target import HttpTarget, fitting, judged
from adapters.webhooks.courier import Answer, Courier
from adapters.webhooks.kinds import Carried

MOST_BYTES: Final = 16_000_000
"""Before compression."""
NOT_OURS: Final = "there is an object of this name that is not of this sink: choose another prefix"
LAST: Final = "muniment-last"
"""Metadata of an object: the position of its last event."""


class Place(Protocol):
    """What object targets are set to."""

    @property
    def prefix(self) -> str: ...

    @property
    def gzip(self) -> bool: ...

    @property
    def seconds(self) -> int: ...

    @property
    def most_events(self) -> int: ...


class ObjectTarget(HttpTarget, ABC):
    """See adapters.sinks.target.Target; `_put` and `_last` are the storage's."""

    def __init__(self, courier: Courier, sink: str, turn: int, place: Place) -> None:
        super().__init__(courier)
        self.most = place.most_events
        self.waits = place.seconds
        self._prefix = f"{place.prefix}{sink}/{turn:020d}"
        self._is_compressed = place.gzip

    async def send(self, documents: Sequence[Document]) -> Carried:
        body, count = await asyncio.to_thread(self._packed, documents)
        name, last = self.name_of(documents[0]), documents[count - 1].position
        answer = await self._put(name, body, last)
        if answer.status == 412:
            return await self._already(name, documents[0].position, count)
        return Carried(judged(answer, refused=answer.status == 413), count)

    def _packed(self, documents: Sequence[Document]) -> tuple[bytes, int]:
        parts = [encode(each.body) for each in documents]
        count = fitting(parts, MOST_BYTES)
        body = b"".join(each + b"\n" for each in parts[:count])
        return gzip.compress(body, 6, mtime=0) if self._is_compressed else body, count

    def name_of(self, first: Document) -> str:
        """By the day, so that they can be found, and then by position."""
        day = datetime.fromtimestamp(first.instant / 1e6, UTC).strftime("%Y/%m/%d")
        suffix = ".ndjson.gz" if self._is_compressed else ".ndjson"
        return f"{self._prefix}/{day}/{first.position:020d}{suffix}"

    async def _already(self, name: str, first: int, count: int) -> Carried:
        """The object is there: another attempt made it, here or on another node, and was not heard of."""
        found = await self._last(name)
        if isinstance(found, Answer):
            return Carried(judged(found, refused=False), count)
        if found < first:
            return Carried(Answer(None, NOT_OURS), count)
        return Carried(Answer(200, "it was there already", until=found), count)

    @abstractmethod
    async def _put(self, name: str, body: bytes, last: int) -> Answer:
        """Make an object unless there is one of this name: then the answer's status is 412."""

    @abstractmethod
    async def _last(self, name: str) -> int | Answer:
        """How far an object goes, or why that can't be known."""


def last_from(answer: Answer, text: str | None) -> int | Answer:
    """The position that metadata says."""
    if text is not None and text.isascii() and text.isdigit() and len(text) < 17:
        return int(text)
    if not answer.delivered:
        return answer
    return Answer(None, NOT_OURS)
