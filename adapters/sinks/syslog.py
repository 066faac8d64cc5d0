"""Syslog: RFC 5424 messages over TLS, each after the count of its octets (RFC 5425 §4.3).

A receiver does not answer: what it was handed when a connection breaks is sent again.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.sinks.documents import Document, encode
from adapters.webhooks.addresses import Refused, Resolve, addresses_of
from adapters.webhooks.courier import Answer, reason_of
from adapters.webhooks.kinds import Carried
from adapters.webhooks.message import time_text

PORT: Final = 6514
NOTICE: Final = 5
"""The severity (RFC 5424 §6.2.1): normal but significant."""
MOST_BYTES: Final = 1_000_000
CONNECT: Final = 5.0
PATIENCE: Final = 15.0
IDLE_CHECK: Final = 0.05
"""Seconds to listen for a close after a batch: a receiver that has gone says so only then."""
_NAME: Final = "muniment@32473"
"""Of the structured data (RFC 5424 §7.2.2; 32473 is IANA's number for documentation)."""


class Settings(msgspec.Struct, frozen=True):
    host: str
    port: int = PORT
    facility: int = 13
    """13: log audit (RFC 5424 §6.2.1)."""
    app_name: str = "muniment"
    host_name: str = "-"
    ca: str | None = None
    """PEM of the authority that the receiver's certificate is from, if it is not a public one."""


class Secrets(msgspec.Struct, frozen=True):
    client_certificate: str | None = None
    client_key: str | None = None


class Syslog:
    """See adapters.sinks.target.Target."""

    most = 500
    waits = 0

    def __init__(
        self, resolve: Resolve, private: bool, trust: ssl.SSLContext, settings: Settings, secrets: Secrets
    ) -> None:
        self._resolve = resolve
        self._private = private
        self._settings = settings
        self._trust = context_of(trust, settings.ca, secrets.client_certificate, secrets.client_key)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, documents: Sequence[Document]) -> Carried:
        frames, size = list[bytes](), 0
        for each in documents:
            frames.append(framed(message_of(each, self._settings)))
            size += len(frames[-1])
            if size > MOST_BYTES:
                break
        try:
            async with asyncio.timeout(PATIENCE):
                await self._write(b"".join(frames))
        except TimeoutError:
            answer = Answer(None, f"it did not take the messages within {PATIENCE:.0f} seconds")
        except Refused as refused:
            answer = Answer(None, str(refused))
        except OSError as problem:
            answer = Answer(None, reason_of(problem))
        else:
            return Carried(Answer(200, "written"), len(frames))
        await self.aclose()
        return Carried(answer, len(frames))

    async def _write(self, data: bytes) -> None:
        if self._streams is None:
            self._streams = await self._connect()
        reader, writer = self._streams
        writer.write(data)
        await writer.drain()
        try:
            async with asyncio.timeout(IDLE_CHECK):
                while await reader.read(1024):
                    pass
        except TimeoutError:
            return  # still open
        raise ConnectionResetError

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        settings = self._settings
        found = await addresses_of(settings.host, settings.port, self._resolve, private=self._private)
        async with asyncio.timeout(CONNECT):
            return await asyncio.open_connection(
                found[0], settings.port, ssl=self._trust, server_hostname=settings.host
            )

    async def aclose(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            try:
                async with asyncio.timeout(1):
                    await streams[1].wait_closed()
            except (OSError, TimeoutError):
                streams[1].transport.abort()


def context_of(trust: ssl.SSLContext, ca: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """Raises ValueError for what is no certificate or key."""
    if ca is None and certificate is None:
        return trust
    context = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()
    if certificate is not None and key is not None:
        _load_pair(context, certificate, key)
    return context


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Python reads them from files only: this one has no name, and never reaches a disk."""
    import os

    descriptor = os.memfd_create("muniment-client")
    try:
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(key.rstrip() + "\n" + certificate)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def message_of(document: Document, settings: Settings) -> bytes:
    """RFC 5424 §6: a header, what can be searched for as structured data, and the document as JSON, marked as UTF-8."""
    data = {"id": document.id, "tenant": document.tenant, "position": str(document.position), "type": document.type}
    pairs = " ".join(f'{name}="{_escaped(value)}"' for name, value in data.items())
    header = (
        f"<{settings.facility * 8 + NOTICE}>1 {time_text(document.instant)} {settings.host_name} {settings.app_name}"
        f" - {_printable(document.type)[:32]} [{_NAME} {pairs}] "
    )
    return header.encode() + b"\xef\xbb\xbf" + encode(document.body)


def framed(message: bytes) -> bytes:
    return str(len(message)).encode() + b" " + message


def _printable(text: str) -> str:
    return "".join(each if "!" <= each <= "~" else "_" for each in text) or "-"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
