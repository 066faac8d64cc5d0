"""What lies between clients and brokers: a TCP proxy that knows Kafka's frames, and can lose, hold and cut them."""

import asyncio
import contextlib
import struct
import threading
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any, Literal

from tests.node import PATIENCE

PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT = 10, 11, 12
INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, END_TXN = 22, 24, 26

Side = Literal["requests", "responses"]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_LINGER = 10.0
"""Seconds to wait for the broker's answer to what a client that has gone had sent."""


class Fault:
    """What befalls frames of some kinds until `end`: they are swallowed, or held and then sent on in their order.

    `caught` counts the frames it befell. A held request is sent on even if its client has gone meanwhile. Later frames
    of a connection wait behind a held one, and pass a swallowed one.
    """

    def __init__(
        self,
        side: Side,
        api_keys: Collection[int] | None,
        broker: int | None,
        when: Callable[[int], bool],
        *,
        holds: bool,
    ) -> None:
        self.caught = 0
        self.holds = holds
        self._side = side
        self._api_keys = None if api_keys is None else frozenset(api_keys)
        self._broker = broker
        self._when = when
        self._seen = 0
        self._over = threading.Event()
        self._waiting: set[asyncio.Future[None]] = set()

    def end(self) -> None:
        """Let pass what is held, and what comes from now on."""
        self._over.set()
        for waiting in tuple(self._waiting):
            waiting.get_loop().call_soon_threadsafe(_finish, waiting)

    def befalls(self, side: Side, api_key: int, broker: int) -> bool:
        fits = side == self._side and self._broker in (None, broker)
        fits = fits and (self._api_keys is None or api_key in self._api_keys)
        if not fits or self._over.is_set():
            return False
        self._seen += 1
        if not self._when(self._seen):
            return False
        self.caught += 1
        return True

    async def ended(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        if not self._over.is_set():
            await waiting
        self._waiting.discard(waiting)


def _finish(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class Proxy:
    """One port before one broker; made by a Link. `requests` counts by API key what clients sent, faults or no."""

    def __init__(self, link: "Link", broker: int, port: int, target: int) -> None:
        self.requests: Counter[int] = Counter()
        self.port = port
        self.broker = broker
        self.connections: set[_Connection] = set()
        self._link = link
        self._target = target
        self._server: asyncio.Server | None = None

    def cut(self) -> None:
        """Reset every connection and refuse new ones, until `mend`."""
        self._link.run(self.close())

    def mend(self) -> None:
        self._link.run(self.listen())

    async def listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self.connections):
            connection.abort()

    async def passes(self, side: Side, api_key: int) -> bool:
        if side == "requests":
            self.requests[api_key] += 1
        return await self._link.passes(side, api_key, self.broker)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(self, (reader, writer), broker)
        self.connections.add(connection)
        try:
            if self._server is not None:  # else it was cut meanwhile
                await connection.run()
        finally:
            connection.abort()
            self.connections.discard(connection)


class _Connection:
    """A client's connection and the one to the broker behind it."""

    def __init__(self, proxy: Proxy, client: Streams, broker: Streams) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._asked: dict[int, int] = {}
        self._client_gone = False

    def abort(self) -> None:
        self._client[1].transport.abort()
        self._broker[1].transport.abort()

    async def run(self) -> None:
        responses = asyncio.create_task(self._responses())
        await self._requests()
        self._client_gone = True
        if self._asked:  # the broker acts on what it was sent, though nobody hears the answer
            await asyncio.wait({responses}, timeout=_LINGER)
        responses.cancel()
        await asyncio.wait({responses})

    async def _requests(self) -> None:
        reader, writer = self._client[0], self._broker[1]
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                api_key, _version, correlation = struct.unpack_from(">hhi", frame, 4)
                if await self._proxy.passes("requests", api_key):
                    self._asked[correlation] = api_key
                    writer.write(frame)
                    await writer.drain()

    async def _responses(self) -> None:
        reader, writer = self._broker[0], self._client[1]
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while self._asked or not self._client_gone:
                frame = await _frame(reader)
                (correlation,) = struct.unpack_from(">i", frame, 4)
                passes = await self._proxy.passes("responses", self._asked.get(correlation, -1))
                self._asked.pop(correlation, None)
                if passes and not self._client_gone:
                    writer.write(frame)
                    await writer.drain()
        if not self._client_gone:
            writer.transport.abort()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head))


def _always(_number: int) -> bool:
    return True


class Link:
    """One way to all brokers of a cluster: `servers` is the bootstrap string of this way, `proxies` are by broker.

    May be used from any thread. For a fault, `api_keys` None means every request, `broker` None every broker, and a
    predicate `when` gets 1, 2, 3 … for the frames that fit.
    """

    def __init__(self, routes: Mapping[int, tuple[int, int]]) -> None:
        """`routes`: by the broker's id, the port to listen on and the port it leads to."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._lock = threading.Lock()
        self._faults: tuple[Fault, ...] = ()
        self.proxies = {broker: Proxy(self, broker, port, target) for broker, (port, target) in routes.items()}
        self.servers = ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies.values())

    @property
    def requests(self) -> Counter[int]:
        """By API key, what clients sent over all proxies."""
        return sum((proxy.requests for proxy in self.proxies.values()), Counter())

    def black_hole(
        self,
        api_keys: Collection[int] | None = frozenset({PRODUCE}),
        *,
        side: Side = "requests",
        broker: int | None = None,
        when: Callable[[int], bool] = _always,
    ) -> Fault:
        """Swallow requests before the broker sees them, or the responses to them after it acted.

        Connections stay open.
        """
        return self._add(Fault(side, api_keys, broker, when, holds=False))

    def hold(
        self,
        api_keys: Collection[int] | None = None,
        *,
        side: Side = "requests",
        broker: int | None = None,
        when: Callable[[int], bool] = _always,
    ) -> Fault:
        """Delay them until the fault ends, or everything passes."""
        return self._add(Fault(side, api_keys, broker, when, holds=True))

    def cut(self) -> None:
        """Reset every connection and refuse new ones, to all brokers."""
        for proxy in self.proxies.values():
            proxy.cut()

    def pass_all(self) -> None:
        """End every fault and every cut."""
        with self._lock:
            faults, self._faults = self._faults, ()
        for fault in faults:
            fault.end()
        for proxy in self.proxies.values():
            proxy.mend()

    def start(self) -> None:
        self._thread.start()
        self.pass_all()

    def close(self) -> None:
        if self._thread.is_alive():
            self.run(self._wind_up())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
        self._loop.close()

    async def passes(self, side: Side, api_key: int, broker: int) -> bool:
        """False if the frame is to be swallowed; returns once it is due."""
        for fault in self._faults:
            if fault.befalls(side, api_key, broker):
                if not fault.holds:
                    return False
                await fault.ended()
        return True

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _wind_up(self) -> None:
        for proxy in self.proxies.values():
            await proxy.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults = (*self._faults, fault)
        return fault
