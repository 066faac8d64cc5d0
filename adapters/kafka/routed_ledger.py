"""The ledger of a node among others: each command goes to the owner of its tenant's partition, here or elsewhere."""

import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from adapters.kafka.client import Unavailable
from adapters.kafka.messages import Asked, NotUnderstood, decode_said, encode_asked
from adapters.kafka.owner import UNKNOWN, Moved, Ownership
from adapters.kafka.partition import Partition
from adapters.kafka.peers import NoAnswer, Peers, Unreachable
from adapters.local_ledger import LocalLedger
from domain.boundary import Expectation
from domain.command import Command, NotPermitted
from domain.ledger import Caller, NewKeys, NotReady, Outcome, Work

EXECUTE: Final = "/internal/execute"
DEADLINE: Final = 20.0
"""Seconds in which an owner must be found."""
LOOK_AGAIN: Final = 0.1


class OwnedSequencer:
    """See domain.ledger.Sequencer: that of the partition, if this node owns it. Raises Moved too."""

    def __init__(self, owner_of: Callable[[str], Ownership]) -> None:
        self._owner_of = owner_of

    async def execute(self, work: Work) -> Outcome:
        return await self._owner_of(work.tenant).execute(work)


class RoutedLedger:
    """See domain.ledger.Ledger. What it returns is in this node's index, whoever decided it."""

    def __init__(
        self, owner_of: Callable[[str], Ownership], clock: Callable[[], int], address: str, peers: Peers
    ) -> None:
        self.local = LocalLedger(OwnedSequencer(owner_of), clock)
        """Decides here, or raises Moved."""
        self._owner_of = owner_of
        self._address = address
        self._peers = peers
        self.forwarded = 0

    async def execute(
        self, command: Command, by: Caller, *, expects: Iterable[Expectation] = (), keys: NewKeys | None = None
    ) -> Outcome:
        asked = Asked(type(command).__name__, command, by, tuple(expects), keys, None)
        return await self._at_the_owner(
            asked, lambda: self.local.execute(command, by, expects=asked.expects, keys=keys)
        )

    async def refuse(self, name: str, by: Caller, reason: str, *, keys: NewKeys | None = None) -> None:
        """See LocalLedger."""

        async def here() -> Outcome:
            await self.local.refuse(name, by, reason, keys=keys)
            raise AssertionError("a refusal raises")

        await self._at_the_owner(Asked(name, None, by, (), keys, reason), here)
        raise NotPermitted(reason)

    async def summarise(self) -> None:
        """See LocalLedger; what another owner counts is theirs to sum up."""
        try:
            await self.local.summarise()
        except Moved:
            return

    async def _at_the_owner(self, asked: Asked, here: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Decide there, wherever that is; asked again when it moves."""
        tenant, deadline = asked.by.tenant, time.monotonic() + DEADLINE
        owner = self._owner_of(tenant)
        while True:
            try:
                if owner.is_ours:
                    return await here()
                address = owner.partition.owner.address
                if address and address != self._address:
                    outcome = await self._forward(address, asked, deadline - time.monotonic())
                    await _has_read(owner.partition, outcome)
                    return outcome
            except (Moved, Unreachable):
                pass
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotReady("no node owns the tenant's part of the ledger now: try again in a moment")
            await wait_for_another(owner.partition, owner, min(left, LOOK_AGAIN))

    async def _forward(self, address: str, asked: Asked, timeout: float) -> Outcome:
        self.forwarded += 1
        try:
            response = await self._peers.ask(address, "POST", EXECUTE, encode_asked(asked), max(1.0, timeout))
        except NoAnswer as problem:
            raise NotReady(UNKNOWN) from problem
        if response.status_code != 200:
            raise NotReady(UNKNOWN)
        try:
            return decode_said(asked.by.tenant, response.content)
        except NotUnderstood as problem:
            raise NotReady("the nodes of the deployment don't understand each other: run one version") from problem


async def _has_read(partition: Partition, outcome: Outcome) -> None:
    """Until this node's index shows what was decided elsewhere: who asked may look at once."""

    def read() -> bool:
        return partition.history.head(outcome.tenant)[0] >= outcome.position

    try:
        await partition.until(read, DEADLINE, "the command was recorded, but this node has not read it yet")
    except Unavailable as problem:
        raise NotReady(str(problem)) from problem


async def wait_for_another(partition: Partition, owner: Ownership, timeout: float) -> None:
    """Until somebody else takes the partition over, or this node does, or so many seconds."""
    before = partition.owner
    with contextlib.suppress(Unavailable):
        await partition.until(lambda: partition.owner != before or owner.is_ours, timeout, "")
