"""How clients ask: any node, with a key, again after any doubt; and they note whatever they are told."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any, Final

import httpx

from tests.torture.noted import Asked, Attempt, Notes

TIMEOUTS: Final = (httpx.Timeout(8.0, connect=2.0), httpx.Timeout(30.0, connect=2.0))
"""Who waits longer is answered also by a node that has stood still."""
PATIENT: Final = 0.3
"""Of all clients' requests, those that wait longer."""
PATIENCE: Final = 60.0
"""Seconds after which a client does not ask again any more."""
REFUSALS: Final = frozenset({403, 404, 409, 412})
UNKNOWN: Final = frozenset({0, 429, 502, 503, 504})
"""Answers that don't say what became of a command."""
GIVEN_UP: Final = 0.1
"""Of all commands without an answer, that are never asked about again."""


class Nodes:
    """HTTP to each node, as one client has it."""

    def __init__(self, urls: Sequence[str], key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._clients = [
            httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUTS[0], trust_env=False) for url in urls
        ]

    def __len__(self) -> int:
        return len(self._clients)

    async def send(
        self, node: int, method: str, path: str, body: Any, headers: dict[str, str], timeout: httpx.Timeout
    ) -> httpx.Response | None:
        """None: no answer."""
        try:
            return await self._clients[node].request(method, path, json=body, headers=headers, timeout=timeout)
        except httpx.HTTPError:
            return None

    async def close(self) -> None:
        await asyncio.gather(*(each.aclose() for each in self._clients))


class Asker:
    """Everything that it does at random follows from its seed and its name."""

    def __init__(self, name: str, nodes: Nodes, notes: Notes, seed: int) -> None:
        self.chance = random.Random(f"{seed}-{name}")
        self._name = name
        self._nodes = nodes
        self._notes = notes
        self._count = 0

    async def close(self) -> None:
        await self._nodes.close()

    async def ask(
        self, asked: Asked, request: tuple[str, str, dict[str, Any] | None], headers: dict[str, str]
    ) -> httpx.Response | None:
        """A command, asked again at other nodes until it is known what became of it, or the client gives up."""
        self._count += 1
        name, persists = f"{self._name}-{self._count:06}", self.chance.random() >= GIVEN_UP
        if asked.keyed:
            headers = {**headers, "Idempotency-Key": name}
        while True:
            correlation = f"{name}-{len(asked.attempts) + 1}"
            node, call = self.chance.randrange(len(self._nodes)), time.monotonic()
            named = {**headers, "X-Request-ID": correlation}
            answer = await self._nodes.send(node, *request, named, self._timeout())
            asked.end, asked.status = time.monotonic(), 0 if answer is None else answer.status_code
            asked.attempts.append(Attempt(correlation, node, call, asked.end, asked.status))
            if answer is not None and asked.status not in UNKNOWN:
                return answer if self._is_expected(f"{asked.wish.kind} ({correlation})", node, answer) else None
            if not asked.keyed or not persists or asked.end - asked.call > PATIENCE:
                return None
            await asyncio.sleep(self.chance.uniform(0.1, 1.0))

    async def read(self, kind: str, path: str, headers: dict[str, str]) -> tuple[int, httpx.Response | None]:
        """A question, asked once: the node that was asked, and its answer if that tells anything."""
        node = self.chance.randrange(len(self._nodes))
        answer = await self._nodes.send(node, "GET", path, None, headers, self._timeout())
        if answer is None or answer.status_code in UNKNOWN:
            self._notes.unread += 1
            return node, None
        return node, answer if self._is_expected(f"read {kind}", node, answer) else None

    def _timeout(self) -> httpx.Timeout:
        return TIMEOUTS[self.chance.random() < PATIENT]

    def _is_expected(self, what: str, node: int, answer: httpx.Response) -> bool:
        if answer.is_success or answer.status_code in REFUSALS:
            return True
        detail = answer.json().get("detail") if "json" in answer.headers.get("content-type", "") else ""
        self._notes.surprises.append(f"{what} at node {node}: {answer.status_code} {detail}")
        return False


def position_in(answer: httpx.Response, tenant: str) -> int:
    """That an answer says it is of; 0 if it says none."""
    named, _, position = answer.headers.get("muniment-position", "").partition(":")
    return int(position) if named == tenant else 0


def version_in(answer: httpx.Response) -> int:
    """The position in its ETag; 0 without one."""
    return int(answer.headers.get("etag", '"0.0"').strip('W/"').partition(".")[0])
