"""A deployment's log with a key of its own, over made-up histories."""

from collections.abc import Iterable
from pathlib import Path

from adapters.evidence.counts import Counts
from adapters.evidence.log import DeploymentLog, EmbeddedLog
from adapters.evidence.making import Made, Maker
from adapters.evidence.signing import new_private, public_of, signer
from domain.evidence.checkpoints import Checkpoint
from domain.evidence.notes import ED25519, Note, PublicKey, sign
from domain.evidence.tree import Frontier, leaf_hash
from tests.adapters.evidence.histories import MadeHistory

ORIGIN = "tests.example/log"


class Office:
    """Makes checkpoints as a node does, without one."""

    def __init__(self, folder: Path, log: DeploymentLog | None = None) -> None:
        self.folder = folder
        self.history = MadeHistory()
        self.log = log or EmbeddedLog(folder / "checkpoints.db")
        self.counts = Counts(folder / "counts.db", self.history.stored)
        self._private = new_private()
        self.key = PublicKey(ORIGIN, ED25519, public_of(self._private))
        self.maker = Maker(self.log, self.counts, self.frontier)
        self.known: dict[str, tuple[int, bytes]] = {}
        """What the index says of tenants' trees, if not what follows from their histories."""
        self._clock = 1_700_000_000_000_000

    def frontier(self, tenant: str) -> tuple[int, bytes]:
        tree = Frontier()
        for stored in self.history.events.get(tenant, []):
            tree.append(leaf_hash(stored))
        return tree.size, tree.pack()

    def note(self, size: int, root: bytes) -> Note:
        text = Checkpoint(ORIGIN, size, root).text
        return Note(text, (sign(text, self.key, signer(self._private)),))

    def make(self, changed: Iterable[str]) -> Made:
        self._clock += 1_000_000
        return self.maker.make(changed, self.note, self._clock)

    def grow(self, **events: int) -> Made:
        """Each tenant by so many events, and a checkpoint."""
        for tenant, count in events.items():
            self.history.grow(tenant, count)
        return self.make(events)

    def close(self) -> None:
        self.counts.close()
        self.log.close()
