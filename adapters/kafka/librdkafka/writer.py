"""A transactional producer of librdkafka, which commits only what it knows to be written.

The library checks by itself that no record of a transaction was given up, and fails the commit; here each record's own
report is awaited first, too, as with the other client, and for the offsets.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from adapters.kafka.client import Fenced, OutcomeUnknown, Record
from adapters.kafka.librdkafka.connecting import REQUEST, Outage, error_of, made, reason, unavailable

_SETTINGS: Mapping[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "max.in.flight.requests.per.connection": 5,
    "linger.ms": 0,
    "batch.num.messages": 100_000,
    "batch.size": 1_000_000,
    "message.max.bytes": 8 * 1024 * 1024,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 2_097_151,
    "retry.backoff.ms": 10,
    "allow.auto.create.topics": False,
}
_FENCED = (
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)


class LibrdkafkaWriter:
    """Delivery reports are served while it waits, on the thread that commits."""

    def __init__(self, connection: Mapping[str, Any], transactional_id: str, transaction_timeout: float) -> None:
        self._id = transactional_id
        self._transaction_timeout = transaction_timeout
        request = min(REQUEST, transaction_timeout / 2)
        self._config = {
            **connection,
            **_SETTINGS,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(transaction_timeout * 1000),
            "message.timeout.ms": int(transaction_timeout * 1000),
            "request.timeout.ms": int(request * 1000),
            "socket.timeout.ms": int(request * 1000),
        }
        self._producer: Producer | None = None
        self._failed: KafkaError | None = None
        self._outage = Outage()

    def open(self, timeout: float) -> None:
        self.close()
        doing = f"the writer {self._id}"
        self._failed, self._outage = None, Outage()
        producer = self._producer = made(Producer, {**self._config, "error_cb": self._hear}, doing)
        try:
            producer.init_transactions(timeout)
        except KafkaException as error:
            with contextlib.suppress(Exception):
                producer.poll(0)  # which is when it tells what it heard
            self.close()
            found = error_of(error)
            if found is not None and found.code() in _FENCED[:3]:
                raise Fenced(f"Another writer took {self._id} while this one was opened.") from error
            raise unavailable(doing, error, self._outage) from error
        except BaseException:
            self.close()
            raise

    def _hear(self, error: KafkaError) -> None:
        self._outage.hear(error)
        if error.fatal():
            self._failed = error

    def commit(
        self, records: Sequence[Record], timeout: float, meanwhile: Callable[[], None] = lambda: None
    ) -> list[int]:
        if self._producer is None:
            raise OutcomeUnknown(f"The writer {self._id} is closed, and nothing was sent: open a new one.")
        if not records:
            return []
        started = time.monotonic()
        try:
            return self._commit(self._producer, records, started + timeout, meanwhile)
        except (KafkaException, BufferError) as error:
            self.close()
            raise self._verdict(error, started) from error
        except BaseException:
            self.close()
            raise

    def _commit(
        self, producer: Producer, records: Sequence[Record], deadline: float, meanwhile: Callable[[], None]
    ) -> list[int]:
        offsets = [-1] * len(records)
        failures: list[KafkaError] = []

        def report(index: int, error: KafkaError | None, message: Message) -> None:
            if error is None:
                offsets[index] = message.offset()  # type: ignore[assignment]
            else:
                failures.append(error)

        producer.begin_transaction()
        for index, ((topic, partition), key, value, headers) in enumerate(records):
            producer.produce(topic, value, key, partition, partial(report, index), headers=list(headers))
        meanwhile()
        while producer.flush(min(0.1, _seconds(deadline))) and not failures and time.monotonic() < deadline:
            pass
        if failures:
            raise KafkaException(failures[0])
        if min(offsets) < 0:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "not every record was answered for in time"))
        producer.commit_transaction(_seconds(deadline))
        return offsets

    def _verdict(self, error: BaseException, started: float) -> Fenced | OutcomeUnknown:
        # The coordinator answers the same to who was fenced and to who was aborted for taking too long. So it is only
        # taken for the former while the latter can't be.
        codes = {found.code() for found in (error_of(error), self._failed) if found is not None}
        if codes.intersection(_FENCED) and time.monotonic() - started < self._transaction_timeout:
            return Fenced(f"Another writer has {self._id} now ({reason(error)}).")
        return OutcomeUnknown(f"What became of the commit of {self._id} is not known ({reason(error)}).")

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            # The library's own close would abort and send what is left. Its end may wait for a connection, so it gets
            # a thread; what was under way is thrown away first.
            threading.Thread(target=_throw_away, args=[[producer]], name="kafka-end", daemon=True).start()


def _throw_away(last: list[Producer]) -> None:
    """Ends a producer; the list holds the last reference."""
    with contextlib.suppress(Exception):
        last[0].purge(in_queue=True, in_flight=True, blocking=False)
        last[0].poll(0)
    last.clear()


def _seconds(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
