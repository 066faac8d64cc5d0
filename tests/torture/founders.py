"""Founders: clients that found, rename and close tenants of few names, which must be unique over all partitions."""

import asyncio
import time
from typing import Any, Final

from tests.torture.asking import Asker
from tests.torture.noted import Asked, Notes, Wish

NAMES: Final = ("Ash", "Birch", "Cedar", "Dogwood")
MOST_KNOWN: Final = 6


class Founder:
    """One of several, which know the tenants together."""

    def __init__(self, number: int, asker: Asker, notes: Notes, tenants: list[str], pace: float) -> None:
        """`tenants`: shared by all founders; `pace`: mean seconds between two of its commands."""
        self._number = number
        self._asker = asker
        self._chance = asker.chance
        self._notes = notes
        self._tenants = tenants
        self._pace = pace

    async def run(self, stop: asyncio.Event) -> None:
        """Until it is told to stop."""
        while not stop.is_set():
            await self._ask(self._wish())
            await asyncio.sleep(self._chance.expovariate(1 / self._pace))
        await self._asker.close()

    def _wish(self) -> Wish:
        name = self._chance.choice(NAMES)
        kind = self._chance.choices(("found_tenant", "rename_tenant", "close_tenant"), (5, 2, 3))[0]
        if kind == "found_tenant" or not self._tenants:
            return Wish("found_tenant", text=name)
        tenant = self._chance.choice(self._tenants)
        return Wish(kind, tenant, name if kind == "rename_tenant" else "")

    async def _ask(self, wish: Wish) -> None:
        asked = Asked(self._number, wish.subject, wish, time.monotonic(), keyed=True)
        answer = await self._asker.ask(asked, _request(wish), {})
        if answer is not None:
            asked.result = "done" if answer.is_success else "refused"
            if answer.is_success and wish.kind == "found_tenant":
                asked.made = answer.json()["id"]
                self._tenants.append(asked.made)
                del self._tenants[:-MOST_KNOWN]
        self._notes.founded.append(asked)


def _request(wish: Wish) -> tuple[str, str, dict[str, Any] | None]:
    match wish.kind:
        case "found_tenant":
            return "POST", "/v1/tenants", {"name": wish.text}
        case "rename_tenant":
            return "PATCH", f"/v1/tenants/{wish.subject}", {"name": wish.text}
        case _:
            return "DELETE", f"/v1/tenants/{wish.subject}", None
