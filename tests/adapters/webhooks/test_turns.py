"""Turns go round among tenants, whoever has more that waits."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.webhooks.turns import Turns
from domain.ids import TenantId

A, B, C = TenantId("ten_a"), TenantId("ten_b"), TenantId("ten_c")


def taken(turns: Turns[str]) -> list[str]:
    found = []
    while turn := turns.take():
        found.append(turn[1])
    return found


def test_tenants_take_turns() -> None:
    turns: Turns[str] = Turns(100, 100)
    for key in ("a1", "a2", "a3"):
        turns.add(A, key)
    turns.add(B, "b1")
    turns.add(C, "c1")
    assert taken(turns) == ["a1", "b1", "c1", "a2", "a3"]


def test_nobody_waits_twice() -> None:
    turns: Turns[str] = Turns(100, 100)
    turns.add(A, "a1")
    turns.add(A, "a1")
    assert taken(turns) == ["a1"]
    turns.add(A, "a1")
    assert taken(turns) == ["a1"]


def test_no_tenant_has_more_than_its_share_and_all_together_no_more_than_there_is() -> None:
    turns: Turns[str] = Turns(3, 2)
    for key in ("a1", "a2", "a3"):
        turns.add(A, key)
    for key in ("b1", "b2"):
        turns.add(B, key)
    assert taken(turns) == ["a1", "b1", "a2"]
    turns.over(B)
    assert taken(turns) == ["b2"]
    turns.over(A)
    assert taken(turns) == ["a3"]


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(0, 5), st.booleans()), max_size=200))
def test_what_is_added_is_taken_once_and_within_bounds(steps: list[tuple[TenantId, int, bool]]) -> None:
    turns: Turns[tuple[TenantId, int]] = Turns(4, 2)
    waiting: set[tuple[TenantId, int]] = set()
    running: list[TenantId] = []
    for tenant, number, ends in steps:
        turns.add(tenant, (tenant, number))
        waiting.add((tenant, number))
        while turn := turns.take():
            assert turn[1] in waiting
            waiting.discard(turn[1])
            running.append(turn[0])
            assert len(running) <= 4
            assert running.count(turn[0]) <= 2
        for key in waiting:
            assert len(running) == 4 or running.count(key[0]) == 2, "nobody waits while there is room"
        if ends and running:
            turns.over(running.pop(0))
