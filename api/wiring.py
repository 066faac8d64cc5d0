"""Where the parts meet: a node, from its configuration to everything that handlers ask of it."""

import asyncio
import gc
import hashlib
import shutil
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from fastapi import Request
from prometheus_client import CollectorRegistry

from adapters.credentials import Credential, ResidentViews
from adapters.embedded.backup import copy_log
from adapters.embedded.log import embedded_sequencer
from adapters.embedded.tail import TailFile, remembered_in
from adapters.feed import LocalFeed
from adapters.index.database import Database
from adapters.index.evidence import LogEvidence
from adapters.index.history import IndexHistory
from adapters.index.sequencer import Committed
from adapters.keyring import Keyring
from adapters.local_ledger import LocalLedger
from adapters.resident import Residents
from api.configuration import Configuration
from api.data_folder import DataFolder
from api.http.paging import Cursors
from api.operator_key import ensure_operator_key
from api.permitted import credential_of
from api.stored import StoredSide
from api.tenant_names import Naming
from api.upkeep import Upkeep
from domain.ids import DirectoryId, TenantId
from domain.view import StoredViews, ViewBehind, ViewUnavailable
from projections import access, agents, directory, flags, tenants

RESIDENT: Final = ResidentViews(
    tenants=tenants.TENANTS,
    names=tenants.NAMES,
    directories=directory.DIRECTORIES,
    tokens=directory.TOKENS,
    api_keys=agents.API_KEYS,
    operator_keys=agents.OPERATOR_KEYS,
    roles=access.ROLES,
    assignments=access.ASSIGNMENTS,
    flags=flags.FLAGS,
    targets=flags.TARGETS,
)

DAY: Final = 86_400_000_000
"""Microseconds."""
OBJECTS_BETWEEN_COLLECTIONS: Final = 50_000
"""What is cached makes no cycles; walking all of it every few hundred requests took two fifths of the time."""


class Node:
    """Everything on one data folder. `start` and `stop` it on the event loop that serves."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.folder = DataFolder(configuration.data)
        self.metrics = CollectorRegistry()
        self.stopping = asyncio.Event()
        self.naming = Naming()
        self.url = f"http://{configuration.host}:{configuration.port}"
        self.verifying = asyncio.Lock()
        """Held while a history is folded again on request: one at a time, because it takes a thread for long."""
        self.on_erasure: list[Callable[[int], None]] = []
        """Told the new erasure epoch: what holds opened values in memory drops them."""
        self._leaving = AsyncExitStack()
        self._day, self._named = 0, ("", "", "")

    async def start(self) -> None:
        """Opens the folder, and is ready to answer when this returns; stored views may still be catching up."""
        try:
            await self._start()
        except BaseException:
            await self._leaving.aclose()
            raise

    async def _start(self) -> None:
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 50, 100)
        self.folder.make()
        root_key, in_folder = self.folder.root_key_of(self.configuration)
        if in_folder:
            structlog.get_logger().warning(
                "the root key lies in the data folder: move it elsewhere and name it in MUNIMENT_ROOT_KEY_FILE"
            )
        self.database = Database(self.folder.ledger)
        self._leaving.callback(self.database.close)
        shutil.rmtree(self.folder.unfinished_backup, ignore_errors=True)
        self.keyring = Keyring(self.database, root_key)
        tail = TailFile(self.folder.tail)
        self._leaving.callback(tail.close)
        self.history = IndexHistory(self.database)
        self.evidence = LogEvidence(self.database, remembered_in(self.folder.tail))
        self.feed = LocalFeed(lambda tenant: self.history.head(tenant)[0])
        self.residents = Residents(RESIDENT, self.history)
        self.sequencer = embedded_sequencer(
            self.database,
            self.keyring,
            tail,
            self.clock,
            self._committed,
            accept_gap=self.configuration.accept_clock,
        )
        self.ledger = LocalLedger(self.sequencer, self.clock)
        self.cursors = Cursors(hashlib.sha256(b"cursors|" + root_key).digest())
        self.stored = StoredSide(self.folder.ledger, self.folder.postgres, self.configuration.postgres, self.metrics)
        self._leaving.push_async_callback(self.stored.stop)
        await self.stored.start(self.sequencer.sequence)
        self.upkeep = Upkeep(self)
        self.sequencer.pace = self.stored.pace
        self.sequencer.start()
        self._leaving.push_async_callback(self.sequencer.stop)
        self.operator_key = await ensure_operator_key(self)
        self.upkeep.start()
        self._leaving.push_async_callback(self.upkeep.stop)

    async def stop(self) -> None:
        """Graceful: what was accepted is decided and answered, then everything closes."""
        self.stopping.set()
        await self._leaving.aclose()

    @property
    def views(self) -> StoredViews:
        return self.stored.views

    def clock(self) -> int:
        """Microseconds since 1970 in UTC."""
        return time.time_ns() // 1000

    def address_key(self) -> str:
        """The purpose of the key that blinds addresses this month."""
        return self._purposes()[0]

    def retry_days(self) -> tuple[str, str]:
        """The purposes of the keys that hash what retries repeat: today's, and that of the day before."""
        _, today, before = self._purposes()
        return today, before

    def _purposes(self) -> tuple[str, str, str]:
        day = self.clock() // DAY
        if day != self._day:
            now = datetime.fromtimestamp(day * DAY / 1e6, UTC)
            retries = [(now - timedelta(days=ago)).strftime("retries-%Y-%m-%d") for ago in (0, 1)]
            self._day, self._named = day, (now.strftime("address-%Y-%m"), retries[0], retries[1])
        return self._named

    async def destroy_old_purposes(self) -> None:
        """Destroy the keys of days whose retries nobody waits for any more."""
        before = (datetime.fromtimestamp(self.clock() / 1e6, UTC) - timedelta(days=3)).strftime("retries-%Y-%m-%d")
        await self.sequencer.exclusively(
            lambda connection: self.keyring.destroy_purposes(connection, "retries-2", before)
        )

    def scim_url(self, directory: DirectoryId | str) -> str:
        return f"{self.url}/scim/v2/{directory}"

    def authenticate(self, request: Request) -> Credential:
        """Whom a request's secret stands for, as of now. Raises Problem 401."""
        return credential_of(self, request)

    def copy_log(self, into: Path) -> None:
        """The files of a backup, as the log is at one moment, in an empty folder."""
        copy_log(self.folder.ledger, into)

    async def finish_erasure(self, tenant: TenantId, position: int) -> None:
        """Return once nothing under the data folder can open what was erased: the last copies were in the WAL."""
        for drop in self.on_erasure:
            drop(self.keyring.epoch)
        try:
            await self.views.reach(tenant, position)
        except (ViewBehind, ViewUnavailable):  # they hold nothing that opens, and will show the deletion once they can
            structlog.get_logger().warning("views are behind an erasure", tenant=tenant)
        for _ in range(200):
            if await self.sequencer.exclusively(lambda _: self.database.truncate_wal()):
                return
            await asyncio.sleep(0.05)
        raise ViewBehind

    def _committed(self, committed: Committed) -> None:
        self.residents.committed(committed.recorded, committed.heads)
        self.feed.grown(committed.heads)
        self.stored.grown(committed.sequence)
        self.upkeep.committed(committed.recorded)
