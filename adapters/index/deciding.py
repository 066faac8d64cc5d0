"""Deciding: one command against everything that was decided before it, the batch so far included."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from adapters.avro.codec import Body, encode_own, encode_shared, encode_tags, frame, must_fit
from adapters.fresh_ids import new_event_id
from adapters.index.batch import Batch
from adapters.index.index import Index
from adapters.index.outcomes import DAY, First, Outcomes, hash_of
from adapters.index.states import TenantState
from adapters.index.tags import tag_key
from adapters.index.waiting import Waiting
from adapters.keyring import LOOKUP, Keyring, is_purpose
from domain.boundary import Boundary, Item, Tally
from domain.command import Known
from domain.directory.life import SubjectErased
from domain.event import MOST_TAGS, Event, Instant, Recorded
from domain.evidence.tree import leaf_hash
from domain.ids import Handle, TenantId
from domain.ledger import AuthorityChanged, Idempotency, KeyReused, NewKeys, NotReady, Outcome, VersionChanged, Work

MOST_TALLIES: Final = 1_000
MOST_STEPS: Final = 8
"""How often a command may name more of its boundary after seeing some of it."""


class BatchBroken(Exception):
    """A command failed after it had begun to change the batch, so nothing of the batch can be used."""


class Elsewhere(Protocol):
    """The histories of tenants that other partitions hold, as far as this node has read them."""

    def holds(self, tenant: TenantId) -> bool:
        """Whether a tenant is one of them."""
        ...

    def latest(self, tenant: TenantId, tags: tuple[str, ...], types: Sequence[str]) -> Sequence[Recorded]:
        """The latest event of each type with the first tag, oldest first."""
        ...

    def grew(self, tenant: TenantId, item: Item, after: int) -> bool:
        """Whether an event that the item names lies beyond a position."""
        ...

    def head(self, tenant: TenantId) -> int: ...


class Decisions:
    """Decides for the sequencer, and puts what follows into its batch."""

    def __init__(
        self,
        index: Index,
        outcomes: Outcomes,
        keyring: Keyring,
        clock: Callable[[], int],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._index = index
        self._elsewhere = elsewhere
        self._keyring = keyring
        self._clock = clock
        self._batch = Batch(0)
        self._outcomes = outcomes
        self._tallies: OrderedDict[tuple[TenantId, str, str], tuple[Any, int]] = OrderedDict()

    def begin(self, batch: Batch) -> None:
        """A batch to fill, while the one before is being committed."""
        self._batch = batch
        self._index.begin(batch)

    def decide_all(self, waiting: list[Waiting]) -> None:
        """Decide these too. Each stands alone: one that raises is answered so. Raises BatchBroken or sqlite3.Error."""
        with self._index.reading():
            answers = self._batch.answers
            for each in waiting:
                try:
                    answers.append((each, self.decide(each.work)))
                except (sqlite3.Error, BatchBroken):
                    raise
                except Exception as problem:
                    answers.append((each, problem))

    @property
    def is_full(self) -> bool:
        """Whether the caches have to be shrunk once nothing is under way."""
        return self._index.is_full

    def shrink(self) -> None:
        with self._index.reading():
            self._index.shrink()

    def forget(self) -> None:
        """After a failed commit: what was decided since is as if it had never been asked."""
        self._batch = Batch(0)
        self._index.forget()
        self._tallies.clear()
        self._outcomes.forget_uncommitted()
        self._keyring.stay()

    def came(self, batch: Batch) -> None:
        """After the commit."""
        self._outcomes.came(batch.rows[-1][5], batch.ends)

    def decide(self, work: Work) -> Outcome:
        """What becomes of a command. If it raises, it has left no trace."""
        tenant, idempotency = self._index.tenant(work.tenant), work.idempotency
        now, hash = Instant(max(self._clock(), tenant.instant)), 0
        if idempotency is not None:
            hash = hash_of(tenant.number, idempotency.key)
            first = self._outcomes.find(hash, tenant, idempotency.key)
            if first is not None and first.outcome.instant > now - DAY:
                return _again(first, idempotency)
        for held in work.holds:
            whose, there = held.item.tenant or work.tenant, self._elsewhere
            if there is not None and there.holds(whose):
                if there.grew(whose, held.item, held.after):
                    raise AuthorityChanged(whose, there.head(whose))
                continue
            state = self._index.tenant(whose)
            if self._index.grew(state, held.item, held.after):
                raise AuthorityChanged(whose, state.position)
        if work.keys is not None and self._keyring.is_over(work.tenant, work.keys):
            raise NotReady("what the command names was erased meanwhile: send it again")
        events = work.decide(self._known(tenant, work, now))
        if events:
            self._record(tenant, work, events, now)
        outcome = Outcome(work.tenant, tenant.position, now, tuple(events))
        if idempotency is not None and events:
            self._outcomes.note(hash, First(idempotency.body, outcome))
            self._batch.ends.append((hash, self._batch.last))
        return outcome

    def _known(self, tenant: TenantState, work: Work, now: Instant) -> Known:
        """All that the command must have seen. Raises VersionChanged."""
        known = work.begin(now)
        self._read(tenant, work.boundary, known)
        for _ in range(MOST_STEPS):
            more = work.then(known)
            if not more.items and not more.tallies:
                break
            self._read(tenant, more, known)
        for expected in work.expects:
            if self._index.grew(tenant, expected.item, expected.after):
                raise VersionChanged
        return known

    def _read(self, tenant: TenantState, boundary: Boundary, known: Known) -> None:
        """Shows `known` the latest events that the boundary names, in order."""
        index = self._index
        found: dict[int, Recorded] = {}
        for item in boundary.items:
            if item.tenant is None or item.tenant == tenant.tenant:
                for each in index.latest(tenant, item.tags[0], item.types):
                    found[each.position] = each
            elif (there := self._elsewhere) is not None and there.holds(item.tenant):
                names = [each if isinstance(each, str) else each.__name__ for each in item.types]
                for each in there.latest(item.tenant, item.tags, names):
                    known.evolve(each)
            else:
                self._read(index.tenant(item.tenant), Boundary((Item(item.tags, item.types),)), known)
        for position in sorted(found):
            known.evolve(found[position])
        for tally in boundary.tallies:
            known.tallies[tally.name] = self._tally(tenant, tally)

    def _tally(self, tenant: TenantState, tally: Tally) -> Any:
        key = (tenant.tenant, tally.tag, tally.name)
        state, position = self._tallies.pop(key) if key in self._tallies else (tally.begin(), 0)
        for recorded in self._index.tagged(tenant, tally.tag, tally.types, position):
            tally.evolve(state, recorded)
        self._tallies[key] = (state, tenant.position)
        if len(self._tallies) > MOST_TALLIES:
            self._tallies.popitem(last=False)
        return state

    def _record(self, tenant: TenantState, work: Work, events: list[Event], now: Instant) -> None:
        """Numbers the events and puts them into the batch. Encodes all first: if one can't be, none is recorded."""
        meta = work.meta
        shared = encode_shared(meta)
        encoded = []
        for event in events:
            tags = _tags(meta.tags, event)
            body = Body(shared, encode_own(event), encode_tags(tags))
            must_fit(event, body, len(tags))
            encoded.append((event, tags, body))
        command = f"command:{meta.command_id}"
        try:
            for place, (event, tags, body) in enumerate(encoded, 1):
                self._add(tenant, event, tags, body, command, place, now)
            if work.keys is not None and (work.keys.keys or work.keys.handles):
                self._keep(tenant.tenant, work.keys, shared + b"".join([each[2].own for each in encoded]))
        except Exception as problem:
            raise BatchBroken from problem
        self._batch.tenants[tenant.number] = tenant

    def _add(
        self, tenant: TenantState, event: Event, tags: list[str], body: Body, command: str, place: int, now: Instant
    ) -> None:
        batch, number = self._batch, self._index.type_number(event.type_name)
        position = tenant.position + 1
        recorded = Recorded(tenant.tenant, position, now, event)
        keys, nth = self._note(tenant, recorded, number, tags, command, place)
        event_id = new_event_id(now)
        stored, start = frame(type(event), position, now, nth, event_id, body)
        leaf = leaf_hash(stored)
        tenant.position, tenant.instant = position, now
        tenant.frontier.append(leaf)
        batch.leaves.append(leaf)
        batch.event_ids.append(event_id)
        sequence, owner = batch.first + len(batch.rows), tenant.number
        batch.rows.append(("event", sequence, owner, position, number, now, start, stored, b"".join(keys), str(nth)))
        batch.recorded[tenant.number, position] = recorded
        if type(event) is SubjectErased:
            batch.ring.destroy(tenant.tenant, event.user, event.handles)
            self._keyring.going(tenant.tenant, event.user, event.handles)

    def _note(
        self, tenant: TenantState, recorded: Recorded, number: int, tags: list[str], command: str, place: int
    ) -> tuple[list[bytes], list[int]]:
        """Notes the event under its tags; answers their keys, and the how-manieth with each it is."""
        states, keys, nth = tenant.tags, [], []
        for tag in tags:
            if tag == command:  # nobody has seen it before, and nobody's boundary names it
                keys.append(tag_key(tenant.key, tag))
                nth.append(place)
                continue
            state = states.get(tag) or self._index.tag(tenant, tag)
            state.count = count = state.count + 1
            state.latest[number] = recorded
            keys.append(state.key)
            nth.append(count)
        return keys, nth

    def _keep(self, tenant: TenantId, keys: NewKeys, recorded: bytes) -> None:
        """Bring into being those keys and handles that what was recorded names: a refusal names few."""
        handles = {handle: value for handle, value in keys.handles.items() if handle.encode() in recorded}
        used = {id: key for id, key in keys.keys.items() if _is_needed(id, key[0], handles, recorded)}
        self._keyring.bring(self._batch.ring, tenant, NewKeys(used, handles))


def _is_needed(id: str, subject: str, handles: dict[Handle, bytes], recorded: bytes) -> bool:
    """Sealed values name their key; of what was only hashed with one, nothing does, so a purpose's is always kept."""
    if subject == LOOKUP:
        return bool(handles)
    return is_purpose(subject) or id.encode() in recorded


def _again(first: First, retry: Idempotency) -> Outcome:
    """The first outcome, for a retry; raises KeyReused for anything else."""
    if first.body not in (retry.body, retry.body_before):
        raise KeyReused
    outcome = first.outcome
    return Outcome(outcome.tenant, outcome.position, outcome.instant, outcome.events, repeated=True)


def _tags(shared: tuple[str, ...], event: Event) -> list[str]:
    """The event's tags: those of its command, then those that follow from it; each once."""
    tags = list(dict.fromkeys((*shared, *event.subject_tags())))
    if len(tags) > MOST_TAGS:
        raise ValueError(f"{event.type_name} would carry {len(tags)} tags; at most {MOST_TAGS} are allowed")
    return tags
