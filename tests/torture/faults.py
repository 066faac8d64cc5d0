"""What is done to the deployment while clients work: one thing at a time, each healed before the next."""

import random
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from tests.kafka.proxy import END_TXN, PRODUCE
from tests.node import PATIENCE
from tests.torture.cluster import LEDGER, Deployment, Node
from tests.torture.noted import Fault, Notes
from tests.torture.topic import Owners

KILLED: Final = "a node was killed, and started again"
ZOMBIE: Final = "a node stood still until others had taken over, then went on"
IN_COMMIT: Final = "a node stood still in the middle of a commit until others had taken over, then went on"
CUT: Final = "a node's link to the brokers was cut"
SILENT: Final = "a node's link to the brokers lost everything"
BROKER: Final = "a broker was killed, and started again"
INDEX: Final = "a node was killed and its index deleted"
DRAINED: Final = "a node was stopped gracefully, and started again"
POSTGRES: Final = "PostgreSQL stood still"
LOOK: Final = 0.2
SETTLED: Final = 10
"""Commands that must be answered after a fault before the next."""
MOST_SESSIONS: Final = 5
"""In which others must have taken over, on however busy a machine."""


class Faults:
    """Does them; blocks, and belongs to one thread at a time."""

    def __init__(self, deployment: Deployment, seed: int) -> None:
        self.kinds: dict[str, Callable[[], str]] = {
            KILLED: self._kill,
            ZOMBIE: self._stand_still,
            IN_COMMIT: self._stand_still_in_a_commit,
            CUT: lambda: self._lose_link(lambda link: link.cut()),
            SILENT: lambda: self._lose_link(lambda link: link.black_hole(None)),
            BROKER: self._kill_broker,
            INDEX: self._delete_index,
            DRAINED: self._drain,
            POSTGRES: self._stop_postgres,
        }
        self._deployment = deployment
        self._session = deployment.settings.session
        self._chance = random.Random(f"faults-{seed}")
        self._owners = Owners(deployment.kafka.servers, LEDGER)
        self._fault = Fault("", "", 0.0)

    def close(self) -> None:
        self._owners.close()

    def do(self, kind: str, notes: Notes) -> Fault:
        """From its begin until it is healed, and clients are answered as before."""
        fault = self._fault = Fault(kind, "", time.monotonic())
        notes.faults.append(fault)
        try:
            fault.target = self.kinds[kind]()
        except (RuntimeError, AssertionError, OSError) as problem:
            fault.problem = str(problem)[-500:]
        fault.healed, before = time.monotonic(), notes.answered
        if self._wait_for(lambda: notes.answered >= before + SETTLED, PATIENCE):
            fault.quiet = time.monotonic()
        return fault

    def _kill(self) -> str:
        """Back at once, or when others have taken over."""
        node = self._owner()
        node.kill()
        if self._chance.random() < 0.5:
            self._wait_until_others_own(node)
        node.start()
        return _name(node)

    def _drain(self) -> str:
        node = self._owner()
        if code := node.stop():
            raise RuntimeError(f"a node ended with {code}")
        node.start()
        return _name(node)

    def _delete_index(self) -> str:
        node = self._owner()
        node.kill()
        node.delete_index()
        node.start()
        return _name(node)

    def _stand_still(self) -> str:
        node = self._owner()
        node.pause()
        try:
            self._wait_until_others_own(node)
            self._wait(self._chance.uniform(0, self._session))
        finally:
            node.resume()
        return _name(node)

    def _stand_still_in_a_commit(self) -> str:
        """What it had begun to send arrives when others have taken over and written."""
        node, request = self._owner(), self._chance.choice((PRODUCE, END_TXN))
        held = node.link.hold({request})
        try:
            self._wait_for(lambda: held.caught > 0, self._session / 2)
            node.pause()
            self._wait_until_others_own(node)
            self._wait(0.5)
            held.end()
            node.resume()
        finally:
            node.resume()
            node.link.pass_all()
        return _name(node)

    def _lose_link(self, lose: Callable[[Any], object]) -> str:
        node = self._owner()
        lose(node.link)
        try:
            self._wait(self._chance.uniform(self._session / 3, self._session * 2.5))
        finally:
            node.link.pass_all()
        return _name(node)

    def _kill_broker(self) -> str:
        broker = self._chance.choice(self._deployment.kafka.brokers)
        broker.kill()
        self._wait(self._chance.uniform(0, self._session))
        broker.start()
        return f"broker {broker.id}"

    def _stop_postgres(self) -> str:
        self._deployment.signal_postgres(signal.SIGSTOP)
        try:
            self._wait(self._chance.uniform(1, self._session))
        finally:
            self._deployment.signal_postgres(signal.SIGCONT)
        return "PostgreSQL"

    def _owner(self) -> Node:
        """A node that owns something, if there is one."""
        self._owners.look()
        nodes = self._deployment.nodes
        return self._chance.choice([each for each in nodes if self._owners.of(each.url)] or [*nodes])

    def _wait_until_others_own(self, node: Node) -> None:
        """What it owned."""

        def is_so() -> bool:
            self._owners.look()
            return not self._owners.of(node.url)

        began = time.monotonic()
        if self._wait_for(is_so, MOST_SESSIONS * self._session):
            self._fault.taken_over = time.monotonic() - began
        else:
            self._fault.problem = f"nobody took over from {_name(node)} in {MOST_SESSIONS} sessions"

    def _wait_for(self, holds: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not (held := holds()) and time.monotonic() < end:
            time.sleep(LOOK / 4)
        return held

    def _wait(self, seconds: float) -> None:
        """How long a fault lasts is a part of it."""
        time.sleep(seconds)


def _name(node: Node) -> str:
    return f"node {node.number}"


class Bag:
    """Kinds in random order, each as often as it is in there before any comes again."""

    def __init__(self, kinds: list[str], chance: random.Random) -> None:
        self._kinds = kinds
        self._chance = chance
        self._left: list[str] = []

    def draw(self) -> str:
        if not self._left:
            self._left = self._chance.sample(self._kinds, len(self._kinds))
        return self._left.pop()
