"""Syslog over TLS: a receiver that reads RFC 5425's frames and RFC 5424's messages, and believes nothing else."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
import trustme

from adapters.sinks.documents import Document
from adapters.sinks.syslog import Settings, framed, message_of
from domain.sinks.sinks import PauseSink, ResumeSink
from tests.adapters.sinks.depot import running
from tests.adapters.webhooks.office import ON_OFF

# RFC 5424 §6: HEADER SP STRUCTURED-DATA SP MSG, in which the message is UTF-8 and says so by its BOM.
MESSAGE = re.compile(
    rb"<(?P<pri>[0-9]{1,3})>1 (?P<time>[0-9T:.-]{26}Z) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48})"
    rb" (?P<proc>[!-~]{1,128}) (?P<id>[!-~]{1,32}) \[muniment@32473"
    rb'(?P<data>( [a-z]+="([^"\\\]]|\\["\\\]])*")*)\] \xef\xbb\xbf(?P<said>.*)',
    re.DOTALL,
)


class Said(NamedTuple):
    pri: int
    id: str
    data: dict[str, str]
    body: dict[str, Any]


class Collector:
    """Keeps what it is sent. `close_after` messages it closes the connection, as one that is restarted does."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.connections = 0
        self.close_after: int | None = None
        self.certificates: list[Any] = []
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        self.certificates.append(writer.get_extra_info("peercert"))
        try:
            while True:
                count = (await reader.readuntil(b" "))[:-1]
                assert count.isdigit(), "MSG-LEN"
                assert not count.startswith(b"0"), "NONZERO-DIGIT"
                self.said.append(read(await reader.readexactly(int(count))))
                if self.close_after is not None and len(self.said) >= self.close_after:
                    self.close_after = None
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def read(message: bytes) -> Said:
    found = MESSAGE.fullmatch(message)
    assert found is not None, message
    data = dict(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', found["data"].decode()))
    return Said(int(found["pri"]), found["id"].decode(), data, json.loads(found["said"]))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


@asynccontextmanager
async def collecting(authority: trustme.CA, *, asks: bool = False) -> AsyncIterator[Collector]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    if asks:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    collector = Collector()
    server = await asyncio.start_server(collector.serve, "127.0.0.1", 0, ssl=context, limit=2**20)
    collector.port = server.sockets[0].getsockname()[1]
    try:
        yield collector
    finally:
        server.close()
        for writer in collector.writers:
            writer.transport.abort()
        await asyncio.gather(*(each.wait_closed() for each in collector.writers), return_exceptions=True)


async def test_events_are_messages_in_order_over_one_connection(authority: trustme.CA, trusted: str) -> None:
    async with collecting(authority) as collector, running() as depot:
        settings = {"host": "localhost", "port": collector.port, "ca": trusted, "facility": 10}
        sink = await depot.sink("syslog", settings, {}, *ON_OFF)
        await depot.do(PauseSink(sink))
        sent = await depot.switch(700)
        await depot.do(ResumeSink(sink))
        await depot.reached(sink, sent[-1])
        assert [each.body["position"] for each in collector.said] == sent
        assert collector.connections == 1
        first = collector.said[0]
        assert (first.pri, first.id) == (10 * 8 + 5, "FlagSwitchedOff")
        assert first.data["position"] == str(sent[0])
        assert first.data["id"] == first.body["id"]


async def test_what_was_cut_off_is_sent_again(authority: trustme.CA, trusted: str) -> None:
    async with collecting(authority) as collector, running() as depot:
        sink = await depot.sink("syslog", {"host": "localhost", "port": collector.port, "ca": trusted}, {}, *ON_OFF)
        await depot.do(PauseSink(sink))
        sent = await depot.switch(20)
        collector.close_after = 8
        await depot.do(ResumeSink(sink))
        await depot.failed(sink, 1)
        depot.try_again(sink)
        await depot.reached(sink, sent[-1])
        told = [each.body["position"] for each in collector.said]
        assert told[:8] == sent[:8]
        assert told[8:] == sent, "once more from where nothing was confirmed"


async def test_a_certificate_of_nobody_known_is_not_believed(authority: trustme.CA) -> None:
    async with collecting(authority) as collector, running() as depot:
        sink = await depot.sink("syslog", {"host": "localhost", "port": collector.port}, {}, *ON_OFF)
        await depot.switch(1)
        await depot.trouble(sink, "the receiver's certificate is not valid for its host")
        assert not collector.said


async def test_a_receiver_that_asks_for_a_certificate_gets_one(authority: trustme.CA, trusted: str) -> None:
    client = authority.issue_cert("muniment.planet.express")
    secrets = {
        "client_certificate": client.cert_chain_pems[0].bytes().decode(),
        "client_key": client.private_key_pem.bytes().decode(),
    }
    async with collecting(authority, asks=True) as collector, running() as depot:
        settings = {"host": "localhost", "port": collector.port, "ca": trusted}
        sink = await depot.sink("syslog", settings, secrets, *ON_OFF)
        sent = await depot.switch(1)
        await depot.reached(sink, sent[-1])
        assert ("DNS", "muniment.planet.express") in collector.certificates[0]["subjectAltName"]


def test_what_is_in_an_event_can_not_end_a_message_or_its_data() -> None:
    hostile = 'a"]\\\n<13>1 '
    document = Document(hostile, 7, 1_700_000_000_000_000, "id", "opaque:\u202e\n x" * 9, {"said": hostile})
    said = read(message_of(document, Settings("localhost")))
    assert (
        said.data["tenant"].replace("\\\\", "\0").replace('\\"', '"').replace("\\]", "]").replace("\0", "\\") == hostile
    )
    assert said.body == {"said": hostile}
    assert framed(b"abc") == b"3 abc"
