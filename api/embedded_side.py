"""The embedded log as a node has it: one file, one partition, and this process its only writer."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from adapters.embedded.backup import copy_log
from adapters.embedded.log import embedded_sequencer
from adapters.embedded.tail import TailFile, remembered_in
from adapters.evidence.log import DeploymentLog, EmbeddedLog
from adapters.index.database import Database
from adapters.index.evidence import LogEvidence
from adapters.index.history import IndexHistory
from adapters.index.sequencer import Committed
from adapters.keyring import Keyring
from adapters.local_ledger import LocalLedger
from api.data_folder import DataFolder
from api.moved_folder import refuse_moved
from domain.ids import TenantId


class EmbeddedSide:
    """See api.log_side.LogSide."""

    def __init__(
        self,
        folder: DataFolder,
        root_key: bytes,
        clock: Callable[[], int],
        committed: Callable[[int, Committed], None],
        *,
        accept_gap: bool,
    ) -> None:
        self._folder = folder
        self._root_key = root_key
        self._clock = clock
        self._committed = committed
        self._accept_gap = accept_gap
        self._tail: TailFile | None = None
        self._joined = False

    async def start(self) -> None:
        refuse_moved(self._folder)
        database = self.database = Database(self._folder.ledger)
        shutil.rmtree(self._folder.unfinished_backup, ignore_errors=True)
        self.keyring = Keyring(database, self._root_key)
        self._tail = TailFile(self._folder.tail)
        self.history = IndexHistory(database)
        self.evidence = LogEvidence(database, remembered_in(self._folder.tail))
        self.sequencer = embedded_sequencer(
            database,
            self.keyring,
            self._tail,
            self._clock,
            lambda committed: self._committed(0, committed),
            accept_gap=self._accept_gap,
        )
        self.ledger = LocalLedger(self.sequencer, self._clock)

    async def join(self, pace: Callable[[int], float]) -> None:
        self.sequencer.pace = lambda: pace(0)
        self.sequencer.start()
        self._joined = True

    async def stop(self) -> None:
        if self._joined:
            await self.sequencer.stop()
        if self._tail is not None:
            self._tail.close()
        if hasattr(self, "database"):
            self.database.close()

    @property
    def path(self) -> Path:
        return self._folder.ledger

    def partition_of(self, tenant: str) -> int:
        return 0

    @property
    def sequences(self) -> Mapping[int, int]:
        return {0: self.sequencer.sequence}

    @property
    def not_ready(self) -> str | None:
        return self.sequencer.not_ready

    def decides(self, tenant: TenantId) -> bool:
        return True

    async def reach(self, tenant: TenantId) -> None:
        return

    async def destroy_purposes(self, first: str, before: str) -> None:
        if change := self.keyring.spent_purposes(first, before):
            await self.sequencer.change_ring(change)

    async def wipe(self, tenant: TenantId, position: int) -> bool:
        return await self.sequencer.exclusively(lambda _: self.database.truncate_wal())

    def checkpoint_log(self) -> DeploymentLog:
        return EmbeddedLog(self._folder.checkpoints)

    def sample(self) -> str | None:
        return None

    def copy_log(self, into: Path) -> None:
        copy_log(self._folder.ledger, into)
