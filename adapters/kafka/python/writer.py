"""A transactional producer of kafka-python, held to what it doesn't promise by itself.

The library can return from a commit although a batch of the transaction was given up, and then half of it is there.
So every record's own answer is awaited before the commit is asked for; whatever fails before that, the commit never is.
Its commit has no time-out, and its close sends what is left: both are replaced by what the library's sender offers
inside. That is why this module, and no other, knows the names of its inner parts.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import (
    InvalidProducerEpochError,
    KafkaError,
    KafkaTimeoutError,
    ProducerFencedError,
    TransactionalIdAuthorizationFailedError,
)

from adapters.kafka.client import Fenced, OutcomeUnknown, Place, Record
from adapters.kafka.python.connecting import REQUEST, build, reason, unavailable

_BATCH = 1024 * 1024
"""A group commit is one batch for each partition up to here; brokers refuse bigger ones unless told otherwise."""
_SETTINGS: Mapping[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "max_in_flight_requests_per_connection": 5,
    "linger_ms": 0,
    "batch_size": _BATCH,
    "max_request_size": 8 * _BATCH,
    # After each commit the coordinator puts the next transaction off until its markers are written: ask again soon.
    "retry_backoff_ms": 5,
    "metrics_enabled": False,
    "allow_auto_create_topics": False,
}
_PAUSE = 0.005
_FENCED = (ProducerFencedError, InvalidProducerEpochError, TransactionalIdAuthorizationFailedError)


class PythonWriter:
    """Records are given to the library's accumulator before it hears of their partitions, so that none leaves early."""

    def __init__(self, connection: Mapping[str, Any], transactional_id: str, transaction_timeout: float) -> None:
        self._id = transactional_id
        self._transaction_timeout = transaction_timeout
        request = min(REQUEST, transaction_timeout / 2)
        self._config = {
            **connection,
            **_SETTINGS,
            "transactional_id": transactional_id,
            "transaction_timeout_ms": int(transaction_timeout * 1000),
            "request_timeout_ms": int(request * 1000),
            "delivery_timeout_ms": int(transaction_timeout * 1000),
        }
        self._producer: Any = None
        self._places: dict[Place, Any] = {}

    def open(self, timeout: float) -> None:
        self.close()
        deadline = time.monotonic() + timeout
        doing = f"the writer {self._id}"
        producer, _ = build(KafkaProducer, self._config, timeout, doing)
        self._producer = producer
        try:
            producer.config["max_block_ms"] = _milliseconds(deadline)
            producer.init_transactions()
        except (ProducerFencedError, InvalidProducerEpochError) as error:
            self.close()
            raise Fenced(f"Another writer took {self._id} while this one was opened.") from error
        except KafkaError as error:
            self.close()
            raise unavailable(doing, error) from error
        except BaseException:
            self.close()
            raise

    def commit(
        self, records: Sequence[Record], timeout: float, meanwhile: Callable[[], None] = lambda: None
    ) -> list[int]:
        if self._producer is None:
            raise OutcomeUnknown(f"The writer {self._id} is closed, and nothing was sent: open a new one.")
        if not records:
            return []
        started = time.monotonic()
        try:
            return self._commit(records, started + timeout, meanwhile)
        except KafkaError as error:
            self.close()
            raise self._verdict(error, started) from error
        except BaseException:
            self.close()
            raise

    def _commit(self, records: Sequence[Record], deadline: float, meanwhile: Callable[[], None]) -> list[int]:
        producer, transaction = self._producer, self._producer._transaction_manager
        places = self._places
        for place in {record.place for record in records} - places.keys():
            places[place] = self._partition(place, deadline)
        producer.begin_transaction()
        append = producer._accumulator.append
        futures = [append(places[place], None, key, value, headers)[0] for place, key, value, headers in records]
        partitions = {places[record.place] for record in records}
        for partition in partitions:
            transaction.maybe_add_partition_to_transaction(partition)
        producer._sender.wakeup()
        meanwhile()
        offsets: list[int] = [future.get(_seconds(deadline)).offset for future in futures]
        if min(offsets) < 0 or not all(map(transaction.is_partition_added, partitions)):
            raise KafkaError("not every record is known to be in the transaction")
        self._end(transaction.begin_commit(), deadline)
        return offsets

    def mark(self, places: Collection[Place], timeout: float, *, commit: bool) -> None:
        """See adapters.kafka.client.Settler: a transaction that has partitions and no records."""
        if self._producer is None:
            raise OutcomeUnknown(f"The writer {self._id} is closed, and nothing was sent: open a new one.")
        started = time.monotonic()
        try:
            self._mark(places, started + timeout, commit)
        except KafkaError as error:
            self.close()
            raise self._verdict(error, started) from error
        except BaseException:
            self.close()
            raise

    def _mark(self, places: Collection[Place], deadline: float, commit: bool) -> None:
        producer, transaction = self._producer, self._producer._transaction_manager
        partitions = [self._partition(place, deadline) for place in places]
        producer.begin_transaction()
        for partition in partitions:
            transaction.maybe_add_partition_to_transaction(partition)
        producer._sender.wakeup()
        while not all(map(transaction.is_partition_added, partitions)):
            if transaction.has_error():
                raise transaction.last_error
            if time.monotonic() > deadline:
                raise KafkaTimeoutError("the partitions were not added to the transaction in time")
            time.sleep(_PAUSE)
        self._end(transaction.begin_commit() if commit else transaction.begin_abort(), deadline)

    def _end(self, ending: Any, deadline: float) -> None:
        self._producer._sender.wakeup()
        if not ending.wait(_milliseconds(deadline)):
            raise KafkaTimeoutError("no answer to the end of the transaction in time")

    def _partition(self, place: Place, deadline: float) -> Any:
        if place.partition not in self._producer._wait_on_metadata(place.topic, _milliseconds(deadline)):
            raise KafkaError(f"the topic {place.topic} has no partition {place.partition}")
        return TopicPartition(place.topic, place.partition)

    def _verdict(self, error: KafkaError, started: float) -> Fenced | OutcomeUnknown:
        # The coordinator answers the same to who was fenced and to who was aborted for taking too long. So it is only
        # taken for the former while the latter can't be.
        if isinstance(error, _FENCED) and time.monotonic() - started < self._transaction_timeout:
            return Fenced(f"Another writer has {self._id} now ({reason(error)}).")
        return OutcomeUnknown(f"What became of the commit of {self._id} is not known ({reason(error)}).")

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # The library's own close would first send what is left, and wait for it. Its sender, a daemon, ends by itself.
        producer._unregister_cleanup()
        producer._closed = True
        producer._sender.force_close()


def _seconds(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _milliseconds(deadline: float) -> int:
    return int(_seconds(deadline) * 1000) or 1
