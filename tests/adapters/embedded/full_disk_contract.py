"""What the writer of a log on this machine's disk promises when that is full."""

import asyncio

import pytest

from domain.ledger import NotReady, Query
from tests.adapters.index.logs import HERE, Open, fresh_key, note, room, taking, work


class FullDiskContract:
    """Inherit, and give the fixture `open_log`."""

    async def test_a_refusal_is_not_answered_before_what_it_saw_is_durable(self, open_log: Open) -> None:
        async with open_log() as log:
            await log.sequencer.execute(work(note()))
            await room(log, 2)
            both = [taking("1A", bytes(60_000)), taking("1A", b"late")]
            outcomes = await asyncio.gather(*map(log.sequencer.execute, both), return_exceptions=True)
            assert [type(each) for each in outcomes] == [NotReady, NotReady]

    async def test_a_failed_commit_leaves_no_trace(self, open_log: Open) -> None:
        async with open_log() as log:
            before = [await log.sequencer.execute(work(note(b"before", "tag:1")))]
            await room(log, 2)
            works = [work(note(bytes(60_000), "tag:1", type=f"type{number}")) for number in range(8)]
            outcomes = await asyncio.gather(*map(log.sequencer.execute, works), return_exceptions=True)
            assert all(isinstance(each, NotReady) and "make room" in str(each) for each in outcomes)
            assert log.history.head(HERE)[0] == before[0].position
            await room(log, None)
            after = await log.sequencer.execute(work(note(b"after", "tag:1")))
            assert after.position == before[0].position + 1
            assert log.said() == [b"before", b"after"]
            assert [entry.nth for entry in log.history.entries(HERE, Query(), 10)] == [(1,), (2,)]

    async def test_thousands_of_events_of_one_command_are_recorded_or_none(self, open_log: Open) -> None:
        many = [note(b"%d" % number, "tag:1", f"tag:{number}") for number in range(5000)]
        async with open_log() as log:
            await log.sequencer.execute(work(note(b"before")))
            await room(log, 100)
            with pytest.raises(NotReady):
                await log.sequencer.execute(work(*many))
            await room(log, None)
            assert log.said() == [b"before"]
            assert (await log.sequencer.execute(work(*many))).position == 5001
            assert log.said()[1:] == [event.data for event in many]
            assert [entry.nth[0] for entry in log.history.entries(HERE, Query(tags=("tag:1",)), 6000)] == list(
                range(1, 5001)
            )

    async def test_what_failed_with_its_idempotency_key_may_be_sent_again(self, open_log: Open) -> None:
        key = fresh_key()
        async with open_log() as log:
            await log.sequencer.execute(work(note()))
            await room(log, 2)
            with pytest.raises(NotReady):
                await log.sequencer.execute(work(note(bytes(60_000)), idempotency=key))
            await room(log, None)
            again = await log.sequencer.execute(work(note(bytes(60_000)), idempotency=key))
            assert not again.repeated
