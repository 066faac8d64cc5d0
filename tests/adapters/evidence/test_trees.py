"""Trees in memory: the hashes are those of the whole history, whatever was let go meanwhile."""

import random
import threading

import pytest

from adapters.evidence.trees import BLOCK_BYTES, Trees, TreeShort, leaves_of
from domain.evidence.levels import Levels
from domain.evidence.proofs import consistency_proof, inclusion_proof, root_at
from domain.evidence.tree import leaf_hash
from tests.adapters.evidence.histories import MadeHistory

LITTLE = 5 * BLOCK_BYTES
MUCH = 1 << 28


def whole(history: MadeHistory, tenant: str) -> Levels:
    return Levels(leaf_hash(each) for each in history.events[tenant])


@pytest.mark.parametrize("most", [LITTLE, MUCH])
def test_proofs_are_those_of_the_whole_tree(most: int) -> None:
    history, choose = MadeHistory(), random.Random(2)
    for tenant, events in (("one", 3_000), ("two", 700), ("three", 5)):
        history.grow(tenant, events)
    trees = Trees(leaves_of(history.stored), most)
    for _ in range(300):
        tenant = choose.choice(["one", "two", "three"])
        full = whole(history, tenant) if tenant == "three" else LEVELS.setdefault(tenant, whole(history, tenant))
        size = choose.randint(1, full.size)
        node, index, old = trees.node_of(tenant, size), choose.randrange(size), choose.randint(0, size)
        assert root_at(size, node) == root_at(size, full.node)
        assert inclusion_proof(index, size, node) == inclusion_proof(index, size, full.node)
        assert consistency_proof(old, size, node) == consistency_proof(old, size, full.node)
        assert trees.memory <= max(most, LITTLE) + 3 * BLOCK_BYTES


LEVELS: dict[str, Levels] = {}


def test_a_resident_tree_is_not_read_again_and_grows_by_what_came() -> None:
    history = MadeHistory()
    history.grow("one", 2_000)
    trees = Trees(leaves_of(history.stored), MUCH)
    trees.node_of("one", 2_000)
    assert history.read == 2_000
    node = trees.node_of("one", 1_500)
    inclusion_proof(77, 1_500, node)
    assert history.read == 2_000
    history.grow("one", 30)
    assert root_at(2_030, trees.node_of("one", 2_030)) == root_at(2_030, whole(history, "one").node)
    assert history.read == 2_030


def test_more_than_there_is_can_not_be_proved() -> None:
    history = MadeHistory()
    history.grow("one", 3)
    trees = Trees(leaves_of(history.stored), MUCH)
    with pytest.raises(TreeShort, match="3 events"):
        trees.node_of("one", 4)
    with pytest.raises(IndexError):
        trees.node_of("one", 3)(1, 1)


def test_what_was_rewritten_while_it_was_let_go_is_seen() -> None:
    history = MadeHistory()
    history.grow("one", 3_000)
    trees = Trees(leaves_of(history.stored), LITTLE)
    node = trees.node_of("one", 3_000)
    history.events["one"][10] += b"!"
    with pytest.raises(TreeShort, match="verify the tenant"):
        inclusion_proof(10, 3_000, node)


def test_a_tree_that_is_forgotten_is_read_anew() -> None:
    history = MadeHistory()
    history.grow("one", 600)
    trees = Trees(leaves_of(history.stored), MUCH)
    trees.node_of("one", 600)
    trees.forget("one")
    assert trees.memory == 0
    history.events["one"][0] += b"!"
    assert root_at(600, trees.node_of("one", 600)) == root_at(600, whole(history, "one").node)


def test_many_threads_ask_while_it_grows() -> None:
    history = MadeHistory()
    history.grow("one", 4_000)
    full, wrong = whole(history, "one"), list[object]()
    trees = Trees(leaves_of(history.stored), LITTLE)

    def ask(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(60):
            size = choose.randint(1, full.size)
            index = choose.randrange(size)
            try:
                found = inclusion_proof(index, size, trees.node_of("one", size))
                if found != inclusion_proof(index, size, full.node):
                    wrong.append((index, size))
            except Exception as problem:
                wrong.append(problem)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
