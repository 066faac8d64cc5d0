"""The sequencer over the embedded log: decides one command after another and commits them by the batch."""

import asyncio
import hashlib
import secrets
import sqlite3
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from adapters.avro.codec import encode_own, encode_shared, frame, must_fit
from adapters.embedded.database import Database
from adapters.embedded.index import Index, Row, TenantState, name_of_type
from adapters.embedded.tail import LogShorter, TailFile
from adapters.fresh_ids import new_event_id
from adapters.keyring import LOOKUP, Keyring
from domain.boundary import Boundary, Expectation, Item, Tally
from domain.command import Known
from domain.directory.life import SubjectErased
from domain.event import MOST_TAGS, Event, Instant, Recorded
from domain.ids import TenantId
from domain.ledger import AuthorityChanged, KeyReused, NewKeys, NotReady, Outcome, QueueFull, VersionChanged, Work
from domain.tree import leaf_hash

MOST_WAITING: Final = 4096
MOST_IN_BATCH: Final = 256
MOST_EVENTS_IN_BATCH: Final = 20_000
DAY: Final = 86_400_000_000
MOST_TALLIES: Final = 1_000
MOST_BEHIND: Final = 5_000_000
"""A clock that is further behind the last stamped instant (microseconds) is not to be trusted."""


class Committed(NamedTuple):
    """What a commit brought: the last sequence, and the tenants' new heads."""

    sequence: int
    heads: dict[TenantId, int]


class _Waiting(NamedTuple):
    work: Work
    answer: "asyncio.Future[Outcome]"


class EmbeddedSequencer:
    """See domain.ledger.Sequencer. Decides on the event loop; commits, and only commits, on a thread."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        tail: TailFile | None,
        clock: Callable[[], int],
        committed: Callable[[Committed], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._connection = database.writer
        self._keyring = keyring
        self._tail = tail
        self._clock = clock
        self._committed = committed
        self._index = Index(self._connection)
        self._queues: OrderedDict[TenantId, deque[_Waiting]] = OrderedDict()
        self._count = 0
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "commit")
        self._tallies: OrderedDict[tuple[TenantId, str, str], list[Any]] = OrderedDict()
        self._outcomes: dict[tuple[int, bytes], tuple[bytes, Outcome]] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.not_ready: str | None = None
        """Why nothing is accepted, if nothing is."""
        self.sequence, self._chain = self._end_of_log()
        self._check_tail()

    @property
    def waiting(self) -> int:
        """How many commands wait."""
        return self._count

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Decide what has been accepted, then accept nothing more."""
        self._stopping = True
        self._wake.set()
        if self._task:
            await self._task
        self._thread.shutdown()

    async def execute(self, work: Work) -> Outcome:
        if self._stopping or self.not_ready:
            raise NotReady(self.not_ready or "the node is stopping; ask another, or again in a moment")
        if self._count >= MOST_WAITING:
            raise QueueFull
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        queue = self._queues.get(work.tenant)
        if queue is None:
            queue = self._queues[work.tenant] = deque()
        queue.append(_Waiting(work, answer))
        self._count += 1
        self._wake.set()
        return await answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self._stopping and not self._count):
            await self._wake.wait()
            self._wake.clear()
            while self._count:
                batch = self._take()
                answers = self._decide_all(batch)
                if answers is not None:
                    await self._commit(loop, answers)

    def _take(self) -> list[_Waiting]:
        """The next batch: one command of each waiting tenant in turn."""
        batch: list[_Waiting] = []
        while self._queues and len(batch) < MOST_IN_BATCH:
            tenant, queue = self._queues.popitem(last=False)
            batch.append(queue.popleft())
            if queue:
                self._queues[tenant] = queue
        self._count -= len(batch)
        return batch

    def _decide_all(self, batch: list[_Waiting]) -> "list[tuple[asyncio.Future[Outcome], Outcome | Exception]] | None":
        """Decides the batch inside a transaction that stays open; None if the transaction could not even begin."""
        self._heads: dict[TenantId, int] = {}
        self._leaves: list[bytes] = []
        self._stored: list[tuple[TenantId, NewKeys]] = []
        self._destroyed: list[tuple[TenantId, SubjectErased]] = []
        self._first = self.sequence + 1
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as problem:
            self._fail([each.answer for each in batch], problem)
            return None
        answers: list[tuple[asyncio.Future[Outcome], Outcome | Exception]] = []
        self._noted: list[tuple[int, bytes, bytes, int, int, int]] = []
        for place, (work, answer) in enumerate(batch):
            if len(self._leaves) > MOST_EVENTS_IN_BATCH:
                self._put_back(batch[place:])
                break
            try:
                answers.append((answer, self._decide(work)))
            except sqlite3.Error as problem:
                self._fail([each.answer for each in batch], problem)
                return None
            except Exception as problem:
                answers.append((answer, problem))
        return answers

    def _put_back(self, rest: list[_Waiting]) -> None:
        for waiting in reversed(rest):
            self._queues.setdefault(waiting.work.tenant, deque()).appendleft(waiting)
        self._count += len(rest)

    def _decide(self, work: Work) -> Outcome:
        tenant = self._index.tenant(work.tenant)
        if work.idempotency and (repeated := self._first_outcome(tenant, work)):
            return repeated
        now = self._now(tenant)
        for held in work.holds:
            whose = self._index.tenant(held.item.tenant) if held.item.tenant else tenant
            if self._index.grew(whose, held.item, held.after):
                raise AuthorityChanged(whose.tenant, whose.position)
        known = work.begin(now)
        self._read(tenant, work.boundary, known)
        for _ in range(8):
            more = work.then(known)
            if not more.items and not more.tallies:
                break
            self._read(tenant, more, known)
        self._check(tenant, work.expects)
        events = work.decide(known)
        if events:
            self._record(tenant, work, events, now)
        outcome = Outcome(work.tenant, tenant.position, now, tuple(events))
        if work.idempotency and events:
            key, body = work.idempotency.key, work.idempotency.body
            self._outcomes[tenant.number, key] = (body, outcome)
            self._noted.append((tenant.number, key, body, tenant.position, len(events), now))
        return outcome

    def _check(self, tenant: TenantState, expects: tuple[Expectation, ...]) -> None:
        for expected in expects:
            if self._index.grew(tenant, expected.item, expected.after):
                raise VersionChanged

    def _now(self, tenant: TenantState) -> Instant:
        clock = self._clock()
        if tenant.instant - clock > MOST_BEHIND:
            raise NotReady(
                f"the clock is {(tenant.instant - clock) // 1_000_000} s behind what is already recorded: set it right"
            )
        return Instant(max(clock, tenant.instant))

    def _first_outcome(self, tenant: TenantState, work: Work) -> Outcome | None:
        """What the same idempotency key led to within the last day."""
        if work.idempotency is None:
            return None
        key, body = work.idempotency.key, work.idempotency.body
        found = self._outcomes.get((tenant.number, key))
        if found is None:
            row = self._connection.execute(
                "SELECT body, position, count, instant FROM outcomes WHERE tenant = ? AND key = ?", (tenant.number, key)
            ).fetchone()
            if row is None or row[3] < self._clock() - DAY:
                return None
            first = row[1] - row[2] + 1
            events = tuple(self._index.event(tenant, position).event for position in range(first, row[1] + 1))
            found = row[0], Outcome(work.tenant, row[1], Instant(row[3]), events)
        if found[0] != body:
            raise KeyReused
        outcome = found[1]
        return Outcome(outcome.tenant, outcome.position, outcome.instant, outcome.events, repeated=True)

    def _read(self, tenant: TenantState, boundary: Boundary, known: Known) -> None:
        """Shows `known` the latest events that the boundary names, in order."""
        positions: set[int] = set()
        for item in boundary.items:
            if item.tenant is not None and item.tenant != tenant.tenant:
                self._read(self._index.tenant(item.tenant), Boundary((_own(item),)), known)
                continue
            latest = self._index.tag_state(tenant.tag(item.tags[0])).latest
            if latest:
                for each in item.types:
                    position = latest.get(self._index.type_number(name_of_type(each)))
                    if position is not None:
                        positions.add(position)
        for position in sorted(positions):
            known.evolve(self._index.event(tenant, position))
        for tally in boundary.tallies:
            known.tallies[tally.name] = self._tally(tenant, tally)

    def _tally(self, tenant: TenantState, tally: Tally) -> Any:
        key = (tenant.tenant, tally.tag, tally.name)
        kept = self._tallies.setdefault(key, [tally.begin(), 0])
        self._tallies.move_to_end(key)
        for recorded in self._index.tagged(tenant, tally.tag, tally.types, kept[1]):
            tally.evolve(kept[0], recorded)
        kept[1] = tenant.position
        if len(self._tallies) > MOST_TALLIES:
            self._tallies.popitem(last=False)
        return kept[0]

    def _record(self, tenant: TenantState, work: Work, events: list[Event], now: Instant) -> None:
        """Numbers the events and hands them to the index. Encodes all first: if one can't be, none is recorded."""
        meta = work.meta
        shared = encode_shared(meta)
        encoded = [(event, encode_own(event), _tags(meta.tags, event)) for event in events]
        for event, own, tags in encoded:
            must_fit(event, shared, own, tags)
        command = f"command:{meta.command_id}"
        index = self._index
        for place, (event, own, tags) in enumerate(encoded, 1):
            position = tenant.position + 1
            type_number = index.type_number(event.type_name)
            digests: list[tuple[bytes, int]] = []
            for tag in tags:
                digest = tenant.tag(tag)
                if tag == command:
                    digests.append((digest, place))
                    continue
                state = index.tag_state(digest)
                state.count += 1
                state.latest[type_number] = position
                digests.append((digest, state.count))
            nth = [each[1] for each in digests]
            stored, start = frame(type(event), position, now, nth, new_event_id(now), tags, shared, own)
            self.sequence += 1
            tenant.position, tenant.instant = position, now
            leaf = leaf_hash(stored)
            tenant.frontier.append(leaf)
            self._leaves.append(leaf)
            index.add(Row(self.sequence, tenant.number, position, type_number, now, start, stored), digests, tenant)
            index.remember(tenant.number, Recorded(tenant.tenant, position, now, event))
            if isinstance(event, SubjectErased):
                self._keyring.destroy(self._connection, tenant.tenant, event.user, event.handles)
                self._destroyed.append((tenant.tenant, event))
        if work.keys:
            self._store(tenant.tenant, work.keys, shared + b"".join(own for _, own, _ in encoded))
        self._heads[tenant.tenant] = tenant.position

    def _store(self, tenant: TenantId, keys: NewKeys, bytes_of_command: bytes) -> None:
        """Bring into being those keys and handles that what was recorded names: a refusal names few."""
        used = NewKeys(
            {id: key for id, key in keys.keys.items() if key[0] == LOOKUP or id.encode() in bytes_of_command},
            {handle: value for handle, value in keys.handles.items() if handle.encode() in bytes_of_command},
        )
        if not used.handles:
            used.keys = {id: key for id, key in used.keys.items() if key[0] != LOOKUP}
        self._keyring.store(self._connection, tenant, used)
        self._stored.append((tenant, used))

    async def _commit(
        self,
        loop: asyncio.AbstractEventLoop,
        answers: "list[tuple[asyncio.Future[Outcome], Outcome | Exception]]",
    ) -> None:
        try:
            if self._leaves:
                self._write_rest()
                await loop.run_in_executor(self._thread, self._make_durable, self._clock())
            else:
                self._connection.execute("COMMIT")
        except Exception as problem:
            self._fail([answer for answer, _ in answers], problem)
            return
        self._outcomes.clear()
        self._keyring.stored(self._stored)
        for tenant, erased in self._destroyed:
            self._keyring.evict(tenant, erased.user, erased.handles)
        for answer, outcome in answers:
            if answer.done():
                continue
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        if self._heads:
            self._committed(Committed(self.sequence, self._heads))

    def _write_rest(self) -> None:
        self._index.flush()
        self._index.write_tenants()
        if self._noted:
            self._connection.executemany("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", self._noted)
        chain = hashlib.sha256(self._chain)
        for leaf in self._leaves:
            chain.update(leaf)
        self._next_chain = chain.digest()
        self._connection.execute(
            "INSERT INTO commits VALUES (?, ?, ?, ?, ?)",
            (self._first, len(self._leaves), secrets.token_bytes(16), 1, self._next_chain),
        )

    def _make_durable(self, now: int) -> None:
        """On the commit thread: the log first, then the note of it; only then may anybody be answered."""
        self._connection.execute("COMMIT")
        self._chain = self._next_chain
        if self._tail:
            self._tail.note(self.sequence, now, self._chain)

    def _fail(self, answers: "list[asyncio.Future[Outcome]]", problem: Exception) -> None:
        """The batch left no trace: forget what was decided, and say so to everybody in it."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._index.forget()
        self._tallies.clear()
        self._outcomes.clear()
        self._keyring.forget()
        self.sequence, self._chain = self._end_of_log()
        full = isinstance(problem, sqlite3.OperationalError) and "full" in str(problem)
        why = "the disk is full: make room, and send the command again" if full else "the commit failed; try again"
        for answer in answers:
            if not answer.done():
                answer.set_exception(NotReady(why))

    def _end_of_log(self) -> tuple[int, bytes]:
        row = self._connection.execute(
            "SELECT first + count - 1, chain FROM commits ORDER BY first DESC LIMIT 1"
        ).fetchone()
        last = self._connection.execute("SELECT coalesce(max(sequence), 0) FROM events").fetchone()[0]
        if last != (row[0] if row else 0):
            raise LogShorter("the log's events and its commits disagree: restore the newest backup")
        return (row[0], row[1]) if row else (0, bytes(32))

    def _check_tail(self) -> None:
        """What the tail file remembers must be in the log. The log may be one commit ahead: not answered yet."""
        noted = self._tail.read() if self._tail else None
        if noted is None or noted.sequence == 0:
            return
        row = (
            self._connection.execute(
                "SELECT chain FROM commits WHERE first + count - 1 = ?", (noted.sequence,)
            ).fetchone()
            if noted.sequence <= self.sequence
            else None
        )
        if row is None or row[0] != noted.chain:
            raise LogShorter(
                f"the log ends at {self.sequence} or differs, but {noted.sequence} events were acknowledged: "
                "an older copy or a truncated file was put in its place; restore the newest backup, "
                "or put the newest ledger files back"
            )


def _own(item: Item) -> Item:
    return Item(item.tags, item.types)


def _tags(shared: tuple[str, ...], event: Event) -> list[str]:
    """The event's tags: those of its command, then those that follow from it; each once."""
    tags = list(dict.fromkeys((*shared, *event.subject_tags())))
    if len(tags) > MOST_TAGS:
        raise ValueError(f"{event.type_name} would carry {len(tags)} tags; at most {MOST_TAGS} are allowed")
    return tags
