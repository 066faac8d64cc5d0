"""What a node asks of its log, whether it is the embedded one or Kafka."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from domain.event import Sealed
from domain.ids import Handle, TenantId
from domain.ledger import Caller, History, Ledger, NewKeys


class LedgerHere(Ledger, Protocol):
    """A ledger that also records what was refused before it was decided."""

    async def refuse(self, name: str, by: Caller, reason: str, *, keys: NewKeys | None = None) -> None: ...

    async def summarise(self) -> None: ...


class Keys(Protocol):
    """The keyring, as requests use it."""

    @property
    def epoch(self) -> int: ...

    def seal(self, keys: NewKeys, tenant: TenantId, subject: str, field: str, value: str) -> Sealed: ...

    def unseal(self, tenant: TenantId, field: str, sealed: Sealed) -> str | None: ...

    def handle(self, keys: NewKeys, tenant: TenantId, attribute: str, value: str) -> Handle: ...

    def find_handle(self, tenant: TenantId, attribute: str, value: str) -> Handle | None: ...

    def blind(self, keys: NewKeys, tenant: TenantId, purpose: str, value: str) -> str: ...

    def new_subject(self, keys: NewKeys, tenant: TenantId, subject: str) -> None: ...


class LogSide(Protocol):
    """Lives on the node's event loop."""

    @property
    def keyring(self) -> Keys: ...

    @property
    def history(self) -> History: ...

    @property
    def evidence(self) -> Any: ...

    @property
    def ledger(self) -> LedgerHere: ...

    @property
    def path(self) -> Path:
        """What the projector reads: the log, or the folder of the partitions' indexes."""
        ...

    def partition_of(self, tenant: str) -> int:
        """Where a tenant is."""
        ...

    @property
    def sequences(self) -> Mapping[int, int]:
        """Where each partition ends."""
        ...

    @property
    def not_ready(self) -> str | None:
        """Why commands are not taken, if they aren't."""
        ...

    async def start(self) -> None:
        """Returns once everything that was recorded can be read."""
        ...

    async def join(self, pace: Callable[[int], float]) -> None:
        """Take commands from now on; `pace` says how long a partition's writer is to wait for the views."""
        ...

    async def stop(self) -> None: ...

    def decides(self, tenant: TenantId) -> bool:
        """Whether a tenant's commands are decided by this node."""
        ...

    async def reach(self, tenant: TenantId) -> None:
        """Until this node has read all that was acknowledged by any. Raises NotReady."""
        ...

    async def destroy_purposes(self, first: str, before: str) -> None:
        """Destroy the keys of all purposes from `first` on, in order, up to `before`."""
        ...

    async def wipe(self, tenant: TenantId, position: int) -> bool:
        """Whether no copy is left, on this node or any other, of keys destroyed up to a position."""
        ...

    def checkpoint_log(self) -> Any:
        """The deployment's log of checkpoints: see adapters.evidence.log.DeploymentLog. The caller closes it."""
        ...

    def sample(self) -> str | None:
        """Compare a stretch of the log with what this node keeps of it; what is wrong, if anything. Blocks.

        Where what is kept is the log, there is nothing to compare.
        """
        ...

    def copy_log(self, into: Path) -> None:
        """The files of a backup, in an empty folder. Raises NotBackedUp."""
        ...


class NotBackedUp(Exception):
    """This log is not backed up by its nodes; the message says how it is."""
