"""A real node for tests: the product's own command, in a process of its own, on a folder that is thrown away."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

PATIENCE = 90.0
"""Seconds; only a limit for what will never come: every wait is for a condition."""


class NodeProcess:
    """`muniment serve --json` on a data folder; `url` and `operator_key` are what it printed when it was ready."""

    def __init__(
        self, data: Path, *, environment: dict[str, str] | None = None, arguments: tuple[str, ...] = ()
    ) -> None:
        self.data = data
        self.errors = data.parent / f"{data.name}.stderr"
        command = [sys.executable, "-m", "api.cli", "serve", "--data", str(data), "--port", "0", "--json", *arguments]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **(environment or {})}
            )
        line = self._first_line()
        ready: dict[str, str] = json.loads(line)
        self.url, self.operator_key = ready["url"], ready["operator_key"]

    def _first_line(self) -> bytes:
        out = self.process.stdout
        assert out is not None
        readable, _, _ = select.select([out], [], [], PATIENCE)
        line = out.readline() if readable else b""
        if not line:
            self.kill()
            raise RuntimeError(f"the node did not get ready: {self.errors.read_text()[-2000:]}")
        return line

    def client(self, key: str | None = None) -> httpx.Client:
        """Speaks to it as the operator, or with another key."""
        headers = {"Authorization": f"Bearer {key or self.operator_key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE)

    def kill(self) -> None:
        """As the machine would: no goodbye."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self._over()

    def _over(self) -> int:
        code = self.process.wait(PATIENCE)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def stop(self) -> int:
        """Gracefully; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self._over()
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextlib.contextmanager
def running_node(data: Path, **settings: Any) -> Iterator[NodeProcess]:
    """A node for as long as the block lasts; what it started besides itself is gone afterwards too."""
    node = NodeProcess(data, **settings)
    try:
        yield node
    finally:
        node.stop()


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait for a condition and return what it gave."""
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.02)
    return found


def children(node: NodeProcess, kind: str) -> list[psutil.Process]:
    """The processes of a node that are its projector, or its PostgreSQL."""
    if kind == "projector":
        found = psutil.Process(node.process.pid).children(recursive=True)
        return [each for each in found if "api.projector" in " ".join(each.cmdline())]
    cluster = (node.data / "postgres" / "cluster" / "postmaster.pid").read_text()
    return [psutil.Process(int(cluster.split("\n", 1)[0]))]
