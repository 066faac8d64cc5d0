"""Server-sent events: what is sent can be read by a client, and a stream ends for whatever reason it should."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable

import httpx
import pytest
import uvicorn
from httpx_sse import aconnect_sse
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.types import Message

from api.http.application import Application
from api.http.server_sent_events import RESPONSES, EventStream, Sent, encode
from tests.api.http.asking import scope_of


class Talk:
    """A stream as its server sees it: what was sent so far, and a client that can leave."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.changed = asyncio.Condition()
        self.left = asyncio.Event()

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def finished(self) -> bool:
        return self.sent[-1].get("more_body") is False

    async def send(self, message: Message) -> None:
        async with self.changed:
            self.sent.append(message)
            self.changed.notify_all()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def until(self, holds: Callable[[], bool]) -> None:
        async with self.changed:
            await self.changed.wait_for(holds)


class Source:
    """Yields what it is given, then waits for ever; knows whether it was closed."""

    def __init__(self, *sent: Sent, ends: bool = False) -> None:
        self.sent = sent
        self.ends = ends
        self.closed = asyncio.Event()

    async def events(self) -> AsyncGenerator[Sent, None]:
        try:
            for sent in self.sent:
                yield sent
            if not self.ends:
                await asyncio.Event().wait()
        finally:
            self.closed.set()


async def serve(talk: Talk, stream: EventStream) -> None:
    await stream(scope_of("GET", b"/events"), talk.receive, talk.send)


def test_an_event_is_framed_as_the_standard_says() -> None:
    assert encode(Sent('{"a":1}', id="c_1", name="UserProvisioned")) == (
        b'id: c_1\nevent: UserProvisioned\ndata: {"a":1}\n\n'
    )
    assert encode(Sent("one\ntwo\r\nthree\rfour")) == b"data: one\ndata: two\ndata: three\ndata: four\n\n"


@pytest.mark.parametrize("broken", [Sent("", id="a\nb"), Sent("", name="a\rb"), Sent("", id="\0")])
def test_a_field_that_would_end_its_line_is_a_defect(broken: Sent) -> None:
    with pytest.raises(ValueError, match="line break"):
        encode(broken)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_data_can_forge_a_field_or_an_event(data: str) -> None:
    lines = encode(Sent(data)).decode().split("\n")
    assert lines[-2:] == ["", ""]
    assert all(line.startswith("data: ") and "\r" not in line for line in lines[:-2])


async def test_a_stream_that_ends_is_sent_whole_and_closed() -> None:
    talk, source = Talk(), Source(*(Sent(str(n), id=str(n)) for n in range(200)), ends=True)
    await serve(talk, EventStream(source.events(), stopping=asyncio.Event(), retry=2.5))
    retry, _, frames = talk.text.partition("\n")
    assert retry == "retry: 2500"
    assert frames.split("\n\n")[:-1] == [f"id: {n}\ndata: {n}" for n in range(200)]
    assert talk.finished
    assert source.closed.is_set()
    headers = dict(talk.sent[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers


async def test_a_quiet_stream_says_that_it_is_still_here() -> None:
    talk, source = Talk(), Source(Sent("one"))
    stopping = asyncio.Event()
    serving = asyncio.create_task(serve(talk, EventStream(source.events(), stopping=stopping, quiet_for=0.005)))
    await talk.until(lambda: talk.text.count(": still here") >= 3)
    stopping.set()
    await serving
    assert talk.text.index("data: one") < talk.text.index(": still here")


async def test_a_stream_ends_when_the_client_leaves_and_frees_its_source() -> None:
    talk, source = Talk(), Source(Sent("one"))
    serving = asyncio.create_task(serve(talk, EventStream(source.events(), stopping=asyncio.Event())))
    await talk.until(lambda: "data: one" in talk.text)
    talk.left.set()
    await serving
    assert source.closed.is_set()
    assert not talk.finished


async def test_a_stream_ends_when_the_server_stops() -> None:
    talk, source, stopping = Talk(), Source(Sent("one")), asyncio.Event()
    serving = asyncio.create_task(serve(talk, EventStream(source.events(), stopping=stopping)))
    await talk.until(lambda: "data: one" in talk.text)
    stopping.set()
    await serving
    assert talk.finished
    assert source.closed.is_set()


async def test_a_stream_lasts_as_long_as_it_was_asked_to() -> None:
    talk, source = Talk(), Source(Sent("one"))
    await serve(talk, EventStream(source.events(), stopping=asyncio.Event(), lasts=0.05))
    assert "data: one" in talk.text
    assert talk.finished
    assert source.closed.is_set()


async def test_a_client_that_takes_nothing_is_let_go_and_its_source_freed() -> None:
    source = Source(Sent("one"))
    talk = Talk()

    async def stuck(message: Message) -> None:
        await talk.send(message)
        if "data: one" in talk.text:
            await asyncio.Event().wait()

    stream = EventStream(source.events(), stopping=asyncio.Event(), patience=0.01)
    await stream(scope_of("GET", b"/events"), talk.receive, stuck)
    assert source.closed.is_set()
    assert not talk.finished


async def test_a_client_that_takes_nothing_is_not_in_the_way_of_a_stop() -> None:
    talk, source, stopping = Talk(), Source(Sent("one")), asyncio.Event()

    async def stuck(message: Message) -> None:
        if source.closed.is_set() or "data: one" in talk.text:
            await asyncio.Event().wait()
        await talk.send(message)

    stream = EventStream(source.events(), stopping=stopping)
    serving = asyncio.create_task(stream(scope_of("GET", b"/events"), talk.receive, stuck))
    await talk.until(lambda: "data: one" in talk.text)
    stopping.set()
    await serving
    assert source.closed.is_set()
    assert not talk.finished


async def test_a_source_that_fails_leaves_the_answer_unfinished() -> None:
    async def failing() -> AsyncGenerator[Sent, None]:
        yield Sent("one")
        raise LookupError

    talk = Talk()
    with pytest.raises(LookupError):
        await serve(talk, EventStream(failing(), stopping=asyncio.Event()))
    assert "data: one" in talk.text
    assert not talk.finished


async def test_a_fast_source_is_read_no_further_ahead_than_the_client_follows() -> None:
    made = 0
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Sent, None]:
        nonlocal made
        try:
            while True:
                made += 1
                yield Sent(str(made))
        finally:
            closed.set()

    talk = Talk()

    async def stuck(message: Message) -> None:
        await talk.send(message)
        if "data: 1\n" in talk.text:
            await asyncio.Event().wait()

    stream = EventStream(endless(), stopping=asyncio.Event())
    serving = asyncio.create_task(stream(scope_of("GET", b"/events"), talk.receive, stuck))
    await talk.until(lambda: "data: 1\n" in talk.text)
    for _ in range(1000):  # every turn of the loop is a chance to read further
        await asyncio.sleep(0)
    assert made < 200
    talk.left.set()
    await serving
    assert closed.is_set()


async def test_a_real_client_reads_leaves_and_is_not_in_the_way_of_a_stop() -> None:
    stopping = asyncio.Event()
    sources: list[Source] = []
    app = Application(registry=CollectorRegistry())

    @app.get("/events", responses=RESPONSES, response_class=EventStream)
    async def events() -> EventStream:
        sources.append(Source(Sent('{"n":1}', id="c_1", name="one"), Sent("two", id="c_2")))
        return EventStream(sources[-1].events(), stopping=stopping)

    @app.post("/echo")
    async def echo(value: dict[str, int]) -> dict[str, int]:
        return value

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=20))
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listening]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as http:
        async with aconnect_sse(http, "GET", "/events") as connection:
            assert connection.response.headers["x-request-id"]
            received = connection.aiter_sse()
            first, second = await anext(received), await anext(received)
            assert (first.event, first.id, first.data, first.retry) == ("one", "c_1", '{"n":1}', 2000)
            assert (second.event, second.data) == ("message", "two")
        await sources[0].closed.wait()

        async def much() -> AsyncGenerator[bytes, None]:
            for _ in range(64):
                yield b"[" * 65_536

        json = {"Content-Type": "application/json"}
        assert (await http.post("/echo", content=b"[" * 4_000_000, headers=json)).status_code == 413
        assert (await http.post("/echo", content=much(), headers=json)).status_code == 413
        assert (await http.post("/echo", json={"n": 1})).json() == {"n": 1}

        async with aconnect_sse(http, "GET", "/events") as connection:
            received = connection.aiter_sse()
            assert (await anext(received)).id == "c_1"
            stopping.set()
            server.should_exit = True
            assert [event.id async for event in received] == ["c_2"]
    await serving
    assert sources[1].closed.is_set()
