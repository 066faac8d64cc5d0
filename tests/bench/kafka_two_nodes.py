"""Two nodes on Kafka, each with one of two partitions, against one node with both: what a second node brings here."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from tests.bench.kafka import JVM
from tests.bench.kafka_bare import CLIENTS
from tests.bench.kafka_node import CALLERS, PARTITIONS
from tests.bench.table import Row
from tests.kafka.broker import Cluster
from tests.node import until

ROUNDS: Final = 3
SECONDS: Final = 3
BOTH: Final = tuple(range(PARTITIONS))


class Node:
    """A process of tests.bench.kafka_node."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, *words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        while not (line := self._process.stdout.readline()).startswith(("[", '"', *"0123456789")):
            if not line:
                raise RuntimeError("a node of the benchmark has ended")
        return msgspec.json.decode(line)

    def owns(self) -> tuple[int, ...]:
        self.ask("owns")
        return tuple(self.answer())


@contextmanager
def node(*arguments: str) -> Iterator[Node]:
    command = [sys.executable, "-m", "tests.bench.kafka_node", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Node(process)
        finally:
            process.kill()


def rows(folder: Path) -> Iterator[Row]:
    with Cluster(folder / "broker", jvm=JVM) as cluster:
        for client in CLIENTS:
            yield _second(client, cluster.servers, folder)


def _second(client: str, servers: str, folder: Path) -> Row:
    with ExitStack() as stack:
        one, other = [], []
        first = stack.enter_context(node(servers, client, str(folder / f"{client}-1"), client))
        until(lambda: first.owns() == BOTH, "one node owns both partitions")
        for partition in BOTH:
            first.ask("found", partition)
            first.answer()
        one = [_changes((first, BOTH)) for _ in range(ROUNDS)]
        second = stack.enter_context(node(servers, client, str(folder / f"{client}-2"), client))
        until(lambda: sorted(first.owns() + second.owns()) == list(BOTH) and second.owns(), "each owns one partition")
        second.ask("found", *second.owns())
        second.answer()
        other = [_changes((first, first.owns()), (second, second.owns())) for _ in range(ROUNDS)]
    return Row(
        f"two nodes, {CALLERS} callers on a tenant of each of two partitions ({client})",
        median(other),
        "commands/s",
        f"one node: {median(one):,.0f}/s",
        median(other) / median(one),
    )


def _changes(*asked: tuple[Node, tuple[int, ...]]) -> float:
    """Commands a second, of all together."""
    for each, partitions in asked:
        each.ask("change", SECONDS, *partitions)
    return sum(float(each.answer()) for each, _ in asked)
