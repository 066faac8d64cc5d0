"""What is tortured: three nodes of the product's own, each with a link of its own to the brokers, and PostgreSQL."""

import contextlib
import secrets
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from adapters.embedded_postgres import EmbeddedPostgres
from tests.kafka.broker import Cluster
from tests.kafka.ports import free_port
from tests.kafka.proxy import Link
from tests.node import NodeProcess

PREFIX: Final = "torture"
LEDGER: Final = f"{PREFIX}.ledger"
KEYRING: Final = f"{PREFIX}.keyring"
WITHOUT_FENCING: Final = {"MUNIMENT_KAFKA_TEST_WITHOUT_FENCING": "this-loses-data"}


class Settings:
    """What a deployment is made of."""

    def __init__(
        self,
        *,
        nodes: int = 3,
        brokers: int = 1,
        client: str = "kafka-python",
        partitions: int = 6,
        session: int = 6,
        fencing: bool = True,
    ) -> None:
        """`session`: seconds without a sign of life after which a node's partitions go to others."""
        self.nodes = nodes
        self.brokers = brokers
        self.client = client
        self.partitions = partitions
        self.session = session
        self.fencing = fencing


class Node:
    """A node that can be killed, paused and started again on the same port and folder."""

    def __init__(self, number: int, folder: Path, link: Link, environment: dict[str, str]) -> None:
        self.number = number
        self.link = link
        self.data = folder / f"node-{number}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {**environment, "MUNIMENT_KAFKA": link.servers}
        self.process: NodeProcess | None = None
        """None while it is down."""

    def start(self) -> None:
        """Returns once it answers. Raises RuntimeError with its last words."""
        arguments = ("--port", str(self.port))
        self.process = NodeProcess(self.data, environment=self._environment, arguments=arguments)

    def kill(self) -> None:
        if self.process is not None:
            self.resume()
            self.process.kill()
            self.process = None

    def stop(self) -> int:
        """Gracefully; its exit code."""
        assert self.process is not None
        code, self.process = self.process.stop(), None
        return code

    def pause(self) -> None:
        """The node and its children, as when their machine stands still."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def delete_index(self) -> None:
        """While it is down."""
        shutil.rmtree(self.data / "indexes")

    def _signal(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            node = psutil.Process(self.process.process.pid)
            for each in (node, *node.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(number)


class Deployment:
    """All of it, for as long as the block lasts; nothing is left running afterwards."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings = settings
        self.kafka = Cluster(folder / "kafka", settings.brokers, links=settings.nodes)
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.nodes: Sequence[Node] = ()
        self.operator_key = ""
        self._folder = folder

    def __enter__(self) -> Self:
        try:
            self.kafka.start()
            environment = self._environment(self.postgres.start())
            self.nodes = [Node(number, self._folder, link, environment) for number, link in enumerate(self.kafka.links)]
            for node in self.nodes:
                node.start()
            keys = [node.process.operator_key for node in self.nodes if node.process]
            self.operator_key = next(key for key in keys if key)
        except BaseException:
            self.close()
            raise
        return self

    def _environment(self, postgres: str) -> dict[str, str]:
        settings = self.settings
        three = settings.brokers > 1
        return {
            "MUNIMENT_KAFKA_CLIENT": settings.client,
            "MUNIMENT_KAFKA_PREFIX": PREFIX,
            "MUNIMENT_KAFKA_PARTITIONS": str(settings.partitions),
            "MUNIMENT_KAFKA_REPLICATION": "3" if three else "1",
            "MUNIMENT_KAFKA_MIN_IN_SYNC": "2" if three else "1",
            "MUNIMENT_KAFKA_SESSION": str(settings.session),
            "MUNIMENT_ROOT_KEY": secrets.token_hex(32),
            "MUNIMENT_POSTGRES": postgres,
            **({} if settings.fencing else WITHOUT_FENCING),
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
        self.signal_postgres(signal.SIGCONT)
        self.postgres.stop()
        self.kafka.close()

    @property
    def fallen(self) -> list[Node]:
        """Those that ended though nobody had told them to."""
        return [node for node in self.nodes if node.process is not None and node.process.process.poll() is not None]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    def signal_postgres(self, number: signal.Signals) -> None:
        """To the server and all its processes."""
        if (pid := self.postgres.pid) is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(pid)
            for each in (server, *server.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(number)

    def heal(self) -> None:
        """Everything runs, and everybody reaches everybody."""
        for link in self.kafka.links:
            link.pass_all()
        for broker in self.kafka.brokers:
            broker.resume()
            if broker.pid is None:
                broker.start()
        self.signal_postgres(signal.SIGCONT)
        for node in self.nodes:
            node.resume()
        for node in self.fallen:
            node.kill()
        for node in self.nodes:
            if node.process is None:
                node.start()
