"""Tag counts kept by a cursor: the roots and proofs are those that all events counted at once have."""

import random
import sqlite3
from pathlib import Path

import pytest

from adapters.evidence.buckets import CountsWrong
from adapters.evidence.counts import Counts, HistoryWrong
from domain.evidence.stamps import read_stamp
from domain.evidence.tag_counts import EMPTY_COUNTS, TagCount, TagCounts, tag_hash, verify_count
from domain.evidence.tree import EMPTY_ROOT, Frontier, leaf_hash
from tests.adapters.evidence.histories import MadeHistory, stored_event


def all_counts(history: MadeHistory, tenant: str, size: int) -> TagCounts:
    counts: dict[str, TagCount] = {}
    for stored in history.events[tenant][:size]:
        stamp = read_stamp(stored)
        for tag, nth in stamp.nth.items():
            counts[tag] = TagCount(tag_hash(tag), nth, stamp.position)
    return TagCounts(counts.values())


def root_of(history: MadeHistory, tenant: str, size: int) -> bytes:
    tree = Frontier()
    for stored in history.events[tenant][:size]:
        tree.append(leaf_hash(stored))
    return tree.root()


@pytest.fixture
def history() -> MadeHistory:
    made = MadeHistory()
    made.grow("one", 2_500)
    made.grow("two", 40)
    return made


def test_in_whatever_steps_it_is_counted(history: MadeHistory, tmp_path: Path) -> None:
    counts, choose, size = Counts(tmp_path / "counts.db", history.stored), random.Random(3), 0
    assert counts.advance("one", 0) == (0, EMPTY_ROOT, EMPTY_COUNTS)
    while size < 2_500:
        size = min(2_500, size + choose.choice([1, 1, 2, 3, 10, 400]))
        counted = counts.advance("one", size)
        if choose.random() < 0.1 or size == 2_500:
            expected = all_counts(history, "one", size)
            assert counted == (size, root_of(history, "one", size), expected.root())
            for tag in ("user:7", f"command:cmd_{size}", "nobody:has it"):
                proof = counts.proof("one", tag)
                assert proof == expected.proof(tag)
                known = next((each for each in expected.counts if each.tag == tag_hash(tag)), None)
                assert verify_count(tag, proof, counted.counts) == (known or TagCount(tag_hash(tag), 0, 0))
    assert counts.advance("two", 40).counts == all_counts(history, "two", 40).root()
    counts.close()
    again = Counts(tmp_path / "counts.db", history.stored)
    before = history.read
    assert again.advance("one", 2_500).counts == all_counts(history, "one", 2_500).root()
    assert history.read == before
    again.forget("one")
    assert again.position("one") == 0
    assert again.advance("one", 2_500).counts == all_counts(history, "one", 2_500).root()
    again.close()


def test_what_was_not_kept_was_not_counted(history: MadeHistory) -> None:
    counts = Counts(None, history.stored)
    counts.advance("one", 100)

    def fail() -> None:
        with counts.changing():
            counts.advance("one", 200)
            counts.advance("two", 5)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (counts.position("one"), counts.position("two")) == (100, 0)
    assert counts.advance("one", 200).counts == all_counts(history, "one", 200).root()
    with pytest.raises(CountsWrong, match="200 already"):
        counts.advance("one", 150)
    counts.close()


def test_one_tenants_wrong_history_leaves_the_others_counted(history: MadeHistory) -> None:
    counts = Counts(None, history.stored)
    history.events["two"][3] = b"no event"
    with counts.changing():
        counts.advance("one", 50)
        with pytest.raises(HistoryWrong, match="position 4"):
            counts.advance("two", 40)
    assert (counts.position("one"), counts.position("two")) == (50, 0)
    assert counts.advance("one", 50).counts == all_counts(history, "one", 50).root()
    counts.close()


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        (stored_event(11, ["user:1"], [1]), "holds an event of position 11"),
        (stored_event(10, ["new:1"], [2]), "is number 2 of one of its tags, after 0"),
        (b"\x00\x00\x00\x00\x01", "no stored event"),
    ],
)
def test_a_history_that_no_node_writes_is_not_counted(history: MadeHistory, stored: bytes, says: str) -> None:
    counts = Counts(None, history.stored)
    history.events["one"][9] = stored
    with pytest.raises(HistoryWrong, match=f"position 10.*{says}|position 10: .*{says}"):
        counts.advance("one", 20)
    counts.close()


def test_a_history_that_ends_early_is_not_counted(history: MadeHistory) -> None:
    counts = Counts(None, history.stored)
    with pytest.raises(HistoryWrong, match="position 41 is missing"):
        counts.advance("two", 41)
    counts.close()


@pytest.mark.parametrize("table", ["counts", "nodes"])
def test_damage_of_the_file_is_never_committed_to(history: MadeHistory, tmp_path: Path, table: str) -> None:
    counts = Counts(tmp_path / "counts.db", history.stored)
    counts.advance("one", 2_400)
    with sqlite3.connect(tmp_path / "counts.db") as connection:
        if table == "counts":
            connection.execute("UPDATE counts SET last = last - 1 WHERE tag = ?", (tag_hash("role:3"),))
        else:
            connection.execute("UPDATE nodes SET hash = zeroblob(32) WHERE level = 0")
    connection.close()
    with pytest.raises(CountsWrong, match="not what their hashes say"):
        counts.advance("one", 2_402 if table == "nodes" else 2_500)
    counts.forget("one")
    assert counts.advance("one", 2_500).counts == all_counts(history, "one", 2_500).root()
    counts.close()
