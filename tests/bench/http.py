"""HTTP: users a second through the REST face against the same route without the ledger, and the lag under that load."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil
import uvloop

from tests.bench.table import Row, versus

CONNECTIONS: Final = 32
ROUNDS: Final = 5
ROUND: Final = 1_500
MINUTE: Final = 60.0


class Server:
    """A server process of tests.bench.server, and a tenant on it."""

    def __init__(self, data: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.bench.server", str(data), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        out = self.process.stdout
        assert out is not None
        ready = json.loads(out.readline())
        self.port: int = ready["port"]
        self._key: str = ready["operator_key"]
        self.sent = 0
        self.latencies: list[float] = []
        self.tenant = ""

    async def begin(self, name: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        status, body = await self.ask(reader, writer, "POST", "/v1/tenants", {"name": name})
        if status != 201:
            raise RuntimeError(body)
        self.tenant = json.loads(body)["id"]
        writer.close()

    async def ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str, body: Any = None
    ) -> tuple[int, bytes]:
        content = b"" if body is None else json.dumps(body).encode()
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head[9:12]), await reader.readexactly(length)

    async def users(self, *, count: int | None = None, seconds: float | None = None) -> float:
        """Create so many users, or for so long, over all connections; users a second."""
        began = time.perf_counter()
        left = count if count is not None else 1 << 60

        async def connection() -> None:
            nonlocal left
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            while left > 0 and (seconds is None or time.perf_counter() - began < seconds):
                left -= 1
                self.sent += 1
                name = f"user{self.sent}@planetexpress.example"
                body = {
                    "user_name": name,
                    "display_name": f"User {self.sent}",
                    "given_name": "User",
                    "family_name": str(self.sent),
                    "email": name,
                }
                asked = time.perf_counter()
                status, answer = await self.ask(reader, writer, "POST", f"/v1/tenants/{self.tenant}/users", body)
                self.latencies.append(time.perf_counter() - asked)
                if status != 201:
                    raise RuntimeError(answer)
            writer.close()

        before = self.sent
        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
        return (self.sent - before) / (time.perf_counter() - began)

    async def lags(self, until: "asyncio.Task[float]") -> list[float]:
        """The lag of the views as the node tells it, twice a second."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        found = []
        while not until.done():
            _, body = await self.ask(reader, writer, "GET", "/metrics")
            line = next(each for each in body.decode().splitlines() if each.startswith("muniment_views_lag_seconds "))
            found.append(float(line.split(" ")[1]))
            await asyncio.sleep(0.5)
        writer.close()
        return found

    def memory(self) -> float:
        """MB of the node's own process."""
        rss: int = psutil.Process(self.process.pid).memory_info().rss
        return rss / 1e6

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def rows(folder: Path) -> Iterator[Row]:
    yield from uvloop.run(_rows(folder))


async def _rows(folder: Path) -> list[Row]:
    real, constant = Server(folder / "real"), Server(folder / "constant", "constant")
    try:
        await real.begin("Real")
        await constant.begin("Constant")
        await asyncio.gather(real.users(count=200), constant.users(count=200))
        real.latencies.clear()
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(await real.users(count=ROUND))
            theirs.append(await constant.users(count=ROUND))
        constant.stop()
        p99 = sorted(real.latencies)[int(len(real.latencies) * 0.99)] * 1000
        load = asyncio.create_task(real.users(seconds=MINUTE))
        lags = await real.lags(load)
        under_load = await load
        return [
            Row(
                f"POST a user over HTTP, {CONNECTIONS} connections",
                median(ours),
                "requests/s",
                f"the ledger's answer a constant: {median(theirs):,.0f}/s",
                versus(ours, theirs),
                "≥ 0.5",
            ),
            Row("POST a user over HTTP, p99", p99, "ms"),
            Row(
                "lag of the views, a minute under full load",
                max(lags),
                "s at most",
                f"{under_load:,.0f} requests/s meanwhile; seconds",
                max(lags),
                "≤ 2",
            ),
            Row("node memory after that load", real.memory(), f"MB with {real.sent:,} users"),
        ]
    finally:
        real.stop()
        constant.stop()
