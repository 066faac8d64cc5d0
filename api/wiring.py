"""Where the parts meet: a node, from its configuration to everything that handlers ask of it."""

import asyncio
import gc
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from fastapi import Request
from prometheus_client import CollectorRegistry

from adapters.archive.archive import Archive
from adapters.archive.folder import FolderStorage
from adapters.archive.object_storage import ObjectStorage, bucket
from adapters.archive.storage import Storage
from adapters.exports import job as export_job
from adapters.exports import tables
from adapters.feed import LocalFeed
from adapters.index.sequencer import Committed
from adapters.json_schemas import objection as schema_objection
from adapters.resident import Residents
from adapters.snapshots import SnapshotFile
from adapters.sql_sandbox.auditor import Auditor
from adapters.sql_sandbox.columns import TrailColumns
from adapters.webhooks.dispatcher import Dispatcher
from api.archiving import Archiving
from api.checkpointing import Checkpointing
from api.configuration import Configuration
from api.data_folder import DataFolder
from api.embedded_side import EmbeddedSide
from api.exporting import Exporting
from api.findings import Findings
from api.http.paging import Cursors
from api.kept_views import AUDITED, RESIDENT
from api.log_side import LogSide
from api.operator_key import ensure_operator_key
from api.pages.sessions import Sessions
from api.permitted import credential_of
from api.stored import StoredSide
from api.tenant_names import Naming
from api.trail_access import Accesses
from api.trail_counting import Columns
from api.trail_query import measure
from api.upkeep import Upkeep
from domain.access.credentials import Credential
from domain.ids import DirectoryId, TenantId
from domain.view import StoredViews, ViewBehind, ViewUnavailable
from replay.folded import Folded

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
        self.on_progress: Callable[[int, int], None] = lambda done, of: None
        """Told how much of a log elsewhere has been read at the start."""
        self.as_of: str | None = None
        """The moment that it shows, if it is a read-only node of then: see api/as_of_node.py."""
        self._leaving = AsyncExitStack()
        self.columns: Columns | None = None
        """The archive by columns, where there is one: what counts over years are asked of."""
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
        self.log = self._log_side(root_key)
        self._leaving.push_async_callback(self.log.stop)
        await self.log.start()
        self.keyring, self.history, self.evidence = self.log.keyring, self.log.history, self.log.evidence
        self.ledger = self.log.ledger
        self.feed = LocalFeed(lambda tenant: self.history.head(tenant)[0])
        self.residents = Residents(RESIDENT, self.history)
        self.cursors = Cursors(hashlib.sha256(b"cursors|" + root_key).digest())
        self.snapshots = SnapshotFile(self.folder.snapshots, hashlib.sha256(b"snapshots|" + root_key).digest(), Folded)
        self._leaving.callback(self.snapshots.close)
        self.sessions = Sessions(hashlib.sha256(b"console|" + root_key).digest(), self.clock)
        self.stored = StoredSide(
            self.log.path,
            self.folder.postgres,
            self.configuration.postgres,
            self.metrics,
            partition_of=self.log.partition_of,
        )
        self._leaving.push_async_callback(self.stored.stop)
        self.findings = Findings(self.metrics)
        self.upkeep = Upkeep(self)
        checkpoint_log = await asyncio.to_thread(self.log.checkpoint_log)
        self._leaving.push_async_callback(asyncio.to_thread, checkpoint_log.close)
        self.checkpoints = Checkpointing(self, checkpoint_log)
        self.accesses = Accesses(self)
        self.tables, self.query_seconds = tables, measure(self.metrics)
        self.exporting = Exporting(self, self.folder.exports, export_job.Job, export_job.remove, export_job.FILES)
        self.exporting.bundle = self.checkpoints.bundle
        self.auditor = Auditor(self.folder.scratch, lambda: self.archiving.archive.events, AUDITED)
        self.webhooks = self._dispatcher()
        self.archiving = self._archiving()
        self.columns = TrailColumns(self.archiving.archive.events, self.history)
        self._leaving.push_async_callback(self.archiving.stop)
        self._leaving.push_async_callback(self.webhooks.stop)
        await self.stored.start(self.log.sequences)
        await self.log.join(self.stored.pace)
        self.operator_key = await ensure_operator_key(self)
        await self.checkpoints.start()
        self._leaving.push_async_callback(self.checkpoints.stop)
        self.upkeep.start()
        self.accesses.start()
        self._leaving.push_async_callback(self.accesses.stop)
        self.exporting.start()
        self._leaving.push_async_callback(self.exporting.stop)
        self.webhooks.start()
        self.archiving.start()
        self._leaving.push_async_callback(self.upkeep.stop)

    def _dispatcher(self) -> Dispatcher:
        return Dispatcher(
            history=self.history,
            head=self.feed.head,
            ledger=self.ledger,
            unseal=self.keyring.unseal,
            clock=self.clock,
            book=self.folder.webhooks,
            metrics=self.metrics,
            private=self.configuration.webhooks_private,
            mine=self.log.decides if self.configuration.webhooks else lambda _: False,
        )

    def _archiving(self) -> Archiving:
        settings = self.configuration.archive
        storage: Storage = FolderStorage(settings.folder or self.folder.path / "archive")
        if (kept := settings.bucket) is not None:
            keys = {"access_key": kept.access_key, "secret_key": kept.secret_key}
            storage = ObjectStorage(bucket(kept.name, kept.prefix, region=kept.region, endpoint=kept.endpoint, **keys))
        work = self.folder.path / "archive.local"
        book = self.checkpoints.log.book

        def committed(tenant: TenantId) -> Iterator[tuple[int, bytes]]:
            return ((placed.head.size, placed.head.root) for placed in book.heads(tenant))

        def checkpoint(_: TenantId) -> str | None:
            return None if (last := book.last()) is None else last.note

        archive = Archive(storage, work, self.history, self.clock, cache_mb=settings.cache_mb, committed=committed)
        return Archiving(self, archive, settings.seconds, on=settings.on, checkpoint=checkpoint)

    def _log_side(self, root_key: bytes) -> LogSide:
        kafka = self.configuration.kafka
        if kafka is None:
            accept_gap = self.configuration.accept_clock
            return EmbeddedSide(self.folder, root_key, self.clock, self._committed, accept_gap=accept_gap)
        from api.kafka_side import KafkaSide  # a node of its own needs no Kafka client

        address = kafka.node_url or self.url
        return KafkaSide(
            self.configuration,
            kafka,
            self.folder.indexes,
            address,
            root_key,
            self.clock,
            self._committed,
            self._owns,
            self.metrics,
            self.on_progress,
        )

    async def stop(self) -> None:
        """Graceful: what was accepted is decided and answered, then everything closes."""
        self.stopping.set()
        await self._leaving.aclose()

    @property
    def views(self) -> StoredViews:
        return self.stored.views

    def schema_objection(self, schema: str, document: Any) -> str | None:
        """Why a document is not as a JSON Schema says."""
        return schema_objection(schema, document)

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
        await self.log.destroy_purposes("retries-2", before)

    def scim_url(self, directory: DirectoryId | str) -> str:
        return f"{self.configuration.public_url or self.url}/scim/v2/{directory}"

    def authenticate(self, request: Request) -> Credential:
        """Whom a request's secret stands for, as of now. Raises Problem 401."""
        return credential_of(self, request)

    def copy_log(self, into: Path) -> None:
        """The files of a backup, as the log is at one moment, in an empty folder."""
        self.log.copy_log(into)

    async def finish_erasure(self, tenant: TenantId, position: int) -> None:
        """Return once nothing under the data folder can open what was erased: the last copies were in the WAL."""
        for drop in self.on_erasure:
            drop(self.keyring.epoch)
        try:
            await self.views.reach(tenant, position)
        except (ViewBehind, ViewUnavailable):  # they hold nothing that opens, and will show the deletion once they can
            structlog.get_logger().warning("views are behind an erasure", tenant=tenant)
        for _ in range(200):
            if await self.log.wipe(tenant, position):
                return
            await asyncio.sleep(0.05)
        raise ViewBehind

    def _committed(self, partition: int, committed: Committed) -> None:
        """A commit is in the index: this node's, or one that it has read."""
        self.residents.committed(committed.recorded, committed.heads)
        self.feed.grown(committed.heads)
        self.stored.grown(committed.sequence, partition)
        self.upkeep.committed(committed.recorded)
        self.checkpoints.committed(committed.heads)
        self.webhooks.committed(committed.recorded, committed.heads)
        self.exporting.committed(committed.recorded)
        self.archiving.committed(committed.heads)

    def _owns(self, partitions: frozenset[int]) -> None:
        """This node owns these partitions now, and projects them."""
        self.stored.assign(partitions)
        self.upkeep.owns(partitions)
        self.webhooks.ownership_changed()
        self.archiving.ownership_changed()
