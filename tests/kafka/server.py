"""One Apache Kafka server on loopback, which can be stopped, killed, paused and started again."""

import contextlib
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka.jars import kafka_jars
from tests.kafka.java import java
from tests.kafka.properties import Addresses
from tests.node import PATIENCE, until

_JVM = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData")
_LOG = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.showLogName=true",
)
# Ends the broker when the write end of its own standard input closes without a word, as it does when we die in any way.
_GUARD = 'read -r word || kill -KILL "$1"'


class Broker:
    """One node, broker and controller in one; it keeps its ports and its data over restarts.

    `address` is where clients reach it; `log` is what it wrote; `pid` is None while it is down.
    """

    def __init__(self, folder: Path, addresses: Addresses, settings: str, jvm: Sequence[str] = ()) -> None:
        """`settings` are the text of its server.properties, but for the data's folder; `jvm` more of Java's options."""
        folder.mkdir(parents=True, exist_ok=True)
        self.id = addresses.id
        self.address = f"127.0.0.1:{addresses.client}"
        self.log = folder / "broker.log"
        self._properties = folder / "server.properties"
        self._properties.write_text(settings + f"log.dirs={folder / 'data'}\n")
        self._jvm = tuple(jvm)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def format(self, cluster: str, *arguments: str) -> None:
        """Make its storage; `arguments` are more of kafka-storage's own."""
        config = ("--cluster-id", cluster, "--config", str(self._properties))
        command = self._java("kafka.tools.StorageTool", "format", *config, *arguments)
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(f"Kafka's storage could not be made: {run.stdout[-2000:]}{run.stderr[-2000:]}")

    def begin(self) -> None:
        """Start it and don't wait; `wait` does."""
        assert self.pid is None, "it runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._properties)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        command = ["sh", "-c", _GUARD, "guard", str(self._process.pid)]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def wait(self) -> None:
        """Until it answers clients. Raises RuntimeError with its last words if it ended."""
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})

        def answers() -> bool:
            if self.pid is None:
                raise RuntimeError(f"the broker ended: {self.log.read_text(errors='replace')[-3000:]}")
            try:
                return self.id in admin.list_topics(timeout=1).brokers
            except KafkaException:
                return False

        until(answers, f"an answer of broker {self.id}, whose log is {self.log}")

    def start(self) -> None:
        self.begin()
        self.wait()

    def stop(self) -> None:
        """Gracefully: its partitions' leaders move first, where there is somebody to move to."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        self._over()

    def kill(self) -> None:
        """As the machine would: no goodbye."""
        self._signal(signal.SIGKILL)
        self._over()

    def pause(self) -> None:
        """It keeps its connections and says nothing, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """On the same ports and data; stops it first if it runs."""
        self.stop()
        self.start()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    def _java(self, program: str, *arguments: str) -> list[str]:
        return [java(), *_JVM, *_LOG, *self._jvm, "-cp", f"{kafka_jars()}/*", program, *arguments]

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._process:
                self._process.send_signal(number)

    def _over(self) -> None:
        if self._process:
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._guard:
            self._guard.communicate(b"over\n")
        self._process = self._guard = None
