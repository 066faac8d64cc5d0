"""The stored side of a node with several partitions: what it tells its projector, and how far behind it says it is."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from adapters.index.partitions import Partitions
from api.projector import Parent
from api.stored import LONGEST_WAIT, StoredSide
from domain.view import ViewUnavailable
from tests.adapters.partitioned import PartitionedLedger, nodes, shown, until


@pytest.mark.parametrize(
    ("said", "assigned"),
    [
        ([b"=1,3,5\n"], {1, 3, 5}),
        ([b"..=1,", b"3\n..."], {1, 3}),
        ([b"=1\n=\n"], set()),
        ([b"=1\n..=2,30\n..=4"], {2, 30}),
        ([b"=1\n..=2", b"", b"0", b"\n"], {20}),
        ([b"...", b"."], set()),
    ],
)
def test_the_projector_understands_what_it_is_told_however_it_is_cut(
    tmp_path: Path, said: list[bytes], assigned: set[int]
) -> None:
    parent = Parent(Partitions(tmp_path))
    for each in said:
        parent.hear(each)
    assert parent.assigned == assigned


def test_the_embedded_log_is_its_projectors_whatever_it_is_told(tmp_path: Path) -> None:
    parent = Parent(Partitions(tmp_path / "ledger.db"))
    parent.hear(b".=7\n")
    assert parent.assigned == {0}


async def test_lag_and_pace_are_about_the_partitions_that_are_assigned(tmp_path: Path, empty_database: str) -> None:
    metrics = CollectorRegistry()
    async with PartitionedLedger(tmp_path / "ledger") as ledger, nodes([ledger.folder], empty_database) as (node,):
        lone = StoredSide(ledger.folder, tmp_path, empty_database, metrics)
        lone.assign(frozenset({1}))
        lone.grown(5, 0)
        assert (lone.lag(), metrics.get_sample_value("muniment_views_lag_events")) == (0, 0)
        lone.grown(7, 1)
        assert lone.lag() > 0
        assert metrics.get_sample_value("muniment_views_lag_events") == 7
        lone.assign(frozenset({0}))
        assert lone.lag() == 0
        assert metrics.get_sample_value("muniment_views_lag_events") == 5
        with pytest.raises(ViewUnavailable):
            _ = lone.views

        node.assign(frozenset({0, 2}))
        await until(lambda: node.problem is None)
        node.grown(1_000, 2)  # said before it is so: the views can't have it
        await until(lambda: node.pace(2) == LONGEST_WAIT)
        assert node.pace(0) == 0
        assert node.pace(1) == 0
        assert node.state == "behind"
        node.assign(frozenset({0}))
        assert node.pace(2) == 0
        await ledger.partitions[0].grow()
        node.grown(ledger.partitions[0].end, 0)
        await until(lambda: node.lag() == 0)
        await until(lambda: node.state == "current")
        node.assign(frozenset(range(3)))
        await ledger.grow()
        await shown(ledger, empty_database)
