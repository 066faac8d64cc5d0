"""A simulated deployment: 100,000 tenants with a skewed load, and how long their commands queue in 256 partitions.

`python -m tests.bench.simulation 4000` prints every partition at so many commands a second. Nothing is measured here:
what a commit and a command cost is given, and everything else is arithmetic and a seed.
"""

import random
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from adapters.kafka.topics import partition_of
from tests.bench.table import Row

TENANTS: Final = 100_000
PARTITIONS: Final = 256
SKEW: Final = 1.0
"""The tenant of rank r has a load of 1 / r ** SKEW: at 1.0 the first of 100,000 has a twelfth of everything."""
SECONDS: Final = 20.0
WARM_UP: Final = 2.0
"""Seconds whose commands are served and not counted."""
SEED: Final = 3
LOADS: Final = (1_000, 2_000, 4_000, 8_000, 16_000)
"""Commands a second, of all tenants together."""
HOT: Final = 8_000
SHARES: Final = (0.1, 0.2, 0.4, 0.5)
"""Of the hottest tenant, at that load."""
COPIES: Final = 3


class Costs(NamedTuple):
    """What nodes need, in seconds; docs/scale.md says where the figures are from."""

    commit: float = 0.008
    """A transaction on three brokers, whatever is in it; nothing is decided meanwhile."""
    command: float = 0.0002
    """Of one core, for each command: decided, sealed, framed, and written into the index."""
    follow: float = 0.00006
    """Of one core, on every node that follows, for each command: read, verified, and written into the index."""
    most: int = 256
    """Commands of one commit."""
    busy: float = 0.6
    """Of a node's core; the rest is for reads, and to catch up with what it missed."""

    @property
    def capacity(self) -> float:
        """Commands a second of one partition that has a core to itself."""
        return self.most / (self.commit + self.most * self.command)


class Served(NamedTuple):
    """What became of a partition's commands; times in seconds."""

    load: float
    """Commands a second that arrive."""
    busy: float
    """Share of the time in which a commit was under way. At 1 it is not full yet: commits grow."""
    size: float
    """Commands of an average commit."""
    waits: Sequence[float]
    """From arriving until the commit begins; sorted."""
    answers: Sequence[float]
    """From arriving until the commit is done; sorted."""


def loads_of(total: float, hottest: float | None = None) -> list[float]:
    """Commands a second of each partition; `hottest` is the first tenant's share of all, if it is not the skew's."""
    names = random.Random(SEED)
    weights = [rank**-SKEW for rank in range(1, TENANTS + 1)]
    if hottest is not None:
        others = sum(weights) - weights[0]
        weights[0] = others * hottest / (1 - hottest)
    unit = total / sum(weights)
    loads = [0.0] * PARTITIONS
    for weight in weights:
        loads[partition_of(_name(names), PARTITIONS)] += weight * unit
    return loads


def place_of_hottest() -> int:
    return partition_of(_name(random.Random(SEED)), PARTITIONS)


def _name(names: random.Random) -> str:
    return f"ten_{names.getrandbits(128):032x}"


def serve(load: float, costs: Costs, chance: random.Random, seconds: float = SECONDS) -> Served:
    """One server with group commit: whatever has arrived when it is free is its next commit, up to the most."""
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
    return Served(load, busy / over, sum(sizes) / len(sizes) if sizes else 0.0, waits, answers)


def _poisson(rate: float, until: float, chance: random.Random) -> Iterator[float]:
    now = chance.expovariate(rate) if rate else until
    while now < until:
        yield now
        now += chance.expovariate(rate)


def simulate(total: float, costs: Costs, hottest: float | None = None) -> list[Served]:
    """Every partition, by its number."""
    chance = random.Random(SEED)
    return [serve(load, costs, chance) for load in loads_of(total, hottest)]


def nodes_for(total: float, costs: Costs, copies: int | None = None) -> int | None:
    """How many nodes of one core decide so much; None if no number does.

    Each node follows all that others decide; or, with `copies`, each partition is on so many nodes only.
    """
    if copies is not None:
        return max(copies, ceil(total * (costs.command + (copies - 1) * costs.follow) / costs.busy))
    left = costs.busy - total * costs.follow
    return max(1, ceil(total * (costs.command - costs.follow) / left)) if left > 0 else None


def most_of_all(costs: Costs) -> float:
    """Commands a second that no number of nodes gets beyond: each is then busy with following alone."""
    return costs.busy / costs.follow


def quantile(values: Sequence[float], part: float) -> float:
    """Of sorted values; 0 if there are none."""
    return values[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def together(partitions: Sequence[Served]) -> tuple[list[float], list[float]]:
    """The waits and the answers of all, sorted."""
    waits = sorted(wait for each in partitions for wait in each.waits)
    return waits, sorted(answer for each in partitions for answer in each.answers)


def rows(folder: Path) -> Iterator[Row]:
    costs = Costs()
    given = f"a commit {costs.commit * 1e3:g} ms, a command {costs.command * 1e3:g} ms, {costs.most} at most"
    yield Row("the most that one partition takes", costs.capacity, "commands/s", given)
    for total in LOADS:
        yield from _of_load(total, simulate(total, costs), costs)
    for share in SHARES:
        name = f"{HOT:,}/s, {share:.0%} one tenant's: its partition"
        yield _answers(name, simulate(HOT, costs, share)[place_of_hottest()], costs)
    told = f"each follows all, at {costs.follow * 1e6:g} µs a command"
    yield Row("the most that any number of nodes decides", most_of_all(costs), "commands/s", told)


def _of_load(total: float, partitions: Sequence[Served], costs: Costs) -> Iterator[Row]:
    by_load = sorted(partitions, key=lambda each: each.load)
    waits, answers = together(partitions)
    told = f"waits {_times(waits)}; busy {median(each.busy for each in partitions):.0%} (median)"
    yield Row(f"{total:,}/s: all", quantile(answers, 0.99) * 1e3, "ms, p99 of answers", told)
    yield _answers(f"{total:,}/s: the median partition", by_load[len(by_load) // 2], costs)
    yield _answers(f"{total:,}/s: the hottest partition", by_load[-1], costs)
    for what, nodes in (("", nodes_for(total, costs)), (f", {COPIES} copies", nodes_for(total, costs, COPIES))):
        if nodes is not None:
            yield Row(f"{total:,}/s: it takes{what}", nodes, "nodes of one core")


def _answers(name: str, served: Served, costs: Costs) -> Row:
    full = f"{served.load:,.0f} commands/s, {served.load / costs.capacity:.1%} full"
    told = f"waits {_times(served.waits)}; {full}, busy {served.busy:.0%}"
    return Row(name, quantile(served.answers, 0.99) * 1e3, "ms, p99 of answers", told)


def _times(values: Sequence[float]) -> str:
    return f"p50 {quantile(values, 0.5) * 1e3:.1f}, p99 {quantile(values, 0.99) * 1e3:.1f} ms"


def main(total: float, costs: Costs) -> None:
    """Every partition, the hottest first."""
    partitions = simulate(total, costs)
    print("partition  commands/s   full   busy  a commit  wait p50     p99  answer p50     p99  (ms)")
    for number, each in sorted(enumerate(partitions), key=lambda pair: -pair[1].load):
        times = [quantile(values, part) * 1e3 for values in (each.waits, each.answers) for part in (0.5, 0.99)]
        line = "{:9d}  {:10,.1f}  {:5.1%}  {:5.1%}  {:8.1f}  {:8.1f} {:7.1f}  {:10.1f} {:7.1f}"
        print(line.format(number, each.load, each.load / costs.capacity, each.busy, each.size, *times))
    waits, answers = together(partitions)
    print(f"all: waits {_times(waits)}; answers {_times(answers)}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else HOT, Costs())
