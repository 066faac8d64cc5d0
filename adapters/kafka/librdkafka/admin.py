"""What the brokers know, asked by librdkafka."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import TimeoutError as Late
from typing import Any, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # it doesn't say that it means to export them
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from adapters.kafka.client import Place, Topic
from adapters.kafka.librdkafka.connecting import Outage, error_of, made, unavailable

T = TypeVar("T")

_LIMIT = 10.0
"""Seconds for one call, retries included."""
_PAUSE = 0.02
_FIRST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LAST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_PASSING = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.NOT_CONTROLLER,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._NOENT,
    KafkaError._TRANSPORT,
)


class LibrdkafkaAdmin:
    """Connects when it is first asked."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = dict(connection)
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None
        self._outage = Outage()

    def topic(self, name: str) -> Topic | None:
        return self._asked("a topic's settings", lambda admin, seconds: _topic(admin, name, seconds))

    def create_topic(self, name: str, partitions: int, replication: int, configs: Mapping[str, str]) -> None:
        wish = NewTopic(name, partitions, replication, config=dict(configs))

        def create(admin: AdminClient, seconds: float) -> None:
            try:
                admin.create_topics([wish], operation_timeout=seconds, request_timeout=seconds)[name].result(seconds)
            except KafkaException as error:
                if (found := error_of(error)) is None or found.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

        self._asked(f"the topic {name}", create)
        self._asked(f"the topic {name}", lambda admin, seconds: _led(admin, name, seconds))

    def begins(self, places: Collection[Place]) -> dict[Place, int]:
        return self._offsets(places, _FIRST, IsolationLevel.READ_UNCOMMITTED)

    def ends(self, places: Collection[Place], *, committed: bool) -> dict[Place, int]:
        isolation = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(places, _LAST, isolation)

    def offsets_at(self, places: Collection[Place], milliseconds: int) -> dict[Place, int | None]:
        spec = OffsetSpec.for_timestamp(milliseconds)
        found = self._offsets(places, spec, IsolationLevel.READ_COMMITTED, is_timed=True)
        return {place: None if offset < 0 else offset for place, offset in found.items()}

    def _offsets(
        self, places: Collection[Place], spec: OffsetSpec, isolation: IsolationLevel, *, is_timed: bool = False
    ) -> dict[Place, int]:
        """`is_timed`: nothing may be found."""
        if not places:
            return {}
        wish = {TopicPartition(*place): spec for place in places}

        def ask(admin: AdminClient, seconds: float) -> dict[Place, int]:
            futures = admin.list_offsets(wish, isolation_level=isolation, request_timeout=seconds)
            found = {
                Place(each.topic, each.partition): future.result(seconds).offset for each, future in futures.items()
            }
            # Without an error it says so where a partition has no leader just now.
            if not is_timed and min(found.values()) < 0:
                raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
            return found

        return self._asked("offsets", ask)

    def members(self, group: str) -> dict[str, frozenset[int]]:
        return self._asked("a group's members", lambda admin, seconds: _members(admin, group, seconds))

    def _asked(self, doing: str, ask: Callable[[AdminClient, float], T]) -> T:
        """The answer, asked again while things move, by a fresh client: an old one remembers who led what, and when."""
        deadline = time.monotonic() + _LIMIT
        with self._lock:
            while True:
                if self._admin is None:
                    self._admin = made(AdminClient, {**self._connection, "error_cb": self._outage.hear}, doing)
                try:
                    answer = ask(self._admin, max(0.001, deadline - time.monotonic()))
                    self._outage.words = ""
                    return answer
                except (KafkaException, Late) as error:
                    self._admin.poll(0)  # which is when it tells what it heard
                    found = error_of(error)
                    if found is None or found.code() not in _PASSING or time.monotonic() + _PAUSE > deadline:
                        raise unavailable(doing, error, self._outage) from error
                    self._admin = None
                    time.sleep(_PAUSE)

    def close(self) -> None:
        with self._lock:
            self._admin = None


def _topic(admin: AdminClient, name: str, seconds: float) -> Topic | None:
    try:
        found = admin.describe_topics(TopicCollection([name]), request_timeout=seconds)[name].result(seconds)
    except KafkaException as error:
        if (known := error_of(error)) is not None and known.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise
    resource = ConfigResource(ResourceType.TOPIC, name)
    configs = admin.describe_configs([resource], request_timeout=seconds)[resource].result(seconds)
    return Topic(
        len(found.partitions),
        min(len(each.replicas) for each in found.partitions),
        {key: str(entry.value) for key, entry in configs.items() if entry.value is not None},
    )


def _led(admin: AdminClient, name: str, seconds: float) -> None:
    """Raises what passes while the topic is not known everywhere, or a partition has no leader."""
    found = admin.describe_topics(TopicCollection([name]), request_timeout=seconds)[name].result(seconds)
    if any(each.leader is None or each.leader.id < 0 for each in found.partitions):
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))


def _members(admin: AdminClient, group: str, seconds: float) -> dict[str, frozenset[int]]:
    try:
        found = admin.describe_consumer_groups([group], request_timeout=seconds)[group].result(seconds)
    except KafkaException as error:
        if (known := error_of(error)) is not None and known.code() == KafkaError.GROUP_ID_NOT_FOUND:
            return {}
        raise
    return {
        member.client_id: frozenset(each.partition for each in member.assignment.topic_partitions)
        for member in found.members
    }
