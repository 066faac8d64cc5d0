"""The clerk: tells the ledger what became of deliveries, under the node's own name."""

import asyncio
from typing import Final

from adapters.fresh_ids import new_id
from domain.command import Command, Refused
from domain.ids import TenantId
from domain.ledger import Actor, Authority, Caller, Ledger, NotReady, QueueFull

PAUSE: Final = 1.0
MOST_TRIES: Final = 20


class Clerk:
    """Patient: while another node takes over, the ledger answers that it is not ready for some seconds."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def tell(
        self, tenant: TenantId, command: Command, of: str, *, because_of: str | None = None, tries: int = 1
    ) -> bool:
        """Whether the ledger has taken note, or does not want to. `of` is whose, `because_of` an event's id."""
        authority = Authority(command.permission, new_id("dec"), ("system",))
        by = Caller(tenant, Actor("system", of), authority, new_id("cor"), causation_id=because_of)
        for attempt in range(1, tries + 1):
            try:
                await self._ledger.execute(command, by)
            except Refused:
                return True
            except (NotReady, QueueFull):
                if attempt < tries:
                    await asyncio.sleep(PAUSE)
            else:
                return True
        return False
