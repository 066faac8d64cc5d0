"""Kafka by kafka-python: the client that needs nothing compiled."""

from adapters.kafka.client import Admin, Callbacks, Membership, Reader, Settler, Writer
from adapters.kafka.python.admin import PythonAdmin
from adapters.kafka.python.connecting import connection, keep_quiet
from adapters.kafka.python.membership import PythonMembership
from adapters.kafka.python.reader import PythonReader
from adapters.kafka.python.writer import PythonWriter
from adapters.kafka.settings import KafkaSettings


class PythonClient:
    """Makes what the ledger needs; each connects when it is first used."""

    def __init__(self, settings: KafkaSettings) -> None:
        keep_quiet()
        self._connection = connection(settings)

    def writer(self, transactional_id: str, transaction_timeout: float) -> Writer:
        return PythonWriter(self._connection, transactional_id, transaction_timeout)

    def settler(self, transactional_id: str, transaction_timeout: float) -> Settler:
        return PythonWriter(self._connection, transactional_id, transaction_timeout)

    def reader(self, *, committed: bool = True) -> Reader:
        return PythonReader(self._connection, committed=committed)

    def admin(self) -> Admin:
        return PythonAdmin(self._connection)

    def membership(
        self, group: str, topic: str, client_id: str, session_timeout: float, callbacks: Callbacks
    ) -> Membership:
        return PythonMembership(self._connection, group, topic, client_id, session_timeout, callbacks)
