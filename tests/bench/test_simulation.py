"""The simulation's arithmetic, where a formula says what must come out."""

import random
from pathlib import Path

import pytest

from tests.bench.simulation import (
    PARTITIONS,
    Costs,
    loads_of,
    most_of_all,
    nodes_for,
    place_of_hottest,
    quantile,
    rows,
    serve,
)

SECONDS = 400.0


@pytest.mark.parametrize("load", [300.0, 600.0, 800.0])
def test_one_at_a_time_waits_as_the_formula_says(load: float) -> None:
    # M/D/1: the mean wait is full / (2 (1 - full)) services.
    costs = Costs(commit=0.0, command=0.001, most=1)
    served = serve(load, costs, random.Random(1), SECONDS)
    full = load / costs.capacity
    assert sum(served.waits) / len(served.waits) == pytest.approx(0.001 * full / (2 * (1 - full)), rel=0.1)
    assert served.busy == pytest.approx(full, rel=0.02)
    assert served.size == 1


def test_a_command_that_is_alone_waits_for_nothing_but_its_commit() -> None:
    costs = Costs()
    served = serve(0.1, costs, random.Random(2), 1_000.0)
    assert quantile(served.waits, 0.5) == 0
    assert quantile(served.answers, 0.5) == pytest.approx(costs.commit + costs.command)


def test_commits_grow_with_the_load_until_they_are_full() -> None:
    costs = Costs()
    light, heavy = (serve(load * costs.capacity, costs, random.Random(3)) for load in (0.3, 0.98))
    assert 1 < light.size < heavy.size < costs.most
    # A commit holds what came during the one before: n = load × (commit + n × command), on average.
    load = light.load
    assert light.size == pytest.approx(load * costs.commit / (1 - load * costs.command), rel=0.1)
    beyond = serve(1.5 * costs.capacity, costs, random.Random(3))
    assert beyond.size == pytest.approx(costs.most, rel=0.05)
    assert beyond.busy == pytest.approx(1, rel=0.01)


def test_every_command_is_answered() -> None:
    served = serve(1_000.0, Costs(), random.Random(4), 100.0)
    assert len(served.waits) == len(served.answers) == pytest.approx(100_000, rel=0.02)
    assert served.waits == sorted(served.waits)
    assert all(answer >= Costs().commit for answer in served.answers)


def test_the_same_seed_gives_the_same() -> None:
    assert serve(500.0, Costs(), random.Random(5)) == serve(500.0, Costs(), random.Random(5))


def test_loads_are_those_of_all_tenants() -> None:
    skewed = loads_of(10_000)
    assert len(skewed) == PARTITIONS
    assert sum(skewed) == pytest.approx(10_000)
    assert min(skewed) > 0
    assert max(skewed) == skewed[place_of_hottest()] > 10_000 / 13


def test_a_tenants_share_can_be_given() -> None:
    usual, hot = loads_of(10_000), loads_of(10_000, 0.5)
    assert sum(hot) == pytest.approx(10_000)
    assert 5_000 < hot[place_of_hottest()] < 5_200
    others = [number for number in range(PARTITIONS) if number != place_of_hottest()]
    assert all(hot[number] < usual[number] for number in others)


def test_so_many_nodes_and_one_less_does_not_do() -> None:
    costs = Costs()

    def core(total: float, nodes: int) -> float:
        return (total * costs.command + (nodes - 1) * total * costs.follow) / nodes

    for total in (500, 2_000, 4_000, 0.9 * most_of_all(costs)):
        nodes = nodes_for(total, costs)
        assert nodes is not None
        assert core(total, nodes) <= costs.busy + 1e-9
        assert nodes == 1 or core(total, nodes - 1) > costs.busy
    assert nodes_for(most_of_all(costs), costs) is None


def test_with_copies_there_is_always_a_number() -> None:
    costs = Costs()
    assert nodes_for(1, costs, 3) == 3
    total = 10 * most_of_all(costs)
    nodes = nodes_for(total, costs, 3)
    assert nodes is not None
    assert total * (costs.command + 2 * costs.follow) / nodes <= costs.busy


def test_the_table_holds_what_it_says(tmp_path: Path) -> None:
    found = {row.row: row for row in rows(tmp_path)}
    assert found["the most that one partition takes"].value == pytest.approx(Costs().capacity)
    hot = [row.value for name, row in found.items() if "one tenant's" in name]
    assert hot == sorted(hot)
    assert found["1,000/s: it takes"].value == 1
    assert "16,000/s: it takes" not in found
    document = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    told = [f"{row.value:.1f} ms" for row in found.values() if row.unit.startswith("ms") and "median" not in row.row]
    assert [each for each in told if each not in document] == []
    assert f"{Costs().capacity:,.0f} commands/s" in document
