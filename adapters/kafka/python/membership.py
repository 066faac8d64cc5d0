"""A member of a consumer group by kafka-python, which fetches nothing.

The library calls back on its own network thread, where a slow answer would stop the heartbeats. So it is called on a
thread of ours, its network thread waits without blocking, and the thread that polls does what it was called back for.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError
from kafka.future import Future
from kafka.structs import MemberState

from adapters.kafka.client import Callbacks, Unavailable
from adapters.kafka.python.calling import Caller
from adapters.kafka.python.connecting import REQUEST, build, unavailable

_REBALANCE = 10.0
"""Seconds that the group waits in a rebalance for a member that lives but doesn't poll; or a session, if longer."""
_LEAVING = 1.0
_SETTINGS: Mapping[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "latest",
    "request_timeout_ms": int(REQUEST * 1000),
    "retry_backoff_ms": 50,
    "metrics_enabled": False,
}


class PythonMembership:
    """Joins at its first poll."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        group: str,
        topic: str,
        client_id: str,
        session_timeout: float,
        callbacks: Callbacks,
    ) -> None:
        self._topic = topic
        self._callbacks = callbacks
        self._session = session_timeout
        self._patience = max(session_timeout, _REBALANCE)
        self._assignor = CooperativeStickyAssignor()
        self._config = {
            **connection,
            **_SETTINGS,
            "group_id": group,
            "client_id": client_id,
            "session_timeout_ms": int(session_timeout * 1000),
            "heartbeat_interval_ms": int(min(0.5, session_timeout / 6) * 1000),
            "max_poll_interval_ms": int(self._patience * 1000),
            "partition_assignment_strategy": [self._assignor],
        }
        self._consumer: Any = None
        self._caller: Caller | None = None
        self._generation = -1
        self._held: frozenset[int] = frozenset()
        self._sure = 0.0

    @property
    def generation(self) -> int:
        return self._generation

    def poll(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        caller = self._caller or self._join(timeout)
        left = max(0.0, deadline - time.monotonic())
        if self._consumer.group_metadata().state == MemberState.REBALANCING:
            # The library can forget why it joins anew, and then it would never look at the answer.
            self._consumer._coordinator.request_rejoin()
        try:
            caller.run(lambda: self._consumer.poll(timeout_ms=int(left * 1000)))
        except KafkaError as error:
            raise unavailable("the group of nodes", error) from error
        self._look()

    def _join(self, timeout: float) -> Caller:
        self._consumer, _ = build(KafkaConsumer, self._config, max(timeout, 1.0), "the group of nodes")
        self._caller = Caller()
        self._consumer.subscribe([self._topic], listener=_Listener(self, self._consumer, self._caller))
        self._sure = time.monotonic()
        return self._caller

    def _look(self) -> None:
        """Whether the group still counts on us: without heartbeats it doesn't, and the library goes on as if it did."""
        coordinator, now = self._consumer._coordinator, time.monotonic()
        membership = self._consumer.group_metadata()
        if membership.generation_id >= 0:
            self._generation = membership.generation_id
        stable = membership.state == MemberState.STABLE
        if stable and not coordinator.heartbeat.session_timeout_expired():
            self._sure = now
            return
        limit = self._session if stable else self._patience + self._session
        if now - self._sure > limit:
            if self._held:
                coordinator.reset_generation(membership.member_id)  # and so it joins anew
                self.lose(self._held)
            elif now - self._sure > limit + _REBALANCE:
                raise Unavailable("Kafka is not available for the group of nodes: its coordinator doesn't answer.")

    def take(self, partitions: frozenset[int]) -> None:
        if self._consumer is None:
            return
        self._generation = self._consumer.group_metadata().generation_id
        self._held |= partitions
        self._callbacks.assigned(partitions, self._generation)

    def give(self, partitions: frozenset[int]) -> None:
        if partitions := partitions & self._held:
            self._held -= partitions
            self._callbacks.revoked(partitions)

    def lose(self, partitions: frozenset[int]) -> None:
        self._assignor.member_assignment = None  # else it would claim them when it joins again
        if partitions := partitions & self._held:
            self._held -= partitions
            self._callbacks.lost(partitions)

    def close(self) -> None:
        consumer, caller = self._consumer, self._caller
        self._consumer = self._caller = None
        self._held = frozenset()
        self._callbacks = Callbacks(lambda *_: None, lambda _: None, lambda _: None)
        if caller is not None:
            with contextlib.suppress(Exception):
                caller.run(lambda: consumer.close(autocommit=False, timeout_ms=int(_LEAVING * 1000)))
            caller.end()


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Called on the library's network thread, which goes on meanwhile."""

    def __init__(self, membership: PythonMembership, consumer: Any, caller: Caller) -> None:
        self._membership = membership
        self._consumer = consumer
        self._caller = caller

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        for partition in assigned:
            # So that it is never asked where to begin, and never fetched.
            self._consumer.pause(partition)
            self._consumer.seek(partition, 0)
        await self._handled(self._membership.take, assigned)

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        await self._handled(self._membership.give, revoked)

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        await self._handled(self._membership.lose, lost)

    async def _handled(self, how: Callable[[frozenset[int]], None], partitions: Iterable[Any]) -> None:
        numbers = frozenset(partition.partition for partition in partitions)
        done, network = Future(), self._consumer._net
        self._caller.wish(lambda: how(numbers), lambda: network.call_soon_threadsafe(lambda: done.success(None)))
        await done
