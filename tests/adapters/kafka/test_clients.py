"""Both libraries keep the client's contract."""

import pytest

from tests.adapters.kafka.client_contract import ClientContract
from tests.adapters.kafka.clients import Connect, by


class TestKafkaPython(ClientContract):
    @pytest.fixture
    def using(self) -> Connect:
        return by("kafka-python")


class TestLibrdkafka(ClientContract):
    @pytest.fixture
    def using(self) -> Connect:
        return by("librdkafka")
