"""A consumer of kafka-python that belongs to no group and reads what was committed, or all, from where it is told."""

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError

from adapters.kafka.client import Place, Received, Unavailable
from adapters.kafka.python.connecting import REQUEST, build, reason, unavailable

_MIB = 1024 * 1024
_SETTINGS: Mapping[str, Any] = {
    "group_id": None,
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "fetch_min_bytes": 1,
    "fetch_max_wait_ms": 500,
    "fetch_max_bytes": 50 * _MIB,
    "max_partition_fetch_bytes": 8 * _MIB,
    "request_timeout_ms": int(REQUEST * 1000),
    "retry_backoff_ms": 20,
    "metrics_enabled": False,
}
_SLICE = 0.05
"""Seconds after which a poll that found no record looks whether a position has moved past markers."""
_SILENCE = 10.0
"""Seconds without a connection to any broker after which a poll says so."""


class PythonReader:
    """Connects at its first poll."""

    def __init__(self, connection: Mapping[str, Any], *, committed: bool = True) -> None:
        isolation = "read_committed" if committed else "read_uncommitted"
        self._config = {**connection, **_SETTINGS, "isolation_level": isolation}
        self._consumer: Any = None
        self._network: Any = None
        self._wanted: dict[Place, int] = {}
        self._places: dict[Any, Place] = {}
        self._heard = 0.0

    def assign(self, offsets: Mapping[Place, int]) -> None:
        self._wanted = dict(offsets)
        if self._consumer is not None:
            self._assign()

    def _assign(self) -> None:
        partitions = {place: TopicPartition(*place) for place in self._wanted}
        self._places = {partition: place for place, partition in partitions.items()}
        self._consumer.assign(list(self._places))
        for place, partition in partitions.items():
            if self._offset(partition) != self._wanted[place]:
                self._consumer.seek(partition, self._wanted[place])

    def poll(self, timeout: float, most: int = 10_000) -> list[Received]:
        deadline = time.monotonic() + timeout
        if self._consumer is None:
            self._connect(timeout)
        if not self._places:
            return []
        before = self._positions()
        while True:
            left = max(0.0, deadline - time.monotonic())
            found = self._poll(min(_SLICE, left), most)
            if found or left <= _SLICE or self._positions() != before:
                return found

    def _poll(self, seconds: float, most: int) -> list[Received]:
        try:
            batches = self._consumer.poll(int(seconds * 1000), most)
        except (OffsetOutOfRangeError, LogTruncationError) as error:
            raise Unavailable(self._gone(error)) from error
        except (KafkaError, OSError, RuntimeError) as error:
            raise unavailable("reading", error) from error
        if not batches:
            self._listen()
            return []
        found = []
        for partition, records in batches.items():
            place = self._places[partition]
            found += [Received(place, each.offset, each.key, each.value, each.headers) for each in records]
        return found

    def _connect(self, timeout: float) -> None:
        self._consumer, self._network = build(KafkaConsumer, self._config, max(timeout, 1.0), "reading")
        self._heard = time.monotonic()
        self._assign()

    def _listen(self) -> None:
        """Raises Unavailable if no broker was connected for long: the library tries for ever, and says nothing."""
        now = time.monotonic()
        if any(self._network.connected(broker.node_id) for broker in self._network.cluster.brokers()):
            self._heard = now
        elif now - self._heard > _SILENCE:
            raise Unavailable(f"Kafka is not available for reading: no broker could be reached for {_SILENCE:.0f} s.")

    def _gone(self, error: KafkaError) -> str:
        where = ", ".join(f"{place.topic}/{place.partition} at {self.position(place)}" for place in self._wanted)
        return (
            f"Kafka no longer has what is to be read ({reason(error)}; {where}): records before the offset were "
            "removed, or the log is shorter than it was. Check the topic's retention, and what happened to its brokers."
        )

    def position(self, place: Place) -> int:
        if self._consumer is None:
            return self._wanted[place]
        offset = self._offset(TopicPartition(*place))
        return self._wanted[place] if offset is None else offset

    def _offset(self, partition: Any) -> int | None:
        position = self._consumer._subscription.assignment[partition].position
        return None if position is None else int(position.offset)

    def _positions(self) -> list[int | None]:
        return [self._offset(partition) for partition in self._places]

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with contextlib.suppress(Exception):
                consumer.close(autocommit=False, timeout_ms=1000)
