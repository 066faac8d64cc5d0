"""Asking witnesses to cosign: each newest checkpoint, beside the making of the next, which never waits for it."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from adapters.evidence.log import DeploymentLog, Kept
from adapters.evidence.witnesses import LogForked, WitnessClient, WitnessFailed, http_client, objection
from domain.evidence.notes import NoteWrong, parse_note
from domain.evidence.witnesses import Witness, WitnessAdded, WitnessRemoved, note_witness
from domain.ids import DEPLOYMENT
from domain.ledger import NotReady, Query

if TYPE_CHECKING:
    from api.wiring import Node

AGAIN: Final = 15.0
"""Seconds after which who has not signed is asked again."""
_MOST_EVENTS: Final = 10_000


class Standing(NamedTuple):
    """How a witness stands: the last checkpoint that it cosigned here, and what went wrong since, if anything did."""

    checkpoint: int = 0
    problem: str | None = None


class Witnessing:
    """Where this node decides for the deployment."""

    def __init__(self, node: "Node", log: DeploymentLog, consistency: Callable[[int, int], Sequence[bytes]]) -> None:
        self._node = node
        self._log = log
        self._consistency = consistency
        self._http = http_client()
        self._clients: dict[tuple[str, str, str], WitnessClient] = {}
        self._woken = asyncio.Event()
        self.standing: dict[str, Standing] = {}

    def objection(self, url: str) -> str | None:
        """Why a URL can't be a witness's."""
        return objection(url)

    def wake(self) -> None:
        """There is something to cosign, or somebody to do it."""
        self._woken.set()

    async def close(self) -> None:
        await self._http.aclose()

    def witnesses(self) -> list[Witness]:
        """All there ever were, oldest first."""
        found: dict[str, Witness] = {}
        types = (WitnessAdded.__name__, WitnessRemoved.__name__)
        for recorded in self._node.history.recorded(DEPLOYMENT, Query(types=types), _MOST_EVENTS):
            note_witness(found, recorded)
        return list(found.values())

    @property
    def behind(self) -> int:
        """How many witnesses have not cosigned what they were asked last."""
        return sum(1 for each in self.standing.values() if each.problem is not None)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), AGAIN)
            self._woken.clear()
            try:
                if self._node.log.decides(DEPLOYMENT):
                    await self._ask_all()
            except NotReady:
                continue
            except Exception as problem:
                structlog.get_logger().error("asking witnesses failed", exc_info=problem)

    async def _ask_all(self) -> None:
        asked = [each for each in self.witnesses() if each.active]
        for gone in self.standing.keys() - {each.witness for each in asked}:
            del self.standing[gone]
        if not asked or (last := self._log.book.last()) is None:
            return
        await asyncio.gather(*(self._ask(each, last) for each in asked))

    async def _ask(self, witness: Witness, checkpoint: Kept) -> None:
        name = (witness.witness, witness.url, witness.vkey)
        try:
            client = self._clients.get(name)
            if client is None:
                client = self._clients[name] = WitnessClient(witness.url, witness.vkey, self._http)
            if not _has_signed(client, checkpoint):
                signatures = await client.cosign(checkpoint, self._consistency)
                await asyncio.to_thread(self._log.cosign, checkpoint.number, signatures)
            self.standing[witness.witness] = Standing(checkpoint.number)
        except (WitnessFailed, NoteWrong) as problem:
            before = self.standing.get(witness.witness, Standing())
            self.standing[witness.witness] = Standing(before.checkpoint, str(problem))
            if before.problem != str(problem):
                tell = (
                    structlog.get_logger().error if isinstance(problem, LogForked) else structlog.get_logger().warning
                )
                tell("a witness did not cosign", witness=witness.witness, problem=str(problem))


def _has_signed(client: WitnessClient, checkpoint: Kept) -> bool:
    signatures = parse_note(checkpoint.note.encode()).signatures
    return any((each.name, each.id) == (client.key.name, client.key.id) for each in signatures)
