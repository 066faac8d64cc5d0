"""One tenant's history as the `eventsourcing` library sees it: a thin `DCBRecorder`, for its tools and its test cases.

What it is given is opaque: a type, bytes and tags. It is stamped and framed like every event, as OpaqueRecorded.
"""

import asyncio
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from eventsourcing.dcb.api import (
    DCBAppendCondition,
    DCBEvent,
    DCBQuery,
    DCBQueryItem,
    DCBReadResponse,
    DCBRecorder,
    DCBSequencedEvent,
    DCBSubscription,
)
from eventsourcing.persistence import IntegrityError, OperationalError, ProgrammingError

from adapters.fresh_ids import new_id
from adapters.index.sequencer import Committed, PartitionSequencer
from domain.boundary import Boundary, Expectation, Item
from domain.command import Known
from domain.event import Code, Entry, Meta
from domain.ids import TenantId
from domain.ledger import History, NotReady, OpaqueRecorded, Outcome, Query, QueueFull, TooLarge, VersionChanged, Work

_PAGE: Final = 500


class OpaqueGiven(OpaqueRecorded):
    """An opaque event on its way to the log, with the tags it was given; these are all it has."""

    given: tuple[str, ...]

    def subject_tags(self) -> list[str]:
        return list(self.given)


class OwnHistory(History, Protocol):
    """A history that also gives events' own fields as they are stored."""

    def own(self, tenant: TenantId, position: int) -> bytes: ...


class TenantRecorder(DCBRecorder):
    """A handle on one tenant, for threads other than the event loop's."""

    def __init__(
        self, sequencer: PartitionSequencer, history: OwnHistory, loop: asyncio.AbstractEventLoop, tenant: TenantId
    ) -> None:
        self._sequencer = sequencer
        self._history = history
        self._loop = loop
        self.tenant = tenant
        self._grown = threading.Condition()
        sequencer.listeners.append(self._committed)

    def append(self, events: Sequence[DCBEvent], condition: DCBAppendCondition | None = None) -> int:
        if not events:
            raise ProgrammingError("there is nothing to append; give at least one event")
        given = [OpaqueGiven(Code(each.type), each.data, tuple(each.tags)) for each in events]
        work = Work(
            self.tenant,
            Boundary(),
            lambda _: Boundary(),
            Known,
            lambda _: list(given),
            _fresh_meta(),
            expects=tuple(_expectations(condition)),
        )
        future = asyncio.run_coroutine_threadsafe(self._sequencer.execute(work), self._loop)
        try:
            outcome: Outcome = future.result()
        except VersionChanged as problem:
            raise IntegrityError("events that match the condition have been recorded") from problem
        except (NotReady, QueueFull) as problem:
            raise OperationalError(str(problem) or "too much is waiting; try again in a second") from problem
        except (ValueError, TooLarge) as problem:
            raise ProgrammingError(str(problem)) from problem
        return outcome.position

    def read(
        self, query: DCBQuery | None = None, *, after: int | None = None, limit: int | None = None
    ) -> DCBReadResponse:
        head, _ = self._history.head(self.tenant)
        events = self.events(query, after or 0, head)
        if limit is None:
            return _Response(events, head or None)
        some = list(islice(events, limit))
        return _Response(iter(some), some[-1].position if some else None)

    def subscribe(
        self, query: DCBQuery | None = None, *, after: int | None = None
    ) -> DCBSubscription["TenantRecorder"]:
        return _Subscription(self, query, after)

    def events(self, query: DCBQuery | None, after: int, until: int) -> Iterator[DCBSequencedEvent]:
        """Those that match any item of the query, by position, read a page at a time."""
        queries = [_query(item) for item in query.items] if query and query.items else [Query()]
        while after < until:
            found: dict[int, Entry] = {}
            for each in queries:
                bounded = Query(each.tags, each.types, after, until)
                found.update({entry.position: entry for entry in self._history.entries(self.tenant, bounded, _PAGE)})
            page = sorted(found)[:_PAGE]
            for position in page:
                yield self._event(found[position])
            if len(page) < _PAGE:
                return
            after = page[-1]

    def _event(self, entry: Entry) -> DCBSequencedEvent:
        event = entry.event
        if isinstance(event, OpaqueRecorded):
            given = DCBEvent(event.type, event.data, list(entry.meta.tags))
        else:
            given = DCBEvent(event.type_name, self._history.own(self.tenant, entry.position), list(entry.meta.tags))
        return DCBSequencedEvent(given, entry.position)

    def wait(self, beyond: int, timeout: float) -> int:
        """The head, once it is beyond a position, or as it is after `timeout` seconds or a `wake`."""
        with self._grown:
            head = self._history.head(self.tenant)[0]
            if head <= beyond:
                self._grown.wait(timeout)
                head = self._history.head(self.tenant)[0]
            return head

    def wake(self) -> None:
        with self._grown:
            self._grown.notify_all()

    def _committed(self, committed: Committed) -> None:
        if self.tenant in committed.heads:
            self.wake()

    def close(self) -> None:
        self._sequencer.listeners.remove(self._committed)
        self.wake()


class _Response(DCBReadResponse):
    def __init__(self, events: Iterator[DCBSequencedEvent], head: int | None) -> None:
        self._events = events
        self._head = head

    @property
    def head(self) -> int | None:
        return self._head

    def __next__(self) -> DCBSequencedEvent:
        return next(self._events)


class _Subscription(DCBSubscription[TenantRecorder]):
    """Ends when it is stopped; until then it waits for what comes next."""

    def __init__(self, recorder: TenantRecorder, query: DCBQuery | None, after: int | None) -> None:
        super().__init__(recorder, query, after)
        self._seen = self._last_position
        self._events: Iterator[DCBSequencedEvent] = iter(())

    def stop(self) -> None:
        super().stop()
        self._recorder.wake()

    def __next__(self) -> DCBSequencedEvent:
        while not self._has_been_stopped:
            for event in self._events:
                self._last_position = event.position
                return event
            head = self._recorder.wait(self._seen, timeout=1.0)
            self._events = self._recorder.events(self._query, self._seen, head)
            self._seen = max(self._seen, head)
        raise StopIteration


def _query(item: DCBQueryItem) -> Query:
    return Query(tuple(item.tags), tuple(_names(item.types)))


def _expectations(condition: DCBAppendCondition | None) -> Iterator[Expectation]:
    if condition is None:
        return
    for item in condition.fail_if_events_match.items or [DCBQueryItem()]:
        yield Expectation(Item(tuple(item.tags), tuple(_names(item.types))), condition.after or 0)


def _names(types: Iterable[str]) -> Iterator[str]:
    """A type as it was given, and the same word as the name of an event of ours."""
    for each in types:
        yield "opaque:" + each
        yield each


def _fresh_meta() -> Meta:
    nobody: dict[str, Any] = dict.fromkeys(
        ("credential_id", "causation_id", "idempotency_key", "idempotency_body", "request", "request_address")
    )
    return Meta(
        event_id="",
        actor_kind="service",
        actor_id="recorder",
        on_behalf_of=(),
        authority_permission="",
        authority_decision="",
        authority_policies=(),
        authority_position=0,
        command_id=new_id("cmd"),
        correlation_id=new_id("cor"),
        tags=(),
        **nobody,
    )
