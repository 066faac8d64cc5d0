"""The sequencer on Kafka keeps the contract."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.index.clock_contract import ClockContract
from tests.adapters.index.retries_contract import RetriesContract
from tests.adapters.index.sequencer_contract import SequencerContract
from tests.adapters.kafka.logs import KafkaLog, options, running
from tests.kafka.fixtures import Brokers, fresh_prefix

Opening = Callable[..., AbstractAsyncContextManager[KafkaLog]]


class OnKafka(SequencerContract, RetriesContract, ClockContract):
    client: str

    @pytest.fixture
    def open_log(self, tmp_path: Path, kafka: Brokers) -> Opening:
        given = options(kafka.servers, fresh_prefix(), tmp_path / "indexes", client=self.client)

        def opening(**more: Any) -> AbstractAsyncContextManager[KafkaLog]:
            return running(given, **more)

        return opening


class TestWithKafkaPython(OnKafka):
    client = "kafka-python"


class TestWithLibrdkafka(OnKafka):
    client = "librdkafka"
