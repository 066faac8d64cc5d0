"""Both libraries keep the client's contract."""

import subprocess
import sys

import pytest

from tests.adapters.kafka.client_contract import ClientContract
from tests.adapters.kafka.clients import Connect, by
from tests.node import PATIENCE


class TestKafkaPython(ClientContract):
    @pytest.fixture
    def using(self) -> Connect:
        return by("kafka-python")


class TestLibrdkafka(ClientContract):
    @pytest.fixture
    def using(self) -> Connect:
        return by("librdkafka")


def run_by_itself(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    return run.stdout + run.stderr


def test_the_default_needs_nothing_of_the_extra() -> None:
    code = "import sys; from adapters.kafka.clients import connect; from adapters.kafka.settings import KafkaSettings"
    code += "; connect(KafkaSettings('127.0.0.1:1')); print('confluent_kafka' in sys.modules)"
    assert run_by_itself(code) == "False\n"


def test_an_extra_that_is_not_installed_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['confluent_kafka'] = None; from adapters.kafka.clients import connect"
    code += "; from adapters.kafka.settings import KafkaSettings; connect(KafkaSettings('x:1', client='librdkafka'))"
    assert "pip install muniment[librdkafka]" in run_by_itself(code)
