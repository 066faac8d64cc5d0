"""Replay: folds as of a position from snapshots against folds from the beginning, and what-if against deciding once."""

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from adapters.fresh_ids import new_id
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.snapshots import SnapshotFile
from domain.access.roles import AssignRole, DefineRole
from domain.agents import ApiKeyRevoked, IssueApiKey
from domain.directory.life import UserProvisioned
from domain.directory.users import UserProfileChanged
from domain.event import Code, Event, Sealed
from domain.flags import ChangeFlagDefault, DefineFlag
from domain.ids import CredentialId, FlagId, Handle, RoleId, TenantId, UserId
from domain.ledger import Actor, Authority, Caller, History, NewKeys
from projections.every import EVERY_VIEW
from replay.as_of import as_of
from replay.edits import Add, Plan
from replay.folded import Folded
from replay.what_if import Walked, what_if
from tests.bench.office import Office, clock, rate
from tests.bench.table import Row, versus
from tests.log import WrittenLog

EVENTS: Final = int(os.environ.get("MUNIMENT_BENCH_EVENTS", "1000000"))
DECISIONS: Final = min(100_000, EVENTS)
PEOPLE: Final = max(100, EVENTS // 50)
FLAGS: Final = 200
HOLDERS: Final = 50
ROUNDS: Final = 5
SHARES: Final = (0.25, 0.5, 0.75, 1.0)
_BATCH: Final = 1_000
TENANT: Final = TenantId(f"ten_{1:032x}")


def rows(folder: Path) -> Iterator[Row]:
    yield from as_of_rows(folder)
    yield from uvloop.run(_what_if(folder / "office"))


def as_of_rows(folder: Path) -> Iterator[Row]:
    database = Database(folder / "ledger.db")
    log = WrittenLog(database)
    log.commits([(TENANT, each) for each in batch] for batch in _batches())
    history = IndexHistory(database)
    snapshots = SnapshotFile(folder / "snapshots.db", bytes(32), Folded)
    as_of(history, TENANT, EVERY_VIEW, EVENTS, snapshots)
    beginning, kept = [], []
    for share in SHARES:
        until = int(EVENTS * share) - 1
        beginning.append(_seconds(partial(as_of, history, TENANT, EVERY_VIEW, until)))
        with_snapshots = [_seconds(partial(as_of, history, TENANT, EVERY_VIEW, until, snapshots)) for _ in range(3)]
        kept.append(median(with_snapshots))
    size = (folder / "snapshots.db").stat().st_size
    snapshots.close()
    database.close()
    yield Row(
        f"as-of fold of a tenant with {EVENTS:,} events and {PEOPLE:,} people, with snapshots",
        median(kept),
        "s",
        f"from the beginning: {median(beginning):.2f} s (snapshots: {size >> 20} MiB)",
        versus(beginning, kept),
        "≥ 20",
    )


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _batches() -> Iterator[list[Event]]:
    """People, then changes of their profiles."""
    chance = random.Random(4)
    batch: list[Event] = []
    for number in range(EVENTS):
        user = UserId(f"usr_{number if number < PEOPLE else chance.randrange(PEOPLE):032x}")
        if number < PEOPLE:
            batch.append(
                UserProvisioned(user, _sealed(user, number), Handle(f"hdl_{number:032x}"), _sealed(user, number))
            )
        else:
            values = (_sealed(user, number) for _ in range(5))
            batch.append(UserProfileChanged(user, *values))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _sealed(user: str, number: int) -> Sealed:
    digest = hashlib.sha256(f"{user}{number}".encode()).digest()
    return Sealed(f"dek_{user[4:]}", digest[:12], digest + digest[:12], digest[16:])


async def _what_if(folder: Path) -> list[Row]:
    office = _Deciders(folder)
    await office.open()
    await office.prepare()
    await rate(office.decide, 0, DECISIONS)
    await office.sequencer.stop()
    history, tenant = IndexHistory(office.database), office.tenant
    until = history.head(tenant)[0]
    once, supposed, revoked = [], [], Add(office.prepared, ApiKeyRevoked(office.keys[0]))
    for _ in range(ROUNDS):
        once.append(_seconds(lambda: _walk(history, tenant, until)))
        supposed.append(_seconds(lambda: _walk(history, tenant, until, revoked)))
    walked = _walk(history, tenant, until, revoked)
    office.database.close()
    return [
        Row(
            f"what-if over {walked.decisions:,} decisions, of which {walked.flipped:,} flip",
            median(supposed),
            "s",
            f"decide each once: {median(once):.2f} s",
            versus(supposed, once),
            "≤ 1.5",
        )
    ]


def _walk(history: History, tenant: TenantId, until: int, *edits: Add) -> Walked:
    """Without an edit: fold, and decide each decision once."""
    return what_if(history, tenant, Plan(history, tenant, edits, until), until, first=1)


class _Deciders(Office):
    """People with roles and keys of their own, who switch flags."""

    async def prepare(self) -> None:
        self.keys: list[CredentialId] = []
        self.flags = [FlagId(new_id("flg")) for _ in range(FLAGS)]
        await rate(self.provision, 0, HOLDERS)
        for each in self.flags:
            variants = Code('{"on":true,"off":false}')
            command = DefineFlag(each, Code(f"flag-{each[-20:]}"), Code("boolean"), variants, Code("off"), Code("off"))
            await self.ledger.execute(command, self.caller(), keys=NewKeys())
        role = RoleId(new_id("rol"))
        await self.ledger.execute(DefineRole(role, Code("switcher"), (Code("flags:manage"),)), self.caller())
        for person in self.people:
            await self.ledger.execute(AssignRole(role, person), self.caller())
            key = CredentialId(new_id("key"))
            digest = hashlib.sha256(key.encode()).digest()
            await self.ledger.execute(IssueApiKey(key, person, digest, (Code("flags:manage"),)), self.caller())
            self.keys.append(key)
        self.role = role
        self.prepared = IndexHistory(self.database).head(self.tenant)[0]

    async def decide(self, number: int) -> None:
        """A command by one of the keys."""
        who = number % HOLDERS
        caller = Caller(
            self.tenant,
            Actor("user", self.people[who]),
            Authority("flags:manage", f"dec_{clock() // 1000:012x}{number:020x}", (self.role,), self.prepared),
            new_id("cor"),
            credential=self.keys[who],
        )
        variant = Code("on" if number // FLAGS % 2 == 0 else "off")
        await self.ledger.execute(ChangeFlagDefault(self.flags[number % FLAGS], variant), caller)
