"""What every sequencer promises; a test class for each inherits this."""

import asyncio
from typing import Any

import pytest

from domain.boundary import Expectation, Item
from domain.command import Refused
from domain.event import Event
from domain.ids import TenantId
from domain.ledger import (
    AuthorityChanged,
    NotReady,
    OpaqueRecorded,
    Query,
    QueueFull,
    TooLarge,
    VersionChanged,
)
from tests.adapters.index.logs import (
    HERE,
    THERE,
    Log,
    Open,
    Seen,
    answered,
    counting,
    data_of,
    latest,
    note,
    taking,
    work,
)


class SequencerContract:
    """Inherit, and give the fixture `open_log`."""

    async def test_commands_at_once_are_decided_one_after_another(self, open_log: Open) -> None:
        async with open_log() as log:
            everybody = (log.sequencer.execute(taking("1A", b"%d" % number)) for number in range(64))
            outcomes = await asyncio.gather(*everybody, return_exceptions=True)
            assert len(answered(outcomes)) == 1
            assert all(isinstance(each, Refused) for each in outcomes if each not in answered(outcomes))
            assert len(log.said()) == 1

    async def test_a_command_sees_what_the_one_before_it_in_the_queue_did(self, open_log: Open) -> None:
        def one_more(seen: Seen) -> list[Event]:
            events = [each.event for each in seen.recorded]
            last = int(events[-1].data) if events and isinstance(events[-1], OpaqueRecorded) else 0
            return [note(b"%d" % (last + 1), "counter:1")]

        async with open_log() as log:
            counting = (work(boundary=latest("counter:1"), decide=one_more) for _ in range(100))
            await asyncio.gather(*map(log.sequencer.execute, counting))
            assert log.said() == [b"%d" % number for number in range(1, 101)]

    async def test_positions_are_dense_for_each_tenant(self, open_log: Open) -> None:
        async with open_log() as log:
            works = [work(note(), note(), tenant=(HERE, THERE)[number % 2]) for number in range(60)]
            outcomes = await asyncio.gather(*map(log.sequencer.execute, works))
            for tenant in (HERE, THERE):
                assert sorted(each.position for each in outcomes if each.tenant == tenant) == list(range(2, 61, 2))
                assert [position for position, _ in log.history.stored(tenant, 0, 100)] == list(range(1, 61))

    async def test_nth_counts_the_events_of_each_tag(self, open_log: Open) -> None:
        async with open_log() as log:
            await asyncio.gather(
                *(log.sequencer.execute(work(note(b"", "a:1"), note(b"", "b:1", "a:1"))) for _ in range(20))
            )
            seen = {"a:1": 0, "b:1": 0}
            for entry in log.history.entries(HERE, Query(), 100):
                for tag, nth in zip(entry.meta.tags, entry.nth, strict=True):
                    seen[tag] += 1
                    assert nth == seen[tag]
            assert seen == {"a:1": 40, "b:1": 20}

    async def test_commands_that_wait_together_share_a_commit(self, open_log: Open) -> None:
        async with open_log() as log:
            await asyncio.gather(*(log.sequencer.execute(work(note())) for _ in range(200)))
            assert log.count("commits") < 100

    async def test_a_command_that_raises_fails_alone(self, open_log: Open) -> None:
        def raises(_: Seen) -> list[Event]:
            raise ZeroDivisionError

        async with open_log() as log:
            works = [work(note(b"before")), work(decide=raises), work(note(b"after"))]
            outcomes = await asyncio.gather(*map(log.sequencer.execute, works), return_exceptions=True)
            assert isinstance(outcomes[1], ZeroDivisionError)
            assert log.said() == [b"before", b"after"]

    async def test_of_a_command_with_an_event_that_cannot_be_stored_nothing_is(self, open_log: Open) -> None:
        too_many = note(b"", *(f"tag:{number}" for number in range(17)))
        async with open_log() as log:
            for wrong in (too_many, note(bytes(66_000)), note(b"", "tag:\ud800")):
                with pytest.raises((ValueError, TooLarge), match=r"most|surrogates"):
                    await log.sequencer.execute(work(note(b"fine", "tag:1"), wrong))
            await log.sequencer.execute(work(note(b"next", "tag:1")))
            assert log.said() == [b"next"]
            (entry,) = log.history.entries(HERE, Query(), 10)
            assert (entry.position, entry.nth) == (1, (1,))

    async def test_what_was_permitted_is_asked_again_once_the_authority_has_changed(self, open_log: Open) -> None:
        held = Expectation(Item(("used:key_1",), ("opaque:revoked",)), 0)
        async with open_log() as log:
            await log.sequencer.execute(work(note(), holds=(held,)))
            revoking = work(note(b"", "used:key_1", type="revoked"))
            acting = work(note(), holds=(held,))
            _, problem = await asyncio.gather(*map(log.sequencer.execute, (revoking, acting)), return_exceptions=True)
            assert isinstance(problem, AuthorityChanged)
            assert (problem.tenant, problem.position) == (HERE, 2)

    async def test_an_authority_of_another_tenant_is_watched_there(self, open_log: Open) -> None:
        held = Expectation(Item(("used:key_1",), ("opaque:revoked",), THERE), 0)
        async with open_log() as log:
            await log.sequencer.execute(work(note(b"", "used:key_1", type="revoked")))
            await log.sequencer.execute(work(note(), holds=(held,)))
            await log.sequencer.execute(work(note(b"", "used:key_1", type="revoked"), tenant=THERE))
            with pytest.raises(AuthorityChanged):
                await log.sequencer.execute(work(note(), holds=(held,)))

    @pytest.mark.parametrize(
        ("item", "changed_by"),
        [
            (Item(("tag:1",), ()), note(b"", "tag:1")),
            (Item(("tag:1",), ("opaque:noted",)), note(b"", "tag:1")),
            (Item((), ("opaque:noted",)), note()),
            (Item((), ()), note(b"", type="anything")),
            (Item(("tag:1", "tag:2"), ()), note(b"", "tag:2", "tag:1")),
            (Item(("tag:1", "tag:2"), ("opaque:noted",)), note(b"", "tag:1", "tag:2")),
        ],
    )
    async def test_a_version_that_has_changed_is_noticed(self, open_log: Open, item: Item, changed_by: Event) -> None:
        others = [
            note(b"", "tag:2", type="other"),
            note(b"", "tag:1", type="quite another"),
            note(b"", "tag:3", type="other"),
        ]
        async with open_log() as log:
            head = (await log.sequencer.execute(work(changed_by, *others))).position
            expected = Expectation(item, head)
            await log.sequencer.execute(work(tenant=THERE, expects=(Expectation(item, 0),)))
            if item.types or len(item.tags) > 1:
                await log.sequencer.execute(work(*others))
            await log.sequencer.execute(work(expects=(expected,)))
            changing, late = work(changed_by), work(note(b"late"), expects=(expected,))
            outcomes = await asyncio.gather(*map(log.sequencer.execute, (changing, late)), return_exceptions=True)
            assert isinstance(outcomes[1], VersionChanged)
            assert b"late" not in log.said()

    async def test_a_tally_counts_what_happened_before_and_in_the_batch(self, open_log: Open) -> None:
        async with open_log() as log:
            for _ in range(2):
                await asyncio.gather(*(log.sequencer.execute(counting()) for _ in range(5)))
            assert log.said() == [b"%d" % number for number in range(10)]

    async def test_a_busy_tenant_does_not_make_the_others_wait(self, open_log: Open) -> None:
        done: list[TenantId] = []

        async def ask(log: Log, tenant: TenantId) -> None:
            await log.sequencer.execute(work(note(), tenant=tenant))
            done.append(tenant)

        async with open_log() as log:
            crowd = [asyncio.create_task(ask(log, HERE)) for _ in range(2000)]
            await asyncio.sleep(0)
            await ask(log, THERE)
            ahead = done.count(HERE)
            await asyncio.gather(*crowd)
            assert ahead < 1000

    async def test_more_than_may_wait_is_turned_away(self, open_log: Open) -> None:
        async with open_log() as log:
            crowd = (log.sequencer.execute(work(note())) for _ in range(6000))
            outcomes = await asyncio.gather(*crowd, return_exceptions=True)
            turned_away = [each for each in outcomes if isinstance(each, QueueFull)]
            assert turned_away
            assert turned_away[0].retry_after > 0
            assert len(log.said()) == 6000 - len(turned_away)

    async def test_what_was_accepted_before_a_stop_is_answered_and_nothing_after(self, open_log: Open) -> None:
        async with open_log() as log:
            crowd = [asyncio.create_task(log.sequencer.execute(work(note()))) for _ in range(300)]
            await asyncio.sleep(0)
            await log.sequencer.stop()
            outcomes = await asyncio.gather(*crowd)
            assert len(log.said()) == len(outcomes) == 300
            with pytest.raises(NotReady, match="stopping"):
                await log.sequencer.execute(work(note()))

    async def test_who_goes_away_does_not_disturb_the_others(self, open_log: Open) -> None:
        async with open_log() as log:
            crowd = [asyncio.create_task(log.sequencer.execute(work(note(b"%d" % number)))) for number in range(40)]
            await asyncio.sleep(0)
            for each in crowd[::2]:
                each.cancel()
            outcomes = await asyncio.gather(*crowd, return_exceptions=True)
            assert len(answered(outcomes)) == 20
            assert (await log.sequencer.execute(work(note(b"next")))).position == log.history.head(HERE)[0]

    async def test_an_errand_finds_no_commit_under_way(self, open_log: Open) -> None:
        async with open_log() as log:
            crowd = [asyncio.create_task(log.sequencer.execute(work(note()))) for _ in range(100)]
            await asyncio.sleep(0)
            was_open = await log.sequencer.exclusively(lambda connection: connection.in_transaction)
            assert not was_open
            await asyncio.gather(*crowd)
            with pytest.raises(ZeroDivisionError):
                await log.sequencer.exclusively(lambda _: 1 // 0)
            await log.sequencer.execute(work(note()))

    async def test_the_writer_waits_for_views_that_lag(self, open_log: Open) -> None:
        pauses = iter((0.001, 0.001, 0.001))
        async with open_log() as log:
            log.sequencer.pace = lambda: next(pauses, 0.0)
            for _ in range(5):
                await log.sequencer.execute(work(note()))
            assert next(pauses, None) is None
            assert len(log.said()) == 5

    async def test_listeners_hear_of_a_commit_before_anybody_is_answered(self, open_log: Open) -> None:
        heard: list[Any] = []
        async with open_log() as log:
            log.sequencer.listeners.append(heard.append)
            outcome = await log.sequencer.execute(work(note(b"1"), note(b"2")))
            (committed,) = heard
            assert committed.heads == {HERE: outcome.position}
            assert data_of([each.event for each in committed.recorded]) == [b"1", b"2"]
            assert committed.sequence == log.sequencer.sequence == 2
