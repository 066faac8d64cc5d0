"""Apache Kafka on loopback: a cluster of one broker or more, with the ways to it that a test may break."""

import shutil
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kafka.archive import shared_classes
from tests.kafka.ports import free_port
from tests.kafka.properties import Addresses, properties
from tests.kafka.proxy import Link
from tests.kafka.security import Security
from tests.kafka.server import Broker


class Cluster:
    """Brokers that are started together and whose data is thrown away; `servers` is the bootstrap string.

    Topics aren't made by mention. Offsets and transactions have min(size, 3) replicas, and with three brokers a write
    with `acks=all` needs two. Each of `links` is a way of its own to the brokers, through proxies. If it is secured,
    `security` says how to come in by TLS; `servers` stays a way in without, and all that come there may do everything.
    """

    def __init__(
        self,
        folder: Path,
        size: int = 1,
        *,
        links: int = 0,
        secured: bool = False,
        settings: dict[str, str] | None = None,
        jvm: Sequence[str] = (),
    ) -> None:
        """`settings`: more of the broker's own; `jvm`: more of Java's options, the last of a kind counts."""
        addresses = [
            Addresses(
                number,
                free_port(),
                free_port(),
                [(free_port(), free_port()) for _ in range(links)],
                (free_port(), free_port()) if secured else None,
            )
            for number in range(1, size + 1)
        ]
        self._folder = folder
        self._security = Security(folder / "security", addresses) if secured else None
        more = {**(self._security.settings if self._security else {}), **(settings or {})}
        jvm = (*shared_classes(), *(self._security.jvm if self._security else ()), *jvm)
        self.brokers: Sequence[Broker] = [
            Broker(folder / f"broker-{each.id}", each, properties(each, addresses, more), jvm) for each in addresses
        ]
        self.servers = ",".join(broker.address for broker in self.brokers)
        self.links: Sequence[Link] = [
            Link({each.id: each.links[number] for each in addresses}) for number in range(links)
        ]

    @property
    def security(self) -> Security:
        assert self._security is not None, "ask for Cluster(..., secured=True)"
        return self._security

    def start(self) -> Self:
        name = uuid.uuid4().hex[:22]
        users = self._security.storage_arguments if self._security else ()
        try:
            for link in self.links:
                link.start()
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda broker: broker.format(name, *users), self.brokers))
            for broker in self.brokers:
                broker.begin()
            for broker in self.brokers:
                broker.wait()
        except BaseException:
            self.close()
            raise
        return self

    def broker(self, number: int) -> Broker:
        """By its id in Kafka's metadata."""
        return next(broker for broker in self.brokers if broker.id == number)

    def close(self) -> None:
        """At once; the data goes too, the logs and settings stay."""
        for link in self.links:
            link.close()
        for broker in self.brokers:
            broker.kill()
            shutil.rmtree(self._folder / f"broker-{broker.id}" / "data", ignore_errors=True)
        if self._security:
            self._security.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
