"""A consumer of librdkafka that joins no group and reads what was committed, or all, from where it is told."""

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from adapters.kafka.client import Place, Received, Unavailable
from adapters.kafka.librdkafka.connecting import Outage, made, unavailable

_MIB = 1024 * 1024
_SETTINGS: Mapping[str, Any] = {
    "group.id": "muniment-no-group",  # the library wants one; nothing joins it
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "fetch.min.bytes": 1,
    "fetch.wait.max.ms": 500,
    "fetch.max.bytes": 50 * _MIB,
    "max.partition.fetch.bytes": 8 * _MIB,
    "fetch.queue.backoff.ms": 5,
    "queued.min.messages": 100_000,
    "queued.max.messages.kbytes": 64 * 1024,
    "allow.auto.create.topics": False,
}
_SLICE = 0.02
"""Seconds after which a poll that found no record looks whether a position has moved past markers."""
_SILENCE = 10.0
"""Seconds without any broker after which a poll says so."""
# The group that nothing joins is asked for all the same, and may be forbidden.
_NOTHING = (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)


class LibrdkafkaReader:
    """Markers and aborted records move the library's own position; the end of a partition tells it besides."""

    def __init__(self, connection: Mapping[str, Any], *, committed: bool = True) -> None:
        isolation = "read_committed" if committed else "read_uncommitted"
        self._config = {**connection, **_SETTINGS, "isolation.level": isolation}
        self._consumer: Consumer | None = None
        self._outage = Outage()
        self._down_since = 0.0
        self._positions: dict[Place, int] = {}
        self._places: dict[tuple[str, int], Place] = {}
        self._over: Unavailable | None = None
        """Where a partition can't be read on the library says it once, and reads on elsewhere; so it is kept."""

    def assign(self, offsets: Mapping[Place, int]) -> None:
        self._over = None
        consumer = self._connected()
        self._catch_up()
        kept = {place for place, offset in offsets.items() if self._positions.get(place) == offset}
        gone = [TopicPartition(*place) for place in self._positions if place not in kept]
        if gone:
            consumer.incremental_unassign(gone)
        new = [TopicPartition(*place, offset) for place, offset in offsets.items() if place not in kept]
        if new:
            consumer.incremental_assign(new)
        self._positions = dict(offsets)
        self._places = {(place.topic, place.partition): place for place in offsets}

    def _connected(self) -> Consumer:
        if self._consumer is None:
            self._consumer = made(Consumer, {**self._config, "error_cb": self._outage.hear}, "reading")
        return self._consumer

    def poll(self, timeout: float, most: int = 10_000) -> list[Received]:
        if not self._positions:
            return []
        consumer = self._connected()
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                first = consumer.poll(min(_SLICE, left))
                messages = [] if first is None else [first, *consumer.consume(most - 1, 0)] if most > 1 else [first]
            except KafkaException as error:
                raise unavailable("reading", error) from error
            found = self._received(messages)
            if self._over is not None and not found:
                raise self._over
            if self._catch_up() or found or left <= _SLICE:
                self._listen(consumer, bool(messages))
                return found

    def _received(self, messages: list[Message]) -> list[Received]:
        places = self._places
        found = []
        for message in messages:
            if (error := message.error()) is not None:
                self._hear(error, message)
                continue
            place = places.get((message.topic(), message.partition()))  # type: ignore[arg-type]
            if place is not None:
                found.append(
                    Received(place, message.offset(), message.key(), message.value(), message.headers() or ())  # type: ignore[arg-type]
                )
        return found

    def _hear(self, error: KafkaError, message: Message) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            place = self._places.get((message.topic(), message.partition()))  # type: ignore[arg-type]
            if place is not None and (offset := message.offset()) is not None:
                self._positions[place] = max(self._positions[place], offset)
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION):
            self._over = Unavailable(
                f"Kafka no longer has what is to be read ({error.str()[:200]}): records before the offset were "
                "removed, or the log is shorter than it was. Check the topic's retention, and what happened to its "
                "brokers."
            )
        elif code not in _NOTHING:
            self._over = unavailable("reading", KafkaException(error))

    def _catch_up(self) -> bool:
        """Take over the library's positions; whether any moved."""
        moved = False
        if self._consumer is not None and self._positions:
            for each in self._consumer.position([TopicPartition(*place) for place in self._positions]):
                place = self._places[each.topic, each.partition]
                if each.offset > self._positions[place]:
                    self._positions[place] = each.offset
                    moved = True
        return moved

    def _listen(self, consumer: Consumer, heard: bool) -> None:
        """Raises Unavailable if every broker has been away for long: the library tries again for ever."""
        now = time.monotonic()
        if heard or not self._outage.words:
            self._outage.words, self._down_since = "", 0.0
        elif not self._down_since:
            self._down_since = now
        elif now - self._down_since > _SILENCE:
            try:
                consumer.list_topics(next(iter(self._positions)).topic, 1.0)
            except KafkaException as error:
                raise Unavailable(f"Kafka is not available for reading ({self._outage.words}).") from error
            self._outage.words, self._down_since = "", 0.0

    def position(self, place: Place) -> int:
        return self._positions[place]

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with contextlib.suppress(Exception):
                consumer.close()
