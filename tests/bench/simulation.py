"""A simulated deployment: 100,000 tenants with a skewed load, and how long their commands queue in 256 partitions.

`python -m tests.bench.simulation 20000` prints every partition at so many commands a second. Nothing is measured here:
what a commit and a command cost are figures of docs/performance.md, and everything else is arithmetic and a seed.
"""

import random
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from adapters.kafka.topics import partition_of
from tests.bench.table import Row

TENANTS: Final = 100_000
PARTITIONS: Final = 256
SKEW: Final = 1.0
"""The tenant of rank r has a load of 1 / r ** SKEW: at 1.0 the first of 100,000 has a twelfth of everything."""
SECONDS: Final = 10.0
WARM_UP: Final = 2.0
"""Seconds whose commands are served and not counted."""
SEED: Final = 3
LOADS: Final = (2_000, 10_000, 20_000, 40_000)
"""Commands a second, of all tenants together."""


class Costs(NamedTuple):
    """What an owner needs, in seconds."""

    commit: float = 0.008
    """A transaction on three brokers, whatever is in it; nothing is decided meanwhile."""
    command: float = 0.0002
    """Of one core, for each command: decided, sealed, framed, and written into the index."""
    follow: float = 0.00002
    """Of one core, on every other node, for each command: read, verified, and written into the index."""
    most: int = 256
    """Commands of one commit."""
    busy: float = 0.6
    """Of a node's core, so that it can catch up with what it missed."""

    @property
    def capacity(self) -> float:
        """Commands a second of one partition that has a core to itself."""
        return self.most / (self.commit + self.most * self.command)


class Partition(NamedTuple):
    """What became of a partition's commands; times in seconds."""

    load: float
    """Commands a second that arrive."""
    busy: float
    """Share of the time in which a commit was under way."""
    core: float
    """Share of a core."""
    size: float
    """Commands of an average commit."""
    waits: Sequence[float]
    """From arriving until the commit begins; sorted."""
    answers: Sequence[float]
    """From arriving until the commit is done; sorted."""


def loads_of(total: float, hottest: float | None = None) -> list[float]:
    """Commands a second of each partition; `hottest` is the first tenant's share of all, if it is not the skew's."""
    names = random.Random(SEED)  # noqa: S311
    weights = [rank**-SKEW for rank in range(1, TENANTS + 1)]
    if hottest is not None:
        others = sum(weights) - weights[0]
        weights[0] = others * hottest / (1 - hottest)
    unit = total / sum(weights)
    loads = [0.0] * PARTITIONS
    for weight in weights:
        loads[partition_of(f"ten_{names.getrandbits(128):032x}", PARTITIONS)] += weight * unit
    return loads


def place_of_hottest() -> int:
    return partition_of(f"ten_{random.Random(SEED).getrandbits(128):032x}", PARTITIONS)  # noqa: S311


def serve(load: float, costs: Costs, chance: random.Random, seconds: float = SECONDS) -> Partition:
    """One server with group commit: whatever has arrived when it is free is its next batch, up to the most."""
    arrivals = list(_poisson(load, WARM_UP + seconds, chance))
    waits, answers, sizes = [], [], []
    free, busy, first = 0.0, 0.0, 0
    while first < len(arrivals):
        begins = max(free, arrivals[first])
        last = min(bisect_right(arrivals, begins, lo=first), first + costs.most)
        took = costs.commit + (last - first) * costs.command
        free = begins + took
        if begins >= WARM_UP:
            busy += took
            sizes.append(last - first)
        for arrived in arrivals[first:last]:
            if arrived >= WARM_UP:
                waits.append(begins - arrived)
                answers.append(free - arrived)
        first = last
    waits.sort()
    answers.sort()
    over = max(free, WARM_UP + seconds) - WARM_UP
    size = sum(sizes) / len(sizes) if sizes else 0.0
    return Partition(load, busy / over, sum(sizes) * costs.command / over, size, waits, answers)


def _poisson(rate: float, until: float, chance: random.Random) -> Iterator[float]:
    now = chance.expovariate(rate) if rate else until
    while now < until:
        yield now
        now += chance.expovariate(rate)


def simulate(total: float, costs: Costs = Costs(), hottest: float | None = None) -> list[Partition]:
    chance = random.Random(SEED)  # noqa: S311
    return [serve(load, costs, chance) for load in loads_of(total, hottest)]


def nodes_for(total: float, costs: Costs) -> int | None:
    """How many nodes of one core decide so much, while each follows what the others decide; None: no number does."""
    left = costs.busy - total * costs.follow
    own = total * (costs.command - costs.follow)
    if left <= 0:
        return None
    return max(1, -int(-own // left))


def most_of_any(costs: Costs) -> float:
    """Commands a second that no number of nodes can exceed: each of them is then busy with following alone."""
    return costs.busy / costs.follow


def quantile(values: Sequence[float], part: float) -> float:
    """Of sorted values; 0 if there are none."""
    return values[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def together(partitions: Sequence[Partition]) -> tuple[list[float], list[float]]:
    """The waits and the answers of all, sorted."""
    waits = sorted(wait for each in partitions for wait in each.waits)
    return waits, sorted(answer for each in partitions for answer in each.answers)


def rows(folder: Path) -> Iterator[Row]:
    costs = Costs()
    yield Row("one partition with a core to itself", costs.capacity, "commands/s at most", _given(costs))
    for total in LOADS:
        yield from _of_load(total, simulate(total, costs), costs)
    for share in (0.02, 0.05, 0.1, 0.2):
        hot = simulate(LOADS[2], costs, share)[place_of_hottest()]
        name = f"{LOADS[2]:,}/s, {share:.0%} of them one tenant's: p99 of an answer in its partition"
        yield Row(name, quantile(hot.answers, 0.99) * 1e3, "ms", f"busy {hot.busy:.0%}, {hot.load:,.0f} commands/s")
    yield Row("where nodes do nothing but follow", most_of_any(costs), "commands/s")


def _given(costs: Costs) -> str:
    return f"a commit {costs.commit * 1e3:g} ms, a command {costs.command * 1e3:g} ms, {costs.most} at most"


def _of_load(total: float, partitions: Sequence[Partition], costs: Costs) -> Iterator[Row]:
    waits, answers = together(partitions)
    hottest = max(partitions, key=lambda each: each.load)
    usual = sorted(partitions, key=lambda each: each.load)[PARTITIONS // 2]
    for name, waited, answered, busy in (
        ("all", waits, answers, median(each.busy for each in partitions)),
        ("the usual partition", usual.waits, usual.answers, usual.busy),
        ("the hottest", hottest.waits, hottest.answers, hottest.busy),
    ):
        told = f"wait {_milliseconds(waited)}; busy {busy:.0%}"
        yield Row(f"{total:,}/s, {name}: p99 of an answer", quantile(answered, 0.99) * 1e3, "ms", told)
    over = sum(each.busy > costs.busy for each in partitions)
    nodes = nodes_for(total, costs)
    yield Row(f"{total:,}/s: nodes of one core", float("inf") if nodes is None else nodes, "", f"{over} partitions hot")


def _milliseconds(values: Sequence[float]) -> str:
    return f"p50 {quantile(values, 0.5) * 1e3:.1f}, p99 {quantile(values, 0.99) * 1e3:.1f} ms"


def main(total: float) -> None:
    """Every partition, the hottest first."""
    partitions = simulate(total)
    print("partition  commands/s   busy   core  commands/commit  wait p50    p99  answer p50    p99 (ms)")
    for number, each in sorted(enumerate(partitions), key=lambda pair: -pair[1].load):
        times = [quantile(values, part) * 1e3 for values in (each.waits, each.answers) for part in (0.5, 0.99)]
        line = "{:9d}  {:10,.1f}  {:5.1%}  {:5.1%}  {:15.1f}  {:8.1f} {:6.1f}  {:10.1f} {:6.1f}"
        print(line.format(number, each.load, each.busy, each.core, each.size, *times))
    waits, answers = together(partitions)
    print(f"all: waits {_milliseconds(waits)}; answers {_milliseconds(answers)}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else LOADS[2])
