"""The load: clients that ask random nodes for things that conflict, and note whatever they are told."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any, Final

import httpx

from tests.torture.noted import Asked, Attempt, Notes, Read
from tests.torture.questions import QUESTIONS
from tests.torture.town import Town
from tests.torture.wishes import KINDS, request_of

TIMEOUTS: Final = (httpx.Timeout(8.0, connect=2.0), httpx.Timeout(30.0, connect=2.0))
"""Who waits longer is answered also by a node that has stood still."""
PATIENT: Final = 0.3
"""Of all clients' requests, those that wait longer."""
PATIENCE: Final = 60.0
"""Seconds after which a client does not ask again any more."""
REFUSALS: Final = frozenset({403, 404, 409, 412})
UNKNOWN: Final = frozenset({0, 429, 502, 503, 504})
"""Answers that don't say what became of a command."""
UNKEYED: Final = 0.2
"""Of all commands, that carry no Idempotency-Key; they are never sent twice."""
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


class Client:
    """One of several; everything that it does at random follows from its seed."""

    def __init__(self, number: int, nodes: Nodes, towns: Sequence[Town], notes: Notes, seed: int, pace: float) -> None:
        """`pace`: mean seconds between two of its commands."""
        self._number = number
        self._nodes = nodes
        self._towns = towns
        self._notes = notes
        self._chance = random.Random(f"{seed}-{number}")
        self._pace = pace
        self._count = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until it is told to stop."""
        while not stop.is_set():
            town = self._chance.choices(self._towns, [2 if place < 4 else 1 for place, _ in enumerate(self._towns)])[0]
            asked = await self._ask(town)
            if self._chance.random() < 0.6:
                await self._read(town, asked)
            await asyncio.sleep(self._chance.expovariate(1 / self._pace))
        await self._nodes.close()

    async def _ask(self, town: Town) -> Asked:
        chance, wish = self._chance, town.wish(self._chance)
        self._count += 1
        name, keyed = f"load-{self._number}-{self._count:06}", chance.random() >= UNKEYED
        asked = Asked(self._number, town.tenant, wish, time.monotonic(), keyed)
        method, path, body = request_of(town.tenant, wish)
        headers = {"Idempotency-Key": name} if keyed else {}
        if KINDS[wish.kind].versioned and wish.subject in town.versions and chance.random() < 0.3:
            asked.if_match = town.versions[wish.subject]
            headers["If-Match"] = f'"{asked.if_match}.0"'
        persists = chance.random() >= GIVEN_UP
        while True:
            node, correlation = chance.randrange(len(self._nodes)), f"{name}-{len(asked.attempts) + 1}"
            call = time.monotonic()
            named = {**headers, "X-Request-ID": correlation}
            answer = await self._nodes.send(node, method, path, body, named, self._timeout())
            asked.end = time.monotonic()
            status = answer.status_code if answer is not None else 0
            asked.attempts.append(Attempt(correlation, node, call, asked.end, status))
            if answer is not None and status not in UNKNOWN:
                self._understand(asked, town, answer)
                break
            if not keyed or not persists or asked.end - asked.call > PATIENCE:
                break
            await asyncio.sleep(chance.uniform(0.1, 1.0))
        self._notes.take(asked)
        return asked

    def _understand(self, asked: Asked, town: Town, answer: httpx.Response) -> None:
        asked.status = answer.status_code
        if answer.status_code in REFUSALS:
            asked.result = "refused"
        elif answer.is_success:
            body = answer.json()
            asked.result = "nothing" if body.get("changed") is False else "done"
            asked.position = _position(answer, town.tenant)
            if makes := KINDS[asked.wish.kind].makes:
                asked.made = body["id"]
                town.learn(makes, body["id"])
            if version := _version(answer):
                town.versions[asked.made or asked.wish.subject] = version
        else:
            last = asked.attempts[-1]
            self._surprised(f"{asked.wish.kind} ({last.correlation})", last.node, answer)

    async def _read(self, town: Town, asked: Asked) -> None:
        kind, subject = town.question(asked.wish, self._chance)
        if not subject and asked.made and self._chance.random() < 0.7:
            kind, subject = ("user" if asked.made.startswith("usr") else "users"), asked.made
        headers = {}
        if asked.position and self._chance.random() < 0.3:
            headers["Muniment-Position"] = f"{town.tenant}:{asked.position}"
        node, call = self._chance.randrange(len(self._nodes)), time.monotonic()
        path = f"/v1/tenants/{town.tenant}{QUESTIONS[kind].path.format(subject)}"
        answer = await self._nodes.send(node, "GET", path, None, headers, self._timeout())
        read = Read(self._number, town.tenant, kind, subject, node, call, time.monotonic(), 0)
        if answer is None or answer.status_code in UNKNOWN:
            self._notes.unread += 1
            return
        if answer.is_success:
            body = answer.json()
            read.found = QUESTIONS[kind].found(body)
            read.position = body["position"] if kind == "evaluation" else _position(answer, town.tenant)
            if version := _version(answer):
                town.versions[subject] = version
        elif answer.status_code != 404:
            self._surprised(f"read {kind}", node, answer)
            return
        self._notes.reads.append(read)

    def _timeout(self) -> httpx.Timeout:
        return TIMEOUTS[self._chance.random() < PATIENT]

    def _surprised(self, what: str, node: int, answer: httpx.Response) -> None:
        detail = answer.json().get("detail") if "json" in answer.headers.get("content-type", "") else ""
        self._notes.surprises.append(f"{what} at node {node}: {answer.status_code} {detail}")


def _position(answer: httpx.Response, tenant: str) -> int:
    named, _, position = answer.headers.get("muniment-position", "").partition(":")
    return int(position) if named == tenant else 0


def _version(answer: httpx.Response) -> int:
    """In its ETag; 0 without one."""
    return int(answer.headers.get("etag", '"0.0"').strip('W/"').partition(".")[0])


class Load:
    """Some clients at once, on the running event loop."""

    def __init__(
        self,
        urls: Sequence[str],
        key: str,
        towns: Sequence[Town],
        notes: Notes,
        seed: int,
        clients: int,
        pace: float = 0.1,
    ) -> None:
        self._stop = asyncio.Event()
        each = [Client(number, Nodes(urls, key), towns, notes, seed, pace) for number in range(clients)]
        self._tasks = [asyncio.create_task(client.run(self._stop)) for client in each]

    async def end(self) -> None:
        """Each client comes to the end of what it asks for."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
