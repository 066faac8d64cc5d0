"""Credentials in memory: each is merged when it is asked for, and follows what happens to what it rests on."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from adapters.index.history import IndexHistory
from adapters.resident import Residents
from api.kept_views import RESIDENT
from domain.access.credentials import Credential
from domain.access.roles import AssignRole, ChangeRole, DefineRole
from domain.access.secrets import digest
from domain.agents import IssueApiKey, RotateApiKey
from domain.command import Command
from domain.event import Code, Instant, Recorded
from domain.ids import CredentialId, RoleId, TenantId, UserId
from domain.ledger import NewKeys, Query
from tests.bench.office import Office, clock

ROLE, OTHER = RoleId(f"rol_{1:032x}"), RoleId(f"rol_{2:032x}")
READ, ERASE = Code("users:read"), Code("users:erase")


class CountedHistory(IndexHistory):
    """Counts how many people's lives were read."""

    people = 0

    def recorded(self, tenant: TenantId, query: Query, limit: int) -> Sequence[Recorded]:
        found = super().recorded(tenant, query, limit)
        if found and query.tags and query.tags[0].startswith("user:") and not query.after:
            self.people += 1
        return found


class Tenant:
    """An office with three people who have a role and a key each, and its credentials in memory."""

    def __init__(self, folder: Path) -> None:
        self.office = Office(folder / "node")
        self.history = CountedHistory(self.office.database)
        self.residents = Residents(RESIDENT, self.history)

    async def open(self) -> None:
        await self.office.open()
        await self.do(DefineRole(ROLE, Code("reader"), (READ,)), DefineRole(OTHER, Code("eraser"), (ERASE,)))
        for number in range(3):
            await self.office.provision(number)
            user = self.office.people[number]
            await self.do(AssignRole(ROLE, user), self.issue(number, user))

    def issue(self, number: int, user: UserId) -> Command:
        return IssueApiKey(CredentialId(f"key_{number:032x}"), user, digest(f"secret {number}"), (READ, ERASE))

    async def do(self, *commands: Command) -> None:
        """Recorded, and followed at once, as a node does."""
        for command in commands:
            outcome = await self.office.ledger.execute(command, self.office.caller(), keys=NewKeys())
            first = outcome.position - len(outcome.events) + 1
            recorded = [
                Recorded(outcome.tenant, position, outcome.instant, event)
                for position, event in enumerate(outcome.events, first)
            ]
            self.residents.committed(recorded, {outcome.tenant: outcome.position})

    def permits(self, *secrets: str) -> list[list[str]]:
        """What each secret permits now."""
        return [sorted(found.permits or ()) if (found := self.of(each)) else [] for each in secrets]

    def of(self, secret: str) -> Credential | None:
        """What a secret opens now."""
        head = self.history.head(self.office.tenant)[0]
        return self.residents.tenant(self.office.tenant, head).credential(digest(secret))


def test_only_the_secret_that_is_asked_for_is_merged(tmp_path: Path) -> None:
    async def story() -> None:
        tenant = Tenant(tmp_path)
        await tenant.open()
        found = tenant.of("secret 1")
        assert found is not None
        assert (found.actor_id, found.permits) == (str(tenant.office.people[1]), frozenset[str]({READ}))
        assert tenant.of("secret 1") is found
        assert tenant.history.people == 1
        assert tenant.of("nobody's") is None
        await tenant.office.close()

    asyncio.run(story())


def test_a_changed_role_changes_what_every_key_of_its_holders_permits(tmp_path: Path) -> None:
    async def story() -> None:
        tenant = Tenant(tmp_path)
        await tenant.open()
        secrets = [f"secret {number}" for number in range(3)]
        assert tenant.permits(*secrets) == [[READ]] * 3
        assert all(tenant.residents.check(each, READ, clock()) for each in secrets)
        await tenant.do(ChangeRole(ROLE, (ERASE,)))
        assert not any(tenant.residents.check(each, READ, clock()) for each in secrets)
        assert tenant.permits(*secrets) == [[ERASE]] * 3
        await tenant.office.close()

    asyncio.run(story())


def test_a_rotated_key_opens_by_its_new_secret_and_for_a_while_by_the_one_before(tmp_path: Path) -> None:
    async def story() -> None:
        tenant = Tenant(tmp_path)
        await tenant.open()
        key = CredentialId(f"key_{0:032x}")
        until = Instant(clock() + 60_000_000)
        await tenant.do(RotateApiKey(key, digest("second"), until))
        first, second = tenant.of("secret 0"), tenant.of("second")
        assert first is not None
        assert second is not None
        assert (first.id, first.former, first.expires_at) == (key, True, until)
        assert (second.id, second.former, second.expires_at) == (key, False, None)
        await tenant.do(RotateApiKey(key, digest("third"), until))
        assert tenant.of("secret 0") is None
        second = tenant.of("second")
        assert second is not None
        assert second.former
        await tenant.office.close()

    asyncio.run(story())


def test_a_key_that_is_issued_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    async def story() -> None:
        tenant = Tenant(tmp_path)
        await tenant.open()
        found = tenant.of("secret 0")
        await tenant.do(tenant.issue(3, tenant.office.people[0]))
        assert tenant.of("secret 0") is found
        assert tenant.of("secret 3") is not None
        await tenant.do(AssignRole(OTHER, tenant.office.people[0]))
        assert tenant.permits("secret 0") == [[ERASE, READ]]
        await tenant.office.close()

    asyncio.run(story())
