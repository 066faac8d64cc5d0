"""A depot: the real dispatcher over the real ledger in memory, with sinks, and a clock that goes when it is told."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.webhooks.delivering import Policy
from domain.event import Code
from domain.ids import SinkId, TenantId, id_from
from domain.ledger import NewKeys
from domain.sinks.sinks import CreateSink
from domain.webhooks.secrets import FIELD, kept
from tests.adapters.webhooks.office import Office, until
from tests.domain.people import PLANET_EXPRESS
from tests.domain.world import World


class Depot(Office):
    """Opened by `running`."""

    async def sink(
        self,
        target: str,
        settings: dict[str, Any],
        secrets: dict[str, Any],
        *types: str,
        tenant: TenantId = PLANET_EXPRESS,
        personal: bool = False,
        patience: int = 3600,
        format: str = "cloudevents",
        from_position: int | None = None,
    ) -> SinkId:
        self._hooks += 1
        id, keys = SinkId(id_from("snk", self._hooks * 1000, bytes(10))), NewKeys()
        sealed = self.world.keyring.seal(keys, tenant, id, "settings", json.dumps(settings))
        secret = kept(self.world.keyring.seal(keys, tenant, id, FIELD, json.dumps(secrets)))
        wanted = tuple(Code(each) for each in types)
        said = (wanted, Code(format), personal, patience, from_position)
        await self.do(CreateSink(tenant, id, Code(target), sealed, secret, *said), tenant, keys)
        return id

    def keys(self) -> NewKeys:
        return NewKeys()

    async def reached(self, sink: SinkId, position: int, tenant: TenantId = PLANET_EXPRESS) -> None:
        """Until everything up to a position has been dealt with; what fails meanwhile is tried again."""

        def holds() -> bool:
            self.try_again(sink, tenant)
            return self.place(sink, tenant) >= position

        await until(holds, f"{sink} comes to {position}")

    def place(self, sink: SinkId, tenant: TenantId = PLANET_EXPRESS) -> int:
        found = self.dispatcher.progress(tenant, sink)
        return found.reached if found else 0

    async def failed(self, sink: SinkId, times: int, tenant: TenantId = PLANET_EXPRESS) -> None:
        """Until what comes next has failed so often."""

        def holds() -> bool:
            found = self.dispatcher.progress(tenant, sink)
            return bool(found and found.attempts >= times)

        await until(holds, f"{times} failures")

    async def trouble(self, sink: SinkId, text: str, tenant: TenantId = PLANET_EXPRESS) -> None:
        """Until the last attempt has failed for a reason that holds this text; another reason is given another try."""

        def holds() -> bool:
            found = self.dispatcher.progress(tenant, sink)
            if found and found.trouble and text not in found.trouble:
                self.try_again(sink, tenant)
            return bool(found and found.trouble and text in found.trouble)

        await until(holds, f"a failure that says {text}")

    def try_again(self, sink: SinkId, tenant: TenantId = PLANET_EXPRESS) -> None:
        """Time passes until the next attempt is due."""
        found = self.dispatcher.progress(tenant, sink)
        if found and found.next_attempt_at:
            self.go_to(found.next_attempt_at)


@asynccontextmanager
async def running(
    book: Path | None = None, *, mine: set[TenantId] | None = None, policy: Policy | None = None
) -> AsyncIterator[Depot]:
    world = World()
    world.now = time.time_ns() // 1000  # storages look at their clocks
    world.sequencer.start()
    depot = Depot(world, book, mine, policy)
    depot.start()
    try:
        await depot.found()
        yield depot
    finally:
        await depot.stop()
        await world.sequencer.stop()
        world.database.close()
