"""What the embedded log remembers over a restart."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from domain.boundary import Expectation, Item
from domain.command import Refused
from domain.evidence.tree import Frontier, leaf_hash
from domain.ledger import (
    Idempotency,
    KeyReused,
    NotReady,
    Query,
    VersionChanged,
)
from tests.adapters.index.logs import (
    HERE,
    Clock,
    Log,
    Open,
    counting,
    data_of,
    fresh_key,
    note,
    running,
    taking,
    work,
)


@pytest.fixture
def open_log(tmp_path: Path) -> Open:
    def opening(**options: Any) -> AbstractAsyncContextManager[Log]:
        return running(tmp_path, **options)

    return opening


async def test_a_boundary_finds_what_was_recorded_before_a_restart(open_log: Open) -> None:
    async with open_log() as log:
        await log.sequencer.execute(taking("1A", b"first"))
    async with open_log() as log:
        with pytest.raises(Refused):
            await log.sequencer.execute(taking("1A", b"second"))


async def test_a_retry_after_a_restart_acts_no_more_than_any(open_log: Open) -> None:
    key = fresh_key()
    async with open_log() as log:
        first = await log.sequencer.execute(work(note(b"1"), note(b"2"), idempotency=key))
        await log.sequencer.execute(work(note(b"other")))
    async with open_log() as log:
        again = await log.sequencer.execute(work(note(b"3"), idempotency=key))
        assert again.repeated
        assert (again.position, data_of(again.events)) == (first.position, [b"1", b"2"])


async def test_a_clock_behind_what_is_recorded_is_not_believed_until_it_has_passed_it(open_log: Open) -> None:
    clock = Clock()
    async with open_log(clock=clock, steady=clock) as log:
        await log.sequencer.execute(work(note()))
    clock.go_on(seconds=-60)
    async with open_log(clock=clock, steady=clock) as log:
        with pytest.raises(NotReady, match="60 s behind"):
            await log.sequencer.execute(work(note()))
        clock.go_on(seconds=61)
        await log.sequencer.execute(work(note()))


async def test_a_clock_a_year_after_what_is_recorded_must_be_accepted(open_log: Open) -> None:
    clock = Clock()
    async with open_log(clock=clock, steady=clock) as log:
        await log.sequencer.execute(work(note()))
    clock.go_on(hours=365 * 24)
    async with open_log(clock=clock, steady=clock) as log:
        with pytest.raises(NotReady, match="365 days after"):
            await log.sequencer.execute(work(note()))
    async with open_log(clock=clock, steady=clock, accept_gap=True) as log:
        await log.sequencer.execute(work(note()))


async def test_a_version_that_changed_before_a_restart_is_noticed_after_it(open_log: Open) -> None:
    expected = [
        Expectation(Item(("tag:1",), ("opaque:noted",)), 1),
        Expectation(Item(("tag:1", "tag:2"), ()), 1),
        Expectation(Item((), ("opaque:noted",)), 1),
        Expectation(Item((), ()), 1),
    ]
    async with open_log() as log:
        await log.sequencer.execute(work(note(), note(b"", "tag:2", "tag:1")))
    async with open_log() as log:
        for each in expected:
            with pytest.raises(VersionChanged):
                await log.sequencer.execute(work(note(), expects=(each,)))
        assert len(log.said()) == 2


async def test_a_tally_is_counted_again_after_a_restart(open_log: Open) -> None:
    async with open_log() as log:
        await asyncio.gather(*(log.sequencer.execute(counting()) for _ in range(5)))
    async with open_log() as log:
        await log.sequencer.execute(counting())
        assert log.said() == [b"%d" % number for number in range(6)]


async def test_an_idempotency_key_with_another_body_is_an_error_after_a_restart(open_log: Open) -> None:
    key = fresh_key()
    async with open_log() as log:
        await log.sequencer.execute(work(note(), idempotency=key))
    async with open_log() as log:
        with pytest.raises(KeyReused):
            await log.sequencer.execute(work(note(), idempotency=Idempotency(key.key, b"another body")))


async def test_nth_and_the_tree_go_on_after_a_restart(open_log: Open) -> None:
    root = Frontier()
    for _ in range(3):
        async with open_log() as log:
            await log.sequencer.execute(work(note(b"", "tag:1", "tag:2"), note(b"", "tag:2")))
            (packed,) = log.database.one("SELECT frontier FROM tenants WHERE tenant = ?", (HERE,))
            root = Frontier.unpack(log.history.head(HERE)[0], packed)
    async with open_log() as log:
        again = Frontier()
        for _, stored in log.history.stored(HERE, 0, 100):
            again.append(leaf_hash(stored))
        assert again.root() == root.root()
        assert [entry.nth for entry in log.history.entries(HERE, Query(), 100)] == [
            (1, 1),
            (2,),
            (2, 3),
            (4,),
            (3, 5),
            (6,),
        ]
