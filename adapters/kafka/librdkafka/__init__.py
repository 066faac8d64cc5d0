"""Kafka by librdkafka: the client that is ten times faster, and an extra of its own.

Nothing outside of this package imports it, so that a node runs without it.
"""

try:
    import confluent_kafka as _  # noqa: F401
except ModuleNotFoundError:
    raise RuntimeError(
        "MUNIMENT_KAFKA_CLIENT is librdkafka, which is not installed: `pip install muniment[librdkafka]`, or set it to "
        "kafka-python."
    ) from None

from adapters.kafka.client import Admin, Callbacks, Membership, Reader, Settler, Writer
from adapters.kafka.librdkafka.admin import LibrdkafkaAdmin
from adapters.kafka.librdkafka.connecting import connection
from adapters.kafka.librdkafka.membership import LibrdkafkaMembership
from adapters.kafka.librdkafka.reader import LibrdkafkaReader
from adapters.kafka.librdkafka.writer import LibrdkafkaWriter
from adapters.kafka.python import PythonClient
from adapters.kafka.settings import KafkaSettings


class LibrdkafkaClient:
    """Makes what the ledger needs; each connects when it is first used."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._connection = connection(settings)

    def writer(self, transactional_id: str, transaction_timeout: float) -> Writer:
        return LibrdkafkaWriter(self._connection, transactional_id, transaction_timeout)

    def settler(self, transactional_id: str, transaction_timeout: float) -> Settler:
        """By the other library: this one ends no transaction into which it has not written."""
        return PythonClient(self._settings).settler(transactional_id, transaction_timeout)

    def reader(self, *, committed: bool = True) -> Reader:
        return LibrdkafkaReader(self._connection, committed=committed)

    def admin(self) -> Admin:
        return LibrdkafkaAdmin(self._connection)

    def membership(
        self, group: str, topic: str, client_id: str, session_timeout: float, callbacks: Callbacks
    ) -> Membership:
        return LibrdkafkaMembership(self._connection, group, topic, client_id, session_timeout, callbacks)
