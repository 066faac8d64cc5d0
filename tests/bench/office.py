"""Who keeps a ledger busy: callers who change people of one tenant; and the office where they do, a node's writer."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path
from typing import Final

from adapters.embedded.log import embedded_sequencer
from adapters.embedded.tail import TailFile
from adapters.fresh_ids import new_id
from adapters.index.database import Database
from adapters.kafka.routing import Keyrings
from adapters.keyring import Keyring
from adapters.local_ledger import LocalLedger
from domain.boundary import Expectation, Item
from domain.directory.users import ChangeProfile, Profile, ProvisionUser, Unique
from domain.ids import CredentialId, TenantId, UserId
from domain.ledger import Actor, Authority, Caller, Idempotency, Ledger, NewKeys
from domain.tenants import CreateTenant

CALLERS: Final = 64


def clock() -> int:
    return time.time_ns() // 1000


class Crew:
    """People of one tenant, and whoever changes them. `found` the tenant before anything else."""

    def __init__(self, ledger: Ledger, keyring: Keyring | Keyrings, tenant: TenantId | None = None) -> None:
        self.ledger = ledger
        self.keyring = keyring
        self.tenant = tenant or TenantId(new_id("ten"))
        self.credential = CredentialId(new_id("key"))
        self.operator = new_id("opr")
        self.people: list[UserId] = []
        self.latencies: list[float] = []
        self._asked = 0

    async def found(self) -> None:
        keys = NewKeys()
        name = self.keyring.seal(keys, self.tenant, self.tenant, "name", "Planet Express")
        await self.ledger.execute(CreateTenant(self.tenant, name), self.caller(), keys=keys)

    def caller(self) -> Caller:
        """Who asks: under an authority that a revocation takes back, with a key for retries."""
        self._asked += 1
        asked = b"%s/%d" % (self.operator.encode(), self._asked)
        held = Expectation(Item((f"credential:{self.credential}",), ("ApiKeyRevoked", "ApiKeyRotated")), 1)
        return Caller(
            self.tenant,
            Actor("operator", self.operator),
            Authority("users:manage", new_id("dec"), (), 1, (held,)),
            new_id("cor"),
            credential=self.credential,
            idempotency=Idempotency(blake2b(asked, digest_size=16).digest(), bytes(16)),
        )

    def profile(self, keys: NewKeys, user: UserId, number: int) -> Profile:
        """Five sealed fields."""
        seal, tenant = self.keyring.seal, self.tenant
        return Profile(
            seal(keys, tenant, user, "display_name", f"Philip J. Fry {number}"),
            seal(keys, tenant, user, "given_name", "Philip"),
            seal(keys, tenant, user, "family_name", "Fry"),
            seal(keys, tenant, user, "email", f"fry{number}@planetexpress.example"),
            seal(keys, tenant, user, "attributes", '{"title":"Delivery boy","locale":"en"}'),
        )

    async def change(self, number: int) -> None:
        """A command with a boundary of two tags (the person, the tenant's life) and five sealed fields."""
        await self.change_of(self.people[number % len(self.people)], number)

    async def change_of(self, user: UserId, number: int) -> None:
        began = time.perf_counter()
        keys = NewKeys()
        command = ChangeProfile(user, self.profile(keys, user, number))
        await self.ledger.execute(command, self.caller(), keys=keys)
        self.latencies.append(time.perf_counter() - began)

    async def provision(self, number: int) -> None:
        """A command that brings a person into being: a key, a handle, and a boundary of three tags."""
        keys, user, name = NewKeys(), UserId(new_id("usr")), f"fry{number}@planetexpress.example"
        self.keyring.new_subject(keys, self.tenant, user)
        unique = Unique(
            self.keyring.seal(keys, self.tenant, user, "user_name", name),
            self.keyring.handle(keys, self.tenant, "user_name", name),
        )
        profile = self.profile(keys, user, number)
        command = ProvisionUser(
            user, unique, Profile(*(getattr(profile, each) for each in profile.__struct_fields__[:4]))
        )
        await self.ledger.execute(command, self.caller(), keys=keys)
        self.people.append(user)


class Office(Crew):
    """A crew on an embedded log. Opened and closed on an event loop."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.database = Database(folder / "ledger.db")
        self.tail = TailFile(folder / "ledger.tail")
        keyring = Keyring(self.database, bytes(32))
        self.sequencer = embedded_sequencer(self.database, keyring, self.tail, clock)
        super().__init__(LocalLedger(self.sequencer, clock), keyring)

    async def open(self) -> None:
        self.sequencer.start()
        await self.found()

    async def close(self) -> None:
        await self.sequencer.stop()
        self.tail.close()
        self.database.close()


async def rate(act: Callable[[int], Awaitable[None]], first: int, count: int, callers: int = CALLERS) -> float:
    """How many a second, with so many callers at once."""
    numbers = iter(range(first, first + count))

    async def caller() -> None:
        for number in numbers:
            await act(number)

    gc.collect()
    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return count / (time.perf_counter() - began)
