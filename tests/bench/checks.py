"""The check of an API key from memory, against a dictionary look-up and one SHA-256."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

from adapters.index.history import IndexHistory
from adapters.resident import Residents
from api.kept_views import RESIDENT
from domain.access import secrets
from domain.agents import IssueApiKey
from domain.event import Code
from domain.ids import CredentialId
from domain.ledger import NewKeys
from tests.bench.office import Office, clock
from tests.bench.table import Row, versus

KEYS: Final = 1_000
LOOKS: Final = 100_000
ROUNDS: Final = 7
_PERMISSIONS: Final = (Code("users:read"), Code("users:manage"))


def rows(folder: Path) -> Iterator[Row]:
    import asyncio

    yield from asyncio.run(_rows(folder))


async def _rows(folder: Path) -> list[Row]:
    office = Office(folder / "node")
    await office.open()
    keys = [secrets.make("key", office.tenant, os.urandom(32)) for _ in range(KEYS)]
    for number, key in enumerate(keys):
        credential = CredentialId(f"key_{number:032x}")
        command = IssueApiKey(credential, office.tenant, secrets.digest(key), _PERMISSIONS)
        await office.ledger.execute(command, office.caller(), keys=NewKeys())
    residents = Residents(RESIDENT, IndexHistory(office.database))
    tenant = residents.tenant(office.tenant, office.sequencer.sequence)
    for key in keys:
        tenant.credential(secrets.digest(key))
    table = {secrets.digest(key): number for number, key in enumerate(keys)}

    def check(key: str) -> object:
        return residents.check(key, "users:manage", clock())

    def plain(key: str) -> object:
        return table[hashlib.sha256(key.encode()).digest()]

    if any(check(key) is None for key in keys):
        raise RuntimeError("a key that is right was not let in")
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_microseconds(check, keys))
        theirs.append(_microseconds(plain, keys))
    await office.close()
    return [
        Row(
            "resident check of an API key",
            median(ours),
            "µs",
            f"a dictionary and one SHA-256: {median(theirs):.2f} µs",
            versus(ours, theirs),
            "≤ 3",
        )
    ]


def _microseconds(look: Callable[[str], object], keys: list[str]) -> float:
    began = time.perf_counter()
    for number in range(LOOKS):
        look(keys[number % KEYS])
    return (time.perf_counter() - began) / LOOKS * 1e6
