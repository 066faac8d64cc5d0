"""Server-sent events: an answer that goes on, as `text/event-stream`, until someone ends it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_ITEM: Final = {
    "type": "object",
    "required": ["data"],
    "properties": {name: {"type": "string"} for name in ("data", "event", "id")},
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events as they happen; `id` is the cursor to resume from, in Last-Event-ID.",
        "content": {"text/event-stream": {"itemSchema": _ITEM}},
    }
}
"""For the `responses` of a route that answers with an EventStream."""

# Neither a comment nor `retry` is followed by an empty line, which some clients take for an event without data.
_KEEPALIVE: Final = b": still here\n"
_READ_AHEAD: Final = 64
_FAREWELL_SECONDS: Final = 1.0


class Sent(NamedTuple):
    """One event of a stream. `id` and `name` are ours and hold no line breaks."""

    data: str
    id: str | None = None
    name: str | None = None


def encode(sent: Sent) -> bytes:
    """The event as the HTML standard §9.2.5 frames it."""
    lines = []
    for field, value in (("id", sent.id), ("event", sent.name)):
        if value is not None:
            if any(character in value for character in "\r\n\0"):
                raise ValueError(f"the {field} of an event can't hold a line break or NUL")
            lines.append(f"{field}: {value}\n")
    data = sent.data.replace("\r\n", "\n").replace("\r", "\n")
    lines.extend(f"data: {line}\n" for line in data.split("\n"))
    return "".join(lines).encode() + b"\n"


class EventStream(Response):
    """Sends `events` until they end, the client leaves, `stopping` is set, or `lasts` seconds have passed.

    `events` is read by one task, at most 64 ahead of the client, and is closed in every case. After `quiet_for` seconds
    without an event a comment is sent, so that both sides notice a dead connection; a client that takes nothing for
    `patience` seconds is let go. The client is told to come back `retry` seconds after the stream has ended.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[Sent, None],
        *,
        stopping: asyncio.Event,
        lasts: float | None = None,
        quiet_for: float = 15.0,
        patience: float = 60.0,
        retry: float = 2.0,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._stopping = stopping
        self._lasts = lasts
        self._quiet_for = quiet_for
        self._patience = patience
        self._retry = retry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        talking = asyncio.create_task(self._talk(send))
        gone = asyncio.create_task(_gone(receive))
        stopped = asyncio.create_task(_set(self._stopping))
        tasks = (talking, gone, stopped)
        try:
            await asyncio.wait(tasks, timeout=self._lasts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left = gone.done()
            await _end(*tasks)
        if not talking.cancelled() and not talking.result():
            left = True
        # An answer that is left unfinished makes the server drop the connection.
        if not left:
            await _say(send, b"", min(self._patience, _FAREWELL_SECONDS), more=False)

    async def _talk(self, send: Send) -> bool:
        """Send until the events end; False if the client stopped taking them."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_READ_AHEAD)
        reading = asyncio.create_task(self._read(queue))
        try:
            chunk: bytes | None = f"retry: {int(self._retry * 1000)}\n".encode()
            while chunk is not None:
                if not await _say(send, chunk, self._patience):
                    return False
                chunk = await self._next(queue)
            await reading
            return True
        finally:
            await _end(reading)

    async def _next(self, queue: asyncio.Queue[bytes | None]) -> bytes | None:
        """What has been read since, in one piece; a comment if there is nothing; None at the end."""
        try:
            async with asyncio.timeout(self._quiet_for):
                chunk = await queue.get()
        except TimeoutError:
            return _KEEPALIVE
        while chunk is not None and not queue.empty():
            following = queue.get_nowait()
            if following is None:
                queue.put_nowait(None)
                break
            chunk += following
        return chunk

    async def _read(self, queue: asyncio.Queue[bytes | None]) -> None:
        try:
            async with aclosing(self._events):
                async for sent in self._events:
                    await queue.put(encode(sent))
        except Exception:
            await queue.put(None)  # wakes the talker, which then finds this task's exception
            raise
        await queue.put(None)


async def _say(send: Send, chunk: bytes, patience: float, *, more: bool = True) -> bool:
    """Whether the client took it in time."""
    try:
        async with asyncio.timeout(patience):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
    except TimeoutError:
        return False
    return True


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _end(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
