"""What the brokers know, asked by kafka-python."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import (
    GroupIdNotFoundError,
    KafkaError,
    RetriableError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from adapters.kafka.client import Place, Topic
from adapters.kafka.python.connecting import build, unavailable

T = TypeVar("T")

_LIMIT = 10.0
"""Seconds for one call, retries included."""
_PAUSE = 0.02


class PythonAdmin:
    """Offsets are asked by consumers, which remember who leads what: one request for each leader."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = dict(connection)
        self._lock = threading.Lock()
        self._open: dict[str, Any] = {}

    def topic(self, name: str) -> Topic | None:
        with self._lock:
            return self._asked("a topic's settings", lambda admin, _: _topic(admin, name))

    def create_topic(self, name: str, partitions: int, replication: int, configs: Mapping[str, str]) -> None:
        wish = {name: {"num_partitions": partitions, "replication_factor": replication, "configs": dict(configs)}}

        def create(admin: Any, deadline: float) -> None:
            with contextlib.suppress(TopicAlreadyExistsError):
                admin.create_topics(wish, timeout_ms=_milliseconds(deadline))
            admin.wait_for_topics([name], timeout_ms=_milliseconds(deadline))

        with self._lock:
            self._asked(f"the topic {name}", create)

    def begins(self, places: Collection[Place]) -> dict[Place, int]:
        return self._offsets(places, "uncommitted", lambda consumer: consumer.beginning_offsets)

    def ends(self, places: Collection[Place], *, committed: bool) -> dict[Place, int]:
        isolation = "committed" if committed else "uncommitted"
        return self._offsets(places, isolation, lambda consumer: consumer.end_offsets)

    def offsets_at(self, places: Collection[Place], milliseconds: int) -> dict[Place, int | None]:
        def ask(consumer: Any, deadline: float) -> dict[Place, int | None]:
            times = {TopicPartition(*place): milliseconds for place in places}
            found = consumer.offsets_for_times(times, timeout_ms=_milliseconds(deadline))
            return {Place(*partition): None if at is None else at.offset for partition, at in found.items()}

        with self._lock:
            # Asked first so that every leader is known: of a partition without one the library would say None.
            self._asked("offsets", lambda consumer, until: _offsets(consumer.end_offsets, places, until), "committed")
            return self._asked("offsets", ask, "committed")

    def _offsets(
        self, places: Collection[Place], isolation: str, how: Callable[[Any], Callable[..., Any]]
    ) -> dict[Place, int]:
        if not places:
            return {}
        with self._lock:
            return self._asked("offsets", lambda consumer, until: _offsets(how(consumer), places, until), isolation)

    def members(self, group: str) -> dict[str, frozenset[int]]:
        with self._lock:
            return self._asked("a group's members", lambda admin, _: _members(admin, group))

    def _asked(self, doing: str, ask: Callable[[Any, float], T], which: str = "admin") -> T:
        """The answer, asked again while things move, by a fresh connection: an old one remembers who led what."""
        deadline = time.monotonic() + _LIMIT
        while True:
            old = which in self._open
            try:
                return ask(self._client(which, deadline, doing), deadline)
            except (KafkaError, OSError, RuntimeError) as error:
                self._drop(which)
                again = old or isinstance(error, RetriableError)
                if not again or time.monotonic() + _PAUSE > deadline:
                    raise unavailable(doing, error) from error
                time.sleep(_PAUSE)

    def _client(self, which: str, deadline: float, doing: str) -> Any:
        if which not in self._open:
            self._open[which] = self._opened(which, deadline, doing)
        return self._open[which]

    def _opened(self, which: str, deadline: float, doing: str) -> Any:
        config = {**self._connection, "request_timeout_ms": int(_LIMIT * 1000), "retry_backoff_ms": 20}
        seconds = max(0.001, deadline - time.monotonic())
        if which == "admin":
            return build(KafkaAdminClient, config, seconds, doing)[0]
        reading = {"group_id": None, "isolation_level": f"read_{which}", "metrics_enabled": False}
        return build(KafkaConsumer, {**config, **reading}, seconds, doing)[0]

    def _drop(self, which: str) -> None:
        with contextlib.suppress(Exception):
            self._open.pop(which).close()

    def close(self) -> None:
        with self._lock:
            for which in list(self._open):
                self._drop(which)


def _offsets(ask: Callable[..., Any], places: Collection[Place], deadline: float) -> dict[Place, int]:
    partitions = [TopicPartition(*place) for place in places]
    while True:
        try:
            found = ask(partitions, timeout_ms=_milliseconds(deadline))
            return {Place(*partition): offset for partition, offset in found.items()}
        except KeyError:
            # The library leaves out a partition that has no leader at the moment, and asks for news of it.
            if time.monotonic() > deadline:
                raise UnknownTopicOrPartitionError("a partition has no leader") from None
            time.sleep(_PAUSE)


def _topic(admin: Any, name: str) -> Topic | None:
    found = admin.describe_topics([name])[0]
    error = for_code(found["error_code"])
    if error is UnknownTopicOrPartitionError:
        return None
    if found["error_code"]:
        raise error(name)
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    configs = admin.describe_configs([resource], config_filter="all")["topic"][name]
    return Topic(
        len(found["partitions"]),
        min(len(each["replica_nodes"]) for each in found["partitions"]),
        {key: str(each["value"]) for key, each in configs.items() if each["value"] is not None},
    )


def _members(admin: Any, group: str) -> dict[str, frozenset[int]]:
    found = admin.describe_groups([group])[group]
    if found["error"] is not None:
        number = re.match(r"\[Error (\d+)\]", found["error"])
        error = for_code(int(number[1])) if number else KafkaError
        if error is GroupIdNotFoundError:
            return {}
        raise error(found["error"])
    return {member["client_id"]: frozenset(_partitions(member["member_assignment"])) for member in found["members"]}


def _partitions(assignment: Any) -> Iterator[int]:
    for each in assignment["assigned_partitions"] if assignment else ():
        yield from each["partitions"]


def _milliseconds(deadline: float) -> int:
    return max(1, int((deadline - time.monotonic()) * 1000))
