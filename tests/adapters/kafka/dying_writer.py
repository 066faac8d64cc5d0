"""A writer in a process of its own, for tests that kill it in the middle of a commit."""

import signal
import subprocess
import sys
from typing import Any

from adapters.kafka.client import Place, Record
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from tests.node import PATIENCE


class DyingWriter:
    """Opens, and commits one record; until it is killed, if something keeps it from ending."""

    def __init__(self, servers: str, library: str, topic: str, transaction_timeout: float) -> None:
        words = [servers, library, topic, str(transaction_timeout)]
        self._process = subprocess.Popen([sys.executable, "-m", __name__, *words])

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE)


def main(servers: str, library: Any, topic: str, transaction_timeout: str) -> None:
    writer = connect(KafkaSettings(servers, client=library)).writer(topic, float(transaction_timeout))
    writer.open(PATIENCE)
    writer.commit([Record(Place(topic, 0), b"key", b"of the dead", [])], 10 * PATIENCE)


if __name__ == "__main__":
    main(*sys.argv[1:])
