"""What every sequencer promises of clocks; a test class for each inherits this."""

import pytest

from domain.ledger import (
    NotReady,
)
from tests.adapters.index.logs import Clock, Open, fresh_key, note, work


class ClockContract:
    """Inherit, and give the fixture `open_log`."""

    async def test_an_idempotency_key_is_free_again_after_a_day(self, open_log: Open) -> None:
        key, clock = fresh_key(), Clock()
        async with open_log(clock=clock, steady=clock) as log:
            await log.sequencer.execute(work(note(b"1"), idempotency=key))
            clock.go_on(hours=23)
            assert (await log.sequencer.execute(work(note(b"2"), idempotency=key))).repeated
            clock.go_on(hours=2)
            assert not (await log.sequencer.execute(work(note(b"3"), idempotency=key))).repeated
            assert (await log.sequencer.execute(work(note(b"4"), idempotency=key))).repeated
            assert log.said() == [b"1", b"3"]

    async def test_recorded_at_never_decreases(self, open_log: Open) -> None:
        clock = Clock()
        async with open_log(clock=clock, steady=clock) as log:
            first = await log.sequencer.execute(work(note()))
            clock.go_on(seconds=-3)
            second = await log.sequencer.execute(work(note()))
            assert second.instant == first.instant

    async def test_a_clock_set_back_while_running_is_not_believed(self, open_log: Open) -> None:
        clock, steady = Clock(), Clock()
        async with open_log(clock=clock, steady=steady) as log:
            await log.sequencer.execute(work(note()))
            clock.go_on(seconds=-60)
            with pytest.raises(NotReady, match="set back by 60 s"):
                await log.sequencer.execute(work(note()))
            clock.go_on(seconds=60)
            await log.sequencer.execute(work(note()))

    async def test_a_clock_set_a_year_forward_while_running_is_not_believed(self, open_log: Open) -> None:
        clock, steady = Clock(), Clock()
        async with open_log(clock=clock, steady=steady) as log:
            clock.go_on(hours=365 * 24)
            assert "forward" in (log.sequencer.not_ready or "")
            with pytest.raises(NotReady, match="forward"):
                await log.sequencer.execute(work(note()))
