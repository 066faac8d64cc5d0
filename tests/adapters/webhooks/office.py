"""A post office: the real dispatcher over the real ledger in memory, with a clock that goes when it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from adapters.index.history import IndexHistory
from adapters.webhooks.addresses import Resolver
from adapters.webhooks.courier import Courier
from adapters.webhooks.delivering import SECOND, Policy
from adapters.webhooks.dispatcher import Dispatcher
from domain.command import Command
from domain.event import Code, Event
from domain.flags import DefineFlag, SwitchFlagOff, SwitchFlagOn
from domain.ids import FlagId, SinkId, TenantId, WebhookId, id_from
from domain.ledger import Actor, Authority, Caller, NewKeys, Outcome, Query
from domain.tenants import CreateTenant
from domain.webhooks.hooks import CreateWebhook
from domain.webhooks.secrets import FIELD, kept, secret_from
from tests.domain.people import PLANET_EXPRESS
from tests.domain.world import World
from tests.node import PATIENCE

MOMCORP = TenantId("ten_momcorp")
SECRET = secret_from(bytes(range(32)))
ON_OFF = ("FlagSwitchedOn", "FlagSwitchedOff")
FLAG = FlagId("flg_dark")


async def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait for a condition and return what it gave."""
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}")
        await asyncio.sleep(0.005)
    return found


class Office:
    """Opened by `running`."""

    def __init__(self, world: World, book: Path | None, mine: set[TenantId] | None, policy: Policy | None) -> None:
        self.world = world
        self.history = IndexHistory(world.database)
        self._book = book
        self.mine = mine
        self._policy = policy
        self.metrics = CollectorRegistry()
        self.dispatcher = self._new()
        self._switched: dict[TenantId, int] = {}
        self._hooks = 0

    def _new(self) -> Dispatcher:
        self.metrics = CollectorRegistry()
        self.resolver = Resolver()
        return Dispatcher(
            history=self.history,
            head=lambda tenant: self.history.head(tenant)[0],
            ledger=self.world.ledger,
            unseal=self.world.keyring.unseal,
            clock=lambda: self.world.now,
            book=self._book,
            metrics=self.metrics,
            mine=lambda tenant: self.mine is None or tenant in self.mine,
            courier=Courier(self.resolver, private=True),
            policy=self._policy,
        )

    async def restart(self) -> None:
        """Another dispatcher takes the place of this one, which stops gracefully."""
        await self.stop()
        self.begin()

    def begin(self) -> None:
        """A dispatcher that knows only the ledger and the book."""
        self.dispatcher = self._new()
        self.start()

    def start(self) -> None:
        self.world.sequencer.listeners[:] = [lambda it: self.dispatcher.committed(it.recorded, it.heads)]
        self.dispatcher.start()

    async def stop(self) -> None:
        await self.dispatcher.stop()
        self.resolver.close()

    async def do(self, command: Command, tenant: TenantId = PLANET_EXPRESS, keys: NewKeys | None = None) -> Outcome:
        caller = Caller(tenant, Actor("service", "the_test"), Authority(command.permission, "dec_test"), "test")
        return await self.world.ledger.execute(command, caller, keys=keys)

    async def found(self, tenant: TenantId = PLANET_EXPRESS) -> None:
        """A tenant with a flag to switch; its history begins with two events."""
        keys = NewKeys()
        name = self.world.keyring.seal(keys, tenant, tenant, "name", "A Company")
        await self.do(CreateTenant(tenant, name), tenant, keys)
        keys = NewKeys()
        said = self.world.keyring.seal(keys, tenant, FLAG, "description", "Fry's own")
        variants = Code('{"on":true,"off":false}')
        flag = DefineFlag(FLAG, Code("dark"), Code("boolean"), variants, Code("on"), Code("off"), said)
        await self.do(flag, tenant, keys)

    async def hook(
        self,
        url: str,
        *types: str,
        tenant: TenantId = PLANET_EXPRESS,
        personal: bool = False,
        patience: int = 3 * 86_400,
        from_position: int | None = None,
    ) -> WebhookId:
        """A webhook with SECRET."""
        self._hooks += 1
        id, keys = WebhookId(id_from("whk", self._hooks * 1000, bytes(10))), NewKeys()
        sealed_url = self.world.keyring.seal(keys, tenant, id, "url", url)
        secret = kept(self.world.keyring.seal(keys, tenant, id, FIELD, SECRET))
        wanted = tuple(Code(each) for each in types)
        command = CreateWebhook(tenant, id, sealed_url, secret, wanted, personal, patience, from_position)
        await self.do(command, tenant, keys)
        return id

    async def switch(self, times: int, tenant: TenantId = PLANET_EXPRESS) -> list[int]:
        """So many events happen; their positions."""
        positions = []
        for _ in range(times):
            number = self._switched[tenant] = self._switched.get(tenant, 0) + 1
            command: Command = SwitchFlagOff(FLAG) if number % 2 else SwitchFlagOn(FLAG)
            positions.append((await self.do(command, tenant)).position)
        return positions

    def go_on(self, seconds: int) -> None:
        """Time passes."""
        self.go_to(self.world.now + seconds * SECOND)

    def go_to(self, instant: int) -> None:
        """Time passes until then."""
        self.world.now = max(self.world.now, instant)
        self.dispatcher.look()

    def told(self, *types: type[Event], tenant: TenantId = PLANET_EXPRESS) -> list[Any]:
        """What the ledger holds of these types."""
        query = Query(types=tuple(each.__name__ for each in types))
        return [each.event for each in self.history.recorded(tenant, query, 10_000)]

    async def attempts(self, hook: WebhookId | SinkId, tenant: TenantId = PLANET_EXPRESS) -> list[Any]:
        return await self.dispatcher.attempts(tenant, hook, position=None, before=1 << 62, limit=1000)


@asynccontextmanager
async def running(
    book: Path | None = None, *, mine: set[TenantId] | None = None, policy: Policy | None = None
) -> AsyncIterator[Office]:
    world = World()
    world.now = time.time_ns() // 1000  # a stock receiver looks at its clock
    world.sequencer.start()
    office = Office(world, book, mine, policy)
    office.start()
    try:
        await office.found()
        yield office
    finally:
        await office.stop()
        await world.sequencer.stop()
        world.database.close()
