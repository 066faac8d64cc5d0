"""What every sequencer promises of retries; a test class for each inherits this."""

import asyncio

import pytest

from domain.ledger import (
    Idempotency,
    KeyReused,
)
from tests.adapters.index.logs import (
    THERE,
    Open,
    data_of,
    fresh_key,
    note,
    work,
)


class RetriesContract:
    """Inherit, and give the fixture `open_log`."""

    async def test_a_retry_is_answered_with_what_happened_first(self, open_log: Open) -> None:
        key = fresh_key()
        async with open_log() as log:
            first = await log.sequencer.execute(work(note(b"1"), note(b"2"), idempotency=key))
            again = await log.sequencer.execute(work(note(b"3"), idempotency=key))
            assert again.repeated
            assert not first.repeated
            assert (again.position, again.instant, data_of(again.events)) == (
                first.position,
                first.instant,
                [b"1", b"2"],
            )
            assert log.said() == [b"1", b"2"]

    async def test_a_retry_that_waits_beside_the_first_acts_no_more_than_any(self, open_log: Open) -> None:
        key = fresh_key()
        async with open_log() as log:
            outcomes = await asyncio.gather(
                *(log.sequencer.execute(work(note(b"%d" % number), idempotency=key)) for number in range(50))
            )
            assert [each.repeated for each in outcomes].count(False) == 1
            assert len({each.position for each in outcomes}) == 1
            assert len(log.said()) == 1

    async def test_an_idempotency_key_with_another_body_is_an_error(self, open_log: Open) -> None:
        key = fresh_key()
        other = Idempotency(key.key, b"another body")
        async with open_log() as log:
            await log.sequencer.execute(work(note(), idempotency=key))
            with pytest.raises(KeyReused):
                await log.sequencer.execute(work(note(), idempotency=other))

    async def test_an_idempotency_key_means_nothing_in_another_tenant(self, open_log: Open) -> None:
        key = fresh_key()
        async with open_log() as log:
            await log.sequencer.execute(work(note(b"here"), idempotency=key))
            there = await log.sequencer.execute(work(note(b"there"), tenant=THERE, idempotency=key))
            assert not there.repeated
