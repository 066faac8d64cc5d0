"""Checkpoints of a node: made at an interval and on demand by who decides for the deployment, shown by every node."""

import asyncio
import base64
import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from prometheus_client import Gauge

from adapters.evidence import auditing
from adapters.evidence.buckets import CountsWrong
from adapters.evidence.counts import Counts, HistoryWrong
from adapters.evidence.log import DeploymentLog, MakeNote, NotNext
from adapters.evidence.making import LogReplaced, Made, Maker
from adapters.evidence.proving import NotCommitted, Proving, TooMany
from adapters.evidence.signing import new_private, public_of, signer, verifies
from adapters.evidence.trees import MEGABYTE, Trees, TreeShort, leaves_of
from api.http import problems
from api.operator_key import system
from api.witnessing import Witnessing
from domain.command import Refused
from domain.event import Code, Instant
from domain.evidence.checkpoints import Checkpoint
from domain.evidence.keys import (
    FIELD,
    CheckpointKey,
    CheckpointKeyAdded,
    CheckpointKeyRetired,
    RotateCheckpointKey,
    kept,
    note_key,
    sealed_again,
)
from domain.evidence.notes import ED25519, Note, PublicKey, Signs, sign
from domain.ids import DEPLOYMENT, CheckpointKeyId, TenantId, id_from
from domain.ledger import Caller, NewKeys, NotReady, Outcome, Query, QueueFull

if TYPE_CHECKING:
    from api.wiring import Node

T = TypeVar("T")

MOST_KEYS: Final = 10_000
RETRY: Final = 600.0
"""Seconds after which a tenant whose history was found wrong is looked at again."""
_UNREADY: Final = (NotReady, NotNext, QueueFull, Refused)


class Checkpointing:
    """Start and stop it with its node; `committed` is told of every commit."""

    def __init__(self, node: "Node", log: DeploymentLog) -> None:
        self._node = node
        self.log = log
        self.counts = Counts(node.folder.tag_counts, lambda *asked: node.history.stored(TenantId(asked[0]), *asked[1:]))
        most = node.configuration.trees_megabytes * MEGABYTE
        self._trees = Trees(leaves_of(lambda *asked: node.history.stored(TenantId(asked[0]), *asked[1:])), most)
        log_trees = Trees(log.book.leaves, max(MEGABYTE, most // 8))
        self.proving = Proving(node.history, self._trees, log.book, log_trees, self.counts)
        self._maker = Maker(log, self.counts, node.evidence.frontier)
        self.witnessing = Witnessing(node, log, self.proving.log_consistency)
        self._changed: set[TenantId] = set()
        self.wrong: dict[str, str] = {}
        """Tenants whose histories are not what was committed to, and how; no checkpoint covers what came since."""
        self._looked_at: dict[str, float] = {}
        self._signs: dict[str, Signs] = {}
        self._one_at_a_time = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._measure()

    async def start(self) -> None:
        """Finds what no checkpoint covers, and makes the first key where this node decides."""
        self._changed.update(await asyncio.to_thread(self._uncovered))
        if self._node.configuration.kafka is None:
            await self._ensure_key()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._repeat()), loop.create_task(self.witnessing.run())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.witnessing.close()
        await asyncio.to_thread(self.counts.close)

    def committed(self, heads: Mapping[TenantId, int]) -> None:
        self._changed.update(heads)

    def _uncovered(self) -> list[TenantId]:
        covered = self.log.book.sizes()
        history = self._node.history
        return [each for each in history.tenants() if history.head(each)[0] > covered.get(each, 0)]

    async def _repeat(self) -> None:
        every = self._node.configuration.checkpoint_seconds
        while every:
            await asyncio.sleep(every)
            try:
                if self._node.log.decides(DEPLOYMENT):
                    await self.make()
            except _UNREADY:
                continue
            except Exception as problem:
                structlog.get_logger().error("making a checkpoint failed", exc_info=problem)

    async def make(self, *, again: bool = False) -> Made:
        """A checkpoint now, if anything changed. `again` also looks at tenants that were found wrong before.

        Raises NotReady or NotNext.
        """
        if not self._node.log.decides(DEPLOYMENT):
            raise NotReady("another node makes checkpoints: ask again in a moment")
        async with self._one_at_a_time:
            try:
                return await self._make(again=again)
            except LogReplaced:
                structlog.get_logger().error(
                    "the deployment's log is older than what this node has put into it; it goes on under a new origin"
                )
                await asyncio.to_thread(self.log.begin_anew)
                await asyncio.to_thread(self._count_anew)
                return await self._make(again=again)

    async def _make(self, *, again: bool) -> Made:
        await asyncio.to_thread(self.log.prepare)
        origin = await self._ensure_key()
        now = self._node.clock()
        taken, self._changed = self._changed, set()
        waiting = {each for each in taken if not again and now / 1e6 - self._looked_at.get(each, 0.0) < RETRY}
        if again:
            taken.update(TenantId(each) for each in self.wrong)
        try:
            made = await asyncio.to_thread(
                self._maker.make, sorted(taken - waiting), self._note_maker(origin, now), now
            )
        except BaseException:
            self._changed |= taken
            raise
        self._changed |= waiting
        self._judge(taken - waiting, made.wrong, now / 1e6)
        if made.checkpoint is not None:
            self.witnessing.wake()
        return made

    def _judge(self, looked_at: Iterable[str], wrong: Mapping[str, str], now: float) -> None:
        for tenant in looked_at:
            self.wrong.pop(tenant, None)
            self._looked_at.pop(tenant, None)
        for tenant, problem in wrong.items():
            self.wrong[tenant], self._looked_at[tenant] = problem, now
            self._changed.add(TenantId(tenant))
            structlog.get_logger().error("a history is not what it was", tenant=tenant, problem=problem)

    def _count_anew(self) -> None:
        for tenant in self._node.history.tenants():
            self.counts.forget(tenant)

    def known_keys(self) -> list[CheckpointKey]:
        """All there ever were, oldest first."""
        found: dict[str, CheckpointKey] = {}
        types = (CheckpointKeyAdded.__name__, CheckpointKeyRetired.__name__)
        for recorded in self._node.history.recorded(DEPLOYMENT, Query(types=types), MOST_KEYS):
            note_key(found, recorded)
        return list(found.values())

    @property
    def origin(self) -> str | None:
        """Of the log as it goes on; None before its first writer."""
        id = self.log.book.id
        return None if id is None else f"{self._node.configuration.origin}/{id}"

    async def _ensure_key(self) -> str:
        """A key signs for the origin: the log's first, or the first since its origin changed. Returns the origin."""
        origin, now = self.origin, self._node.clock()
        if origin is None:
            raise NotReady("the deployment's log is not written yet")
        if not any(each.name == origin and each.signs_at(now) for each in self.known_keys()):
            by = system(self._node, "checkpoints")
            await self.rotate(origin, Instant(now), lambda command, keys: self._execute(command, by, keys))
        return origin

    async def _execute(self, command: RotateCheckpointKey, by: Caller, keys: NewKeys) -> Outcome:
        return await self._node.ledger.execute(command, by, keys=keys)

    async def rotate(
        self, origin: str, former_until: Instant, execute: Callable[[RotateCheckpointKey, NewKeys], Any]
    ) -> tuple[CheckpointKeyId, Outcome]:
        """A new key for an origin; those before it sign until then."""
        keyring, keys = self._node.keyring, NewKeys()
        key, private = CheckpointKeyId(id_from("cpk", self._node.clock(), os.urandom(10))), new_private()
        keyring.new_subject(keys, DEPLOYMENT, key)
        sealed = keyring.seal(keys, DEPLOYMENT, key, FIELD, base64.b64encode(private).decode())
        public = base64.b64encode(public_of(private)).decode()
        command = RotateCheckpointKey(key, Code(origin), Code(public), kept(sealed), former_until)
        return key, await execute(command, keys)

    def _note_maker(self, origin: str, now: int) -> MakeNote:
        signing = [(public_key(each), self._signs_of(each)) for each in self.known_keys() if _signs(each, origin, now)]

        def make(size: int, root: bytes) -> Note:
            text = Checkpoint(origin, size, root).text
            return Note(text, tuple(sign(text, key, signs) for key, signs in signing))

        return make

    def _signs_of(self, key: CheckpointKey) -> Signs:
        signs = self._signs.get(key.key)
        if signs is None:
            private = self._node.keyring.unseal(DEPLOYMENT, FIELD, sealed_again(key.private))
            if private is None:
                raise NotReady("a key that signs checkpoints is destroyed: rotate the keys")
            signs = self._signs[key.key] = signer(base64.b64decode(private))
        return signs

    async def ask(self, question: Callable[[Proving], T]) -> T:
        """What `question` makes of the proofs, on a thread. Raises Problem 404, 409, 422 or 503."""
        try:
            return await asyncio.to_thread(question, self.proving)
        except NotCommitted as problem:
            wait = f"checkpoints are made every {self._node.configuration.checkpoint_seconds} s"
            raise problems.conflict(f"{problem}: {wait}, or let an operator ask for one") from problem
        except TooMany as problem:
            raise problems.unprocessable(str(problem)) from problem
        except (TreeShort, CountsWrong, HistoryWrong) as problem:
            raise problems.unavailable(f"{problem}: ask again once the next checkpoint is made", 5) from problem

    async def bundle(self, tenant: TenantId, positions: Sequence[int]) -> bytes | None:
        """The bundle of these events, for what is written beside others' files.

        None if no checkpoint covers them, and this node can't make one that does.
        """
        for may_make in (True, False):
            try:
                return await asyncio.to_thread(self.proving.bundle, tenant, positions)
            except NotCommitted:
                if may_make:
                    with contextlib.suppress(*_UNREADY):
                        await self.make()
            except (TooMany, TreeShort):
                break
        return None

    def check_log(self) -> str | None:
        """What is wrong with the deployment's log, if anything is. Takes its time."""
        try:
            auditing.check_log(self.log.book, [public_key(each) for each in self.known_keys()], verifies)
        except auditing.LogWrong as problem:
            return f"the deployment's log: {problem}"
        return None

    def check_tenant(self, tenant: TenantId) -> str | None:
        """What is wrong with a tenant's history by all heads that were committed to. Takes its time."""
        return auditing.check_tenant(
            tenant,
            lambda *asked: self._node.history.stored(TenantId(asked[0]), *asked[1:]),
            self.log.book,
            self.counts,
            self._node.evidence.frontier,
            may_lag=self._node.configuration.kafka is not None,
        )

    def _measure(self) -> None:
        def measured(name: str, what: str, value: Callable[[], float]) -> None:
            Gauge(name, what, registry=self._node.metrics).set_function(value)

        measured("muniment_checkpoint_age_seconds", "Since the last checkpoint; 0 before the first.", self._age)
        measured("muniment_checkpoint_leaves", "Leaves of the log at its last checkpoint.", self._size)
        measured("muniment_checkpoint_waiting_tenants", "Changed since.", lambda: len(self._changed))
        measured("muniment_checkpoint_wrong_tenants", "Not what was committed to.", lambda: len(self.wrong))
        measured("muniment_checkpoint_behind_witnesses", "Without its newest.", lambda: self.witnessing.behind)
        measured("muniment_trees_bytes", "What trees of hashes take in memory.", lambda: self._trees.memory)

    def _age(self) -> float:
        last = self.log.book.last()
        return 0.0 if last is None else max(0.0, (self._node.clock() - last.instant) / 1e6)

    def _size(self) -> float:
        last = self.log.book.last()
        return 0.0 if last is None else float(last.size)


def public_key(key: CheckpointKey) -> PublicKey:
    """As notes are verified with it."""
    return PublicKey(key.name, ED25519, base64.b64decode(key.public))


def _signs(key: CheckpointKey, origin: str, now: int) -> bool:
    return key.name == origin and key.signs_at(now)
