"""Tenant names after an interruption: wherever it came, settling confirms the present name and frees all others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio

from adapters.embedded.log import embedded_sequencer
from adapters.feed import LocalFeed
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.index.sequencer import Committed
from adapters.keyring import Keyring
from adapters.local_ledger import LocalLedger
from adapters.resident import Residents
from api.kept_views import RESIDENT
from api.tenant_names import DEADLINE, Naming, compared_name, settle, settle_names
from domain import tenants
from domain.command import Command, Taken
from domain.event import Instant, Sealed
from domain.ids import DEPLOYMENT, Handle, TenantId, id_from
from domain.ledger import Actor, Authority, Caller, NewKeys
from projections.tenants import NAMES, NameRow

PLANET_EXPRESS, MOMCORP = (TenantId("ten_" + digit * 32) for digit in "12")


class Spine:
    """A node without its stored views and its faces, on a log in memory, with a clock that goes when it is told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000
        database = Database(None)
        self.keyring = Keyring(database, bytes(32))
        self.history = IndexHistory(database)
        self.feed = LocalFeed(lambda tenant: self.history.head(tenant)[0])
        self.residents = Residents(RESIDENT, self.history)
        self.sequencer = embedded_sequencer(
            database, self.keyring, None, self.clock, self._committed, steady=lambda: self.now
        )
        self.ledger = LocalLedger(self.sequencer, self.clock)
        self.naming = Naming()
        self.log = self

    async def reach(self, tenant: TenantId) -> None:
        """One partition, and this is its writer."""

    def clock(self) -> int:
        return self.now

    def _committed(self, committed: Committed) -> None:
        self.residents.committed(committed.recorded, committed.heads)
        self.feed.grown(committed.heads)

    async def ask(self, command: Command, tenant: TenantId, keys: NewKeys) -> None:
        await self.ledger.execute(command, self.by(tenant), keys=keys)

    def by(self, tenant: TenantId = DEPLOYMENT) -> Caller:
        authority = Authority("tenants:create", id_from("dec", self.now, bytes(10)))
        return Caller(tenant, Actor("system", "test"), authority, "test")

    def listed(self, keys: NewKeys, tenant: TenantId, name: str) -> tuple[Sealed, Handle]:
        """A name as the deployment keeps it."""
        handle = self.keyring.handle(keys, DEPLOYMENT, "name", compared_name(name))
        return self.keyring.seal(keys, DEPLOYMENT, tenant, "name", name), handle

    async def reserve(self, tenant: TenantId, name: str) -> None:
        keys = NewKeys()
        command = tenants.ReserveTenantName(tenant, *self.listed(keys, tenant, name), Instant(self.now + DEADLINE))
        await self.ask(command, DEPLOYMENT, keys)

    async def confirm(self, tenant: TenantId, name: str) -> None:
        keys = NewKeys()
        await self.ask(tenants.ConfirmTenantName(tenant, *self.listed(keys, tenant, name)), DEPLOYMENT, keys)

    async def create(self, tenant: TenantId, name: str) -> None:
        keys = NewKeys()
        await self.ask(
            tenants.CreateTenant(tenant, self.keyring.seal(keys, tenant, tenant, "name", name)), tenant, keys
        )

    async def rename(self, tenant: TenantId, name: str) -> None:
        keys = NewKeys()
        await self.ask(
            tenants.RenameTenant(tenant, self.keyring.seal(keys, tenant, tenant, "name", name)), tenant, keys
        )

    async def delete(self, tenant: TenantId) -> None:
        await self.ask(tenants.DeleteTenant(tenant), tenant, NewKeys())

    async def named(self, tenant: TenantId, name: str) -> None:
        """A tenant whose naming nothing interrupted."""
        await self.reserve(tenant, name)
        await self.create(tenant, name)
        await self.confirm(tenant, name)

    async def settled(self) -> int:
        return await settle_names(cast(Any, self), self.by())

    def started_again(self) -> None:
        """Nothing is remembered but what is recorded."""
        self.naming = Naming()

    def names(self) -> dict[str, tuple[TenantId, bool]]:
        """Whose each name is, and whether it is confirmed."""
        rows = self.residents.tenant(DEPLOYMENT, self.feed.head(DEPLOYMENT)).rows.rows[NAMES.name]
        return {self._opened(row): (row.tenant, row.deadline is None) for row in rows.values()}

    def _opened(self, row: NameRow) -> str:
        return self.keyring.unseal(DEPLOYMENT, "name", row.name) or "?"


@pytest_asyncio.fixture
async def node() -> AsyncIterator[Spine]:
    spine = Spine()
    spine.sequencer.start()
    yield spine
    await spine.sequencer.stop()


def past_the_deadline(node: Spine) -> None:
    node.now += DEADLINE


async def test_a_name_that_was_only_reserved_is_given_back_after_its_deadline_and_not_before(node: Spine) -> None:
    await node.reserve(PLANET_EXPRESS, "Planet Express")
    assert await node.settled() == 0
    assert node.names() == {"Planet Express": (PLANET_EXPRESS, False)}
    past_the_deadline(node)
    assert await node.settled() == 1
    assert node.names() == {}
    await node.reserve(MOMCORP, "planet express")


async def test_the_name_of_a_tenant_that_was_created_is_confirmed(node: Spine) -> None:
    await node.reserve(PLANET_EXPRESS, "Planet Express")
    await node.create(PLANET_EXPRESS, "Planet Express")
    past_the_deadline(node)
    with pytest.raises(Taken):
        await node.reserve(MOMCORP, "Planet Express")
    await node.settled()
    assert node.names() == {"Planet Express": (PLANET_EXPRESS, True)}


async def test_a_name_that_was_reserved_and_not_used_is_given_back_and_the_present_one_kept(node: Spine) -> None:
    await node.named(PLANET_EXPRESS, "Planet Express")
    await node.reserve(PLANET_EXPRESS, "Express")
    past_the_deadline(node)
    await node.settled()
    assert node.names() == {"Planet Express": (PLANET_EXPRESS, True)}


@pytest.mark.parametrize("confirmed", [False, True])
async def test_after_a_renaming_the_new_name_is_confirmed_and_the_former_free(node: Spine, confirmed: bool) -> None:
    await node.named(PLANET_EXPRESS, "Planet Express")
    await node.reserve(PLANET_EXPRESS, "Express")
    await node.rename(PLANET_EXPRESS, "Express")
    if confirmed:
        await node.confirm(PLANET_EXPRESS, "Express")
    past_the_deadline(node)
    node.started_again()
    await node.settled()
    assert node.names() == {"Express": (PLANET_EXPRESS, True)}
    await node.named(MOMCORP, "Planet Express")


async def test_of_two_renamings_the_later_name_stays(node: Spine) -> None:
    await node.named(PLANET_EXPRESS, "Planet Express")
    for name in ("Express", "Express Planet"):
        await node.reserve(PLANET_EXPRESS, name)
    for name in ("Express Planet", "Express"):
        await node.rename(PLANET_EXPRESS, name)
    past_the_deadline(node)
    await node.settled()
    assert node.names() == {"Express": (PLANET_EXPRESS, True)}


async def test_the_names_of_a_deleted_tenant_are_free_after_the_next_start(node: Spine) -> None:
    await node.named(PLANET_EXPRESS, "Planet Express")
    await node.named(MOMCORP, "Momcorp")
    assert await node.settled() == 2
    await node.delete(PLANET_EXPRESS)
    node.started_again()
    await node.settled()
    assert node.names() == {"Momcorp": (MOMCORP, True)}


async def test_settling_that_is_interrupted_itself_is_done_again(node: Spine) -> None:
    await node.named(PLANET_EXPRESS, "Planet Express")
    await node.settled()
    await node.delete(PLANET_EXPRESS)

    async def interrupted(command: Command) -> Any:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        async with node.naming.alone(PLANET_EXPRESS):
            await settle(cast(Any, node), PLANET_EXPRESS, interrupted)
    assert node.names() == {"Planet Express": (PLANET_EXPRESS, True)}
    assert await node.settled() == 1
    assert node.names() == {}
    assert await node.settled() == 0


async def test_settling_waits_for_who_is_changing_the_name(node: Spine) -> None:
    """Else it would give back a name that is about to be used."""
    await node.named(PLANET_EXPRESS, "Planet Express")
    async with node.naming.alone(PLANET_EXPRESS):
        await node.reserve(PLANET_EXPRESS, "Express")
        past_the_deadline(node)
        settling = asyncio.create_task(node.settled())
        await asyncio.sleep(0)
        await node.rename(PLANET_EXPRESS, "Express")
    await settling
    assert node.names() == {"Express": (PLANET_EXPRESS, True)}


async def test_settling_what_is_settled_records_nothing(node: Spine) -> None:
    await node.named(PLANET_EXPRESS, "Planet Express")
    head = node.feed.head(DEPLOYMENT)
    await node.settled()
    assert node.feed.head(DEPLOYMENT) == head
