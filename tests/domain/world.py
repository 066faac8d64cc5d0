"""A ledger in memory: the real one, over the real sequencer and log, with a clock that stands still unless told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.avro.codec import decode_entry
from adapters.embedded.log import embedded_sequencer
from adapters.index.database import Database
from adapters.keyring import Keyring
from adapters.local_ledger import LocalLedger
from domain.command import Command
from domain.event import Entry, Event
from domain.ids import TenantId
from domain.ledger import Actor, Authority, Caller, Idempotency, Outcome
from tests.domain.people import PLANET_EXPRESS

START = 1_700_000_000_000_000


class World:
    def __init__(self) -> None:
        self.now = START
        self.database = Database(None)
        self.keyring = Keyring(self.database, bytes(32))
        self.sequencer = embedded_sequencer(
            self.database, self.keyring, None, lambda: self.now, steady=lambda: self.now
        )
        self.ledger = LocalLedger(self.sequencer, lambda: self.now)

    async def ask(
        self,
        command: Command,
        tenant: TenantId = PLANET_EXPRESS,
        credential: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Outcome:
        caller = Caller(
            tenant=tenant,
            actor=Actor("service", "the_test"),
            authority=Authority(type(command).permission, "dec_test"),
            correlation_id="test",
            credential=credential,
            idempotency=idempotency,
        )
        return await self.ledger.execute(command, caller)

    def entries(self, tenant: TenantId = PLANET_EXPRESS, after: int = 0) -> list[Entry]:
        """The tenant's history, or what came after a position, oldest first."""
        rows = self.database.writer.execute(
            "SELECT stored FROM events JOIN tenants ON tenants.number = events.tenant "
            "WHERE tenants.tenant = ? AND events.position > ? ORDER BY events.position",
            (tenant, after),
        )
        return [decode_entry(tenant, stored) for (stored,) in rows]

    def events(self, tenant: TenantId = PLANET_EXPRESS) -> list[Event]:
        return [entry.event for entry in self.entries(tenant)]


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    world.sequencer.start()
    try:
        yield world
    finally:
        await world.sequencer.stop()
        world.database.close()
