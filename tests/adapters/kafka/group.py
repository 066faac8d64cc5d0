"""A group of nodes for tests: members on threads or processes of their own, who is told what, and who holds it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from adapters.kafka.client import Callbacks, Client
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from tests.kafka.fixtures import fresh_prefix
from tests.node import PATIENCE


class Group:
    """Who holds what; `clashes` are the partitions that two members held at once without one of them having lost it."""

    def __init__(self) -> None:
        self.name = self.topic = fresh_prefix()
        self.members: list[Member] = []
        self.clashes: list[int] = []

    def join(self, client: Client, name: str, session: float = 6.0) -> "Member":
        member = Member(self, client, name, session)
        self.members.append(member)
        return member

    def close(self) -> None:
        for member in self.members:
            member.leave()


class Member:
    """`told` is what it heard; `giving` is called while a partition is given up."""

    def __init__(self, group: Group, client: Client, name: str, session: float) -> None:
        self.held: frozenset[int] = frozenset()
        self.told: list[tuple[str, frozenset[int]]] = []
        self.giving: Callable[[], None] = lambda: None
        self.problem: BaseException | None = None
        self._group = group
        self._over = threading.Event()
        callbacks = Callbacks(self._take, self._give, self._lose)
        self.membership = client.membership(group.name, group.topic, name, session, callbacks)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self.membership.poll(0.1)
        except BaseException as problem:
            self.problem = problem
        self.held = frozenset()  # who closes has given up what it had
        self.membership.close()

    def _take(self, partitions: frozenset[int], generation: int) -> None:
        for other in self._group.members:
            self._group.clashes += partitions & other.held
        self.told.append(("assigned", partitions))
        self.held |= partitions
        assert generation == self.membership.generation

    def _give(self, partitions: frozenset[int]) -> None:
        self.giving()
        self.told.append(("revoked", partitions))
        self.held -= partitions

    def _lose(self, partitions: frozenset[int]) -> None:
        self.told.append(("lost", partitions))
        self.held -= partitions

    def leave(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


class MemberProcess:
    """A member that can be paused as a whole; `told` grows as it hears."""

    def __init__(self, servers: str, library: str, group: Group, name: str, session: float) -> None:
        words = [servers, library, group.name, name, str(session)]
        self._process = subprocess.Popen([sys.executable, "-m", __name__, *words], stdout=subprocess.PIPE)
        self.told: list[tuple[str, frozenset[int]]] = []
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            what, partitions = json.loads(line)
            self.told.append((what, frozenset(partitions)))

    @property
    def held(self) -> frozenset[int]:
        held: frozenset[int] = frozenset()
        for what, partitions in tuple(self.told):
            held = held | partitions if what == "assigned" else held - partitions
        return held

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()


def main(servers: str, library: Any, group: str, name: str, session: str) -> None:
    parent = os.getppid()

    def say(what: str) -> Callable[..., None]:
        return lambda partitions, *_: print(json.dumps([what, sorted(partitions)]), flush=True)

    client = connect(KafkaSettings(servers, client=library))
    callbacks = Callbacks(say("assigned"), say("revoked"), say("lost"))
    membership = client.membership(group, group, name, float(session), callbacks)
    ends = time.monotonic() + 10 * PATIENCE
    while os.getppid() == parent and time.monotonic() < ends:
        membership.poll(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
