"""The load: clients that ask random nodes for things that conflict, and read what they or others have changed."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import httpx

from tests.torture.asking import Asker, Nodes, position_in, version_in
from tests.torture.founders import Founder
from tests.torture.noted import Asked, Notes, Read
from tests.torture.questions import QUESTIONS
from tests.torture.town import Town
from tests.torture.wishes import KINDS, request_of

UNKEYED: Final = 0.2
"""Of all commands, that carry no Idempotency-Key; they are never sent twice."""
FOUNDERS: Final = 2
"""Clients that found tenants, besides those that change what is in them."""


class Client:
    """One of several."""

    def __init__(self, number: int, asker: Asker, towns: Sequence[Town], notes: Notes, pace: float) -> None:
        """`pace`: mean seconds between two of its commands."""
        self._number = number
        self._asker = asker
        self._chance = asker.chance
        self._towns = towns
        self._notes = notes
        self._pace = pace

    async def run(self, stop: asyncio.Event) -> None:
        """Until it is told to stop."""
        while not stop.is_set():
            town = self._chance.choices(self._towns, [2 if place < 4 else 1 for place, _ in enumerate(self._towns)])[0]
            asked = await self._ask(town)
            if self._chance.random() < 0.6:
                await self._read(town, asked)
            await asyncio.sleep(self._chance.expovariate(1 / self._pace))
        await self._asker.close()

    async def _ask(self, town: Town) -> Asked:
        wish, keyed = town.wish(self._chance), self._chance.random() >= UNKEYED
        asked = Asked(self._number, town.tenant, wish, time.monotonic(), keyed)
        headers = {}
        if KINDS[wish.kind].versioned and wish.subject in town.versions and self._chance.random() < 0.3:
            asked.if_match = town.versions[wish.subject]
            headers["If-Match"] = f'"{asked.if_match}.0"'
        answer = await self._asker.ask(asked, request_of(town.tenant, wish), headers)
        if answer is not None:
            self._understand(asked, town, answer)
        self._notes.take(asked)
        return asked

    def _understand(self, asked: Asked, town: Town, answer: httpx.Response) -> None:
        if not answer.is_success:
            asked.result = "refused"
            return
        body = answer.json()
        asked.result = "nothing" if body.get("changed") is False else "done"
        asked.position = position_in(answer, town.tenant)
        if makes := KINDS[asked.wish.kind].makes:
            asked.made = body["id"]
            town.learn(makes, body["id"])
        if version := version_in(answer):
            town.versions[asked.made or asked.wish.subject] = version

    async def _read(self, town: Town, asked: Asked) -> None:
        kind, subject = town.question(asked.wish, self._chance)
        if not subject and asked.made and self._chance.random() < 0.7:
            kind, subject = ("user" if asked.made.startswith("usr") else "users"), asked.made
        headers = {}
        if asked.position and self._chance.random() < 0.3:
            headers["Muniment-Position"] = f"{town.tenant}:{asked.position}"
        call, path = time.monotonic(), f"/v1/tenants/{town.tenant}{QUESTIONS[kind].path.format(subject)}"
        node, answer = await self._asker.read(kind, path, headers)
        if answer is None:
            return
        read = Read(self._number, town.tenant, kind, subject, node, call, time.monotonic(), 0)
        if answer.is_success:
            read.found = QUESTIONS[kind].found(answer.json())
            read.position = position_in(answer, town.tenant)
            if version := version_in(answer):
                town.versions[subject] = version
        self._notes.reads.append(read)


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
        runs = [
            Client(number, Asker(f"load-{number}", Nodes(urls, key), notes, seed), towns, notes, pace).run(self._stop)
            for number in range(clients)
        ]
        tenants: list[str] = []
        for number in range(FOUNDERS):
            asker = Asker(f"found-{number}", Nodes(urls, key), notes, seed)
            runs.append(Founder(number, asker, notes, tenants, 10 * pace).run(self._stop))
        self._tasks = [asyncio.create_task(run) for run in runs]

    async def end(self) -> None:
        """Each client comes to the end of what it asks for."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
