"""Where the parts meet: a node, from its configuration to everything that handlers ask of it."""

import asyncio
import hashlib
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final

import structlog
from fastapi import Request
from prometheus_client import CollectorRegistry

from adapters.embedded.database import Database
from adapters.embedded.history import EmbeddedHistory
from adapters.embedded.sequencer import Committed, EmbeddedSequencer
from adapters.embedded.tail import TailFile
from adapters.feed import LocalFeed
from adapters.keyring import Keyring
from adapters.local_ledger import LocalLedger
from adapters.resident import Credential, Residents, ResidentViews
from api.configuration import Configuration
from api.data_folder import DataFolder
from api.http.paging import Cursors
from api.operator_key import ensure_operator_key
from api.permitted import credential_of
from api.stored import StoredSide
from domain.ids import DirectoryId, TenantId
from domain.view import StoredViews, ViewBehind
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


class Node:
    """Everything on one data folder. `start` and `stop` it on the event loop that serves."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.folder = DataFolder(configuration.data)
        self.metrics = CollectorRegistry()
        self.stopping = asyncio.Event()
        self.url = f"http://{configuration.host}:{configuration.port}"
        self._leaving = AsyncExitStack()

    async def start(self) -> None:
        """Opens the folder, and is ready to answer when this returns; stored views may still be catching up."""
        self.folder.make()
        root_key, in_folder = self.folder.root_key_of(self.configuration)
        if in_folder:
            structlog.get_logger().warning("root key lies beside the data", path="root.key")
        self.database = Database(self.folder.ledger)
        self._leaving.callback(self.database.close)
        self.keyring = Keyring(self.database, root_key)
        tail = TailFile(self.folder.tail)
        self._leaving.callback(tail.close)
        self.history = EmbeddedHistory(self.database)
        self.feed = LocalFeed(lambda tenant: self.history.head(tenant)[0])
        self.residents = Residents(RESIDENT, self.history)
        self.sequencer = EmbeddedSequencer(self.database, self.keyring, tail, self.clock, self._committed)
        self.sequencer.start()
        self._leaving.push_async_callback(self.sequencer.stop)
        self.ledger = LocalLedger(self.sequencer, self.clock)
        self.cursors = Cursors(hashlib.sha256(b"cursors|" + root_key).digest())
        self.stored = StoredSide(self)
        await self.stored.start()
        self._leaving.push_async_callback(self.stored.stop)
        self.operator_key = await ensure_operator_key(self)

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
        return datetime.now(UTC).strftime("address-%Y-%m")

    def scim_url(self, directory: DirectoryId | str) -> str:
        return f"{self.url}/scim/v2/{directory}"

    def authenticate(self, request: Request) -> Credential:
        """Whom a request's secret stands for, as of now. Raises Problem 401."""
        return credential_of(self, request)

    async def finish_erasure(self, tenant: TenantId, position: int) -> None:
        """Return once nothing under the data folder can open what was erased: the last copies were in the WAL."""
        try:
            await self.views.reach(tenant, position)
        except ViewBehind:
            structlog.get_logger().warning("views are behind an erasure", tenant=tenant)
        for _ in range(200):
            if await self.sequencer.exclusively(lambda _: self.database.truncate_wal()):
                return
            await asyncio.sleep(0.05)
        raise ViewBehind

    def _committed(self, committed: Committed) -> None:
        self.residents.committed(committed.recorded, committed.heads)
        self.feed.grown(committed.heads)
        self.stored.grown(committed)
