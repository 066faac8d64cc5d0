"""The background of exports: writes their files for the tenants this node decides for, and deletes them in their time.

Which exports there are is said by the ledger, so a node that starts, or takes a tenant over, finds what is to be done;
files that another node wrote are written again here, and must come out the same.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from prometheus_client import Counter, Gauge

from domain import audit
from domain.command import Command, Refused
from domain.event import Code, Recorded
from domain.ids import ExportId, TenantId, id_from
from domain.ledger import Actor, Authority, Caller, NotReady, Query, QueueFull
from projections.audit import EXPORTS, ExportRow

if TYPE_CHECKING:
    from api.wiring import Node

MOST_PROVED: Final = 10_000
"""Events of an export whose proofs are written beside it."""
_PAGE: Final = 1_000
_LOOK: Final = 2.0
_TYPES: Final = tuple(each.__name__ for each in audit.EXPORT_LIFE)

Bundle = Callable[[TenantId, Sequence[int]], Awaitable[bytes | None]]


class Lost(Exception):
    """The export can't be written; the message says why."""


class Exporting:
    """Lives on the node's event loop; `job` opens the files of an export, which adapters know."""

    def __init__(
        self,
        node: "Node",
        folder: Path,
        job: Callable[..., Any],
        remove: Callable[[Path], None],
        files: Mapping[str, tuple[str, str]],
    ) -> None:
        """`files`: the name and media type of each format's file."""
        self._node = node
        self.files = files
        self._folder = folder
        self._job, self._remove = job, remove
        self.bundle: Bundle | None = None
        """Makes the proofs of events, once checkpoints are made."""
        self._rows: dict[tuple[TenantId, ExportId], ExportRow] = {}
        self._places: dict[ExportId, int] = {}
        """Up to which position the running ones are."""
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._written = Counter(
            "muniment_exports", "Exports of trails, by what became of them.", ("outcome",), registry=node.metrics
        )
        Gauge("muniment_exports_running", "Exports being written or waiting.", registry=node.metrics).set_function(
            lambda: sum(row.state == "running" for row in self._rows.values())
        )

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._find()), loop.create_task(self._run()), loop.create_task(self._expire())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def committed(self, recorded: Iterable[Recorded]) -> None:
        """Follows what the ledger says of exports."""
        for each in recorded:
            if isinstance(each.event, audit.EXPORT_LIFE):
                self._follow(each)

    def _follow(self, recorded: Recorded) -> None:
        event: Any = recorded.event
        key = (recorded.tenant, event.export)
        row = EXPORTS.evolve(self._rows.get(key), recorded)
        if row is None or row.state in ("failed", "expired"):
            self._rows.pop(key, None)
        else:
            self._rows[key] = row
        self._wake.set()

    def position(self, export: str) -> int | None:
        """Up to which position this node has written an export."""
        return self._places.get(ExportId(export))

    def folder_of(self, export: str) -> Path:
        return self._folder / export

    def file_of(self, export: str, name: str) -> Path | None:
        """A file of an export that is done; None if there is none here."""
        path = self.folder_of(export) / name
        return path if self.is_here(export) and path.exists() else None

    def is_here(self, export: str) -> bool:
        """Whether the files of an export that is done are all on this node; else they will be."""
        self._wake.set()
        return (self.folder_of(export) / "manifest.json").exists()

    async def proofs(self, tenant: TenantId, row: ExportRow) -> bytes | None:
        """A bundle that proves every event of an export; None if they are too many, or are not covered yet."""
        if self.bundle is None:
            return None
        query = Query(row.matching, row.types, row.after, row.until)
        entries = await asyncio.to_thread(self._node.history.entries, tenant, query, MOST_PROVED + 1)
        if not 0 < len(entries) <= MOST_PROVED:
            return None
        return await self.bundle(tenant, [each.position for each in entries])

    async def forget(self, export: str) -> None:
        """The files of an export that was deleted; one that is being written notices by itself."""
        if export not in self._places:
            await asyncio.to_thread(self._remove, self.folder_of(export))

    async def _find(self) -> None:
        """Those of before this start; then what no export owns any more is deleted."""
        for tenant in await asyncio.to_thread(self._node.history.tenants):
            after = 0
            while True:
                query = Query(types=_TYPES, after=after)
                found = await asyncio.to_thread(self._node.history.recorded, tenant, query, _PAGE)
                for each in found:
                    self._follow(each)
                if len(found) < _PAGE:
                    break
                after = found[-1].position
        owned = {export for _, export in self._rows}
        for folder in await asyncio.to_thread(self._listed):
            if folder.name not in owned:
                await asyncio.to_thread(self._remove, folder)
        self._wake.set()

    def _listed(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.exists() else []

    async def _run(self) -> None:
        """One export after another."""
        while True:
            todo = self._next()
            if todo is None:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await self._wake.wait()
                continue
            tenant, row = todo
            try:
                await self._write(tenant, row)
            except (NotReady, QueueFull):
                await asyncio.sleep(_LOOK)
            except (Lost, OSError) as problem:
                reason = str(problem) if isinstance(problem, Lost) else f"the disk refuses ({problem.strerror})"
                await self._fail(tenant, row, reason)
            except Exception as problem:
                structlog.get_logger().error("an export failed", export=row.export, exc_info=problem)
                await self._fail(tenant, row, "the node could not write it; its log says why")

    def _next(self) -> tuple[TenantId, ExportRow] | None:
        for (tenant, _), row in self._rows.items():
            if self._node.log.decides(tenant) and (row.state == "running" or self._is_missing(row)):
                return tenant, row
        return None

    def _is_missing(self, row: ExportRow) -> bool:
        expired = row.expires_at is not None and row.expires_at <= self._node.clock()
        return not expired and not (self.folder_of(row.export) / "manifest.json").exists()

    async def _write(self, tenant: TenantId, row: ExportRow) -> None:
        """From where it was to the end; gives up without a word once it was deleted."""
        key, history = (tenant, row.export), self._node.history
        job = await asyncio.to_thread(self._job, self.folder_of(row.export), row.format, row.after)
        while job.place.position < row.until:
            query = Query(row.matching, row.types, job.place.position, row.until)
            entries = await asyncio.to_thread(history.entries, tenant, query, _PAGE)
            position = entries[-1].position if len(entries) == _PAGE else row.until
            await asyncio.to_thread(job.write, entries, position)
            self._places[row.export] = position
            if key not in self._rows:
                await asyncio.to_thread(self._remove, job.folder)
                self._places.pop(row.export, None)
                return
        await asyncio.to_thread(job.close)
        digest = await asyncio.to_thread(job.digest)
        if row.state == "done":
            await self._again(tenant, row, job, digest)
        else:
            await self._finish(tenant, row, job, digest)
        self._places.pop(row.export, None)
        if key not in self._rows:  # deleted in the last moment
            await asyncio.to_thread(self._remove, job.folder)

    async def _finish(self, tenant: TenantId, row: ExportRow, job: Any, digest: bytes) -> None:
        tree = await asyncio.to_thread(self._node.evidence.tree, tenant)
        if tree.problem is not None:
            raise Lost("the history does not hold: verify the tenant")
        manifest = await self._manifest(tenant, row, job, tree.size, tree.root)
        place = job.place
        await self._tell(
            tenant,
            row.export,
            audit.FinishExport(
                tenant,
                row.export,
                digest,
                manifest,
                job.file.stat().st_size,
                place.count,
                place.first,
                place.last,
                tree.size,
                tree.root,
            ),
        )
        self._written.labels("done").inc()

    async def _again(self, tenant: TenantId, row: ExportRow, job: Any, digest: bytes) -> None:
        """Files that were written elsewhere, written here too."""
        if digest != row.digest or row.tree_size is None or row.root is None:
            await asyncio.to_thread(self._remove, job.folder)
            await self._tell(tenant, row.export, audit.ExpireExport(tenant, row.export, Code("files-differ")))
            return
        await self._manifest(tenant, row, job, row.tree_size, row.root)

    async def _manifest(self, tenant: TenantId, row: ExportRow, job: Any, size: int, root: bytes) -> bytes:
        """Writes the proofs, where there can be some, and the manifest; its digest."""
        place = job.place
        if place.count and (proofs := await self.proofs(tenant, row)) is not None:
            await asyncio.to_thread(job.write_proofs, proofs)
        about = {
            "muniment": "export",
            "version": 1,
            "tenant": tenant,
            "export": row.export,
            "format": row.format,
            "asked": {
                "after": row.after,
                "until": row.until,
                "types": list(row.types),
                "tags": list(row.matching),
            },
            "count": place.count,
            "first": place.first,
            "last": place.last,
            "tree": {"size": size, "root": root.hex()},
        }
        manifest: bytes = await asyncio.to_thread(job.write_manifest, about)
        return manifest

    async def _fail(self, tenant: TenantId, row: ExportRow, reason: str) -> None:
        self._rows.pop((tenant, row.export), None)
        self._places.pop(row.export, None)
        self._written.labels("failed").inc()
        await asyncio.to_thread(self._remove, self.folder_of(row.export))
        if row.state == "done":
            await self._tell(tenant, row.export, audit.ExpireExport(tenant, row.export, Code("files-lost")))
        else:
            await self._tell(tenant, row.export, audit.FailExport(tenant, row.export, Code(reason)))

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            now = self._node.clock()
            for (tenant, export), row in list(self._rows.items()):
                if row.expires_at is None or row.expires_at > now or not self._node.log.decides(tenant):
                    continue
                try:
                    await asyncio.to_thread(self._remove, self.folder_of(export))
                    await self._tell(tenant, export, audit.ExpireExport(tenant, export, Code("time")))
                    self._written.labels("expired").inc()
                except (NotReady, QueueFull):
                    break

    async def _tell(self, tenant: TenantId, export: str, command: Command) -> None:
        """Under the node's own name."""
        node = self._node
        query = Query((f"export:{export}",), (audit.ExportRequested.__name__,))
        (asked, *_) = await asyncio.to_thread(node.history.entries, tenant, query, 1) or (None,)
        decision = id_from("dec", node.clock(), os.urandom(10))
        authority = Authority("audit:read", decision, ("system",), node.feed.head(tenant))
        by = Caller(
            tenant,
            Actor("system", "exports"),
            authority,
            asked.meta.correlation_id if asked else id_from("cor", node.clock(), os.urandom(10)),
            causation_id=asked.meta.event_id if asked else None,
        )
        with contextlib.suppress(Refused):
            await node.ledger.execute(command, by)
