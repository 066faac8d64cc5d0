"""A random history in an embedded ledger, with secrets in it, and all that a ledger tells of it, whichever holds it."""

import asyncio
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from adapters.index.database import Database
from domain.directory.life import SubjectErased
from domain.event import Event, Sealed
from domain.ids import Handle, TenantId, UserId
from domain.ledger import Idempotency, NewKeys, Outcome
from projections.every import EVERY_VIEW
from tests.adapters.index.logs import Log, fresh_key, note, running, work
from tests.histories import events_that

TENANTS: Final = tuple(TenantId(f"ten_{number}") for number in range(1, 8))


class Secret(NamedTuple):
    """A name that was sealed, and what it is."""

    tenant: TenantId
    subject: str
    sealed: Sealed
    handle: Handle
    value: str


class Told(NamedTuple):
    """All that a ledger tells, whichever holds it."""

    stored: dict[TenantId, list[tuple[int, bytes]]]
    commits: dict[tuple[str, int], bytes]
    roots: dict[TenantId, bytes]
    opened: list[tuple[str | None, Handle | None]]
    epoch: int


def events(count: int) -> list[Event]:
    """Any events that there are."""
    found: list[Event] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(events_that(EVERY_VIEW), min_size=1, max_size=10))
    def collect(some: list[Event]) -> None:
        found.extend(some)

    collect()
    return found


class EmbeddedHistory:
    """What was recorded in an embedded ledger, with the secrets in it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.secrets: list[Secret] = []
        self.keyed: list[tuple[Idempotency, Outcome]] = []
        self._random = random.Random(seed)
        self._events = events(40)
        folder.mkdir(exist_ok=True)

    async def go_on(self, commands: int) -> None:
        """Commits of several commands of several tenants; now and then somebody is erased."""
        async with running(self.folder) as log:
            while commands > 0:
                size = self._random.randint(1, 12)
                await asyncio.gather(*(self._record(log) for _ in range(size)))
                commands -= size

    async def _record(self, log: Log) -> None:
        choose = self._random
        tenant, keys = choose.choice(TENANTS), NewKeys()
        subject, value = UserId(f"usr_{choose.getrandbits(64):x}"), f"name {choose.random()}"
        some = choose.choices(self._events, k=choose.randint(0, 3))
        sealed = log.keyring.seal(keys, tenant, subject, "name", value)
        handle = log.keyring.handle(keys, tenant, "name", value)
        recorded = note((sealed.key + handle).encode(), f"user:{subject}", "kind:random")
        key = fresh_key()
        given = work(*some, recorded, tenant=tenant, keys=keys, idempotency=key)
        self.keyed.append((key, await log.sequencer.execute(given)))
        self.secrets.append(Secret(tenant, subject, sealed, handle, value))
        if choose.random() < 0.2:
            await self.erase(log, choose.choice(self.secrets))

    async def erase(self, log: Log, whom: Secret) -> None:
        erased = SubjectErased(UserId(whom.subject), (whom.handle,))
        await log.sequencer.execute(work(erased, tenant=whom.tenant))

    async def told(self) -> Told:
        async with running(self.folder) as log:
            return tell(log.history, log.keyring, log.keyring.epoch, [log.database], self.secrets)


def tell(history: Any, keyring: Any, epoch: int, databases: Iterable[Database], secrets: list[Secret]) -> Told:
    stored = {tenant: [(at, bytes(each)) for at, each in history.stored(tenant, 0, 100_000)] for tenant in TENANTS}
    commits: dict[tuple[str, int], bytes] = {}
    roots: dict[TenantId, bytes] = {}
    for database in databases:
        with database.reading() as connection:
            for tenant, position, id in connection.execute(
                "SELECT t.tenant, e.position, c.id FROM commits c JOIN tenants t ON t.number = e.tenant "
                "JOIN events e ON e.sequence BETWEEN c.first AND c.first + c.count - 1"
            ):
                commits[tenant, position] = id
            roots.update(connection.execute("SELECT tenant, frontier FROM tenants"))
    opened = [
        (keyring.unseal(each.tenant, "name", each.sealed), keyring.find_handle(each.tenant, "name", each.value))
        for each in secrets
    ]
    return Told(stored, commits, roots, opened, epoch)
