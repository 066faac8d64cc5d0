"""A member of a consumer group by librdkafka, which fetches nothing."""

import contextlib
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from adapters.kafka.client import Callbacks, Unavailable
from adapters.kafka.librdkafka.connecting import Outage, made, unavailable

_REBALANCE = 10.0
"""Seconds that the group waits in a rebalance for a member that lives but doesn't poll; or a session, if longer."""
_LEAVING = 1.0
_SETTINGS: Mapping[str, Any] = {
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "latest",
    "allow.auto.create.topics": False,
    # Between being told a partition and pausing it a little may be fetched.
    "queued.min.messages": 1,
    "queued.max.messages.kbytes": 1,
    "max.partition.fetch.bytes": 1,
}
_PREFIX = b"CGMDv2:"
"""What rd_kafka_consumer_group_metadata_write() puts before the generation, an int32 of the machine."""
_TRANSIENT = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._MAX_POLL_EXCEEDED)


class LibrdkafkaMembership:
    """Joins at its first poll. The library sends heartbeats, and takes what it holds for lost if none is answered."""

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
        self._patience = max(session_timeout, _REBALANCE)
        self._config = {
            **connection,
            **_SETTINGS,
            "group.id": group,
            "client.id": client_id,
            "session.timeout.ms": int(session_timeout * 1000),
            "heartbeat.interval.ms": int(min(0.5, session_timeout / 6) * 1000),
            "max.poll.interval.ms": int(self._patience * 1000),
        }
        self._consumer: Consumer | None = None
        self._outage = Outage()
        self._generation = -1
        self._held: frozenset[int] = frozenset()
        self._alone_since = 0.0

    @property
    def generation(self) -> int:
        return self._generation

    def poll(self, timeout: float) -> None:
        consumer = self._joined()
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = consumer.poll(max(0.0, deadline - time.monotonic()))
            except KafkaException as error:
                raise unavailable("the group of nodes", error) from error
            told = None if message is None else message.error()
            if told is not None and told.code() not in _TRANSIENT:
                raise unavailable("the group of nodes", KafkaException(told))
            if time.monotonic() >= deadline:
                break
        self._look(consumer, timeout)

    def _joined(self) -> Consumer:
        if self._consumer is None:
            config = {**self._config, "error_cb": self._outage.hear}
            self._consumer = made(Consumer, config, "the group of nodes")
            self._consumer.subscribe([self._topic], on_assign=self._take, on_revoke=self._give, on_lost=self._lose)
        return self._consumer

    def _look(self, consumer: Consumer, timeout: float) -> None:
        """Raises Unavailable if there is no group to speak of, and no broker either."""
        now = time.monotonic()
        if (generation := _generation(consumer)) >= 0:
            self._generation = generation
            self._outage.words, self._alone_since = "", 0.0
        elif self._outage.words:
            self._alone_since = self._alone_since or now - timeout
            if self._generation < 0 or now - self._alone_since > self._patience:
                raise Unavailable(f"Kafka is not available for the group of nodes ({self._outage.words}).")

    def _take(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            each.offset = 0  # so that it is never asked where to begin
        consumer.incremental_assign(partitions)
        if partitions:
            consumer.pause(partitions)
            self._generation = _generation(consumer)
            self._held |= _numbers(partitions)
            self._callbacks.assigned(_numbers(partitions), self._generation)

    def _give(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        if numbers := _numbers(partitions) & self._held:
            self._held -= numbers
            self._callbacks.revoked(numbers)

    def _lose(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        if numbers := _numbers(partitions) & self._held:
            self._held -= numbers
            self._callbacks.lost(numbers)

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._held = frozenset()
        self._callbacks = Callbacks(lambda *_: None, lambda _: None, lambda _: None)
        if consumer is not None:
            # It may wait for an answer to what it asked before, when others hold up a rebalance.
            leaving = threading.Thread(target=_leave, args=[consumer], name="kafka-leave", daemon=True)
            leaving.start()
            leaving.join(_LEAVING)


def _leave(consumer: Consumer) -> None:
    with contextlib.suppress(Exception):
        consumer.close()


def _numbers(partitions: Iterable[TopicPartition]) -> frozenset[int]:
    return frozenset(each.partition for each in partitions)


def _generation(consumer: Consumer) -> int:
    """-1 while it is in no group. The library shows it only within what it means for its own producers."""
    metadata: bytes = consumer.consumer_group_metadata()
    if not metadata.startswith(_PREFIX):
        raise RuntimeError("this version of librdkafka writes a group's metadata in a way that is not known here")
    generation: int = struct.unpack_from("=i", metadata, len(_PREFIX))[0]
    return generation
