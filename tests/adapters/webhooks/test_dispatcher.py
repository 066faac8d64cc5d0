"""What happens is told: in order, signed, and each tenant's to its own webhooks."""

import asyncio
from pathlib import Path

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from adapters.webhooks.delivering import SECOND
from adapters.webhooks.dispatcher import MOST_EACH
from domain.directory.unique import Unique
from domain.directory.users import EraseUser, ProvisionUser
from domain.event import Code, Instant
from domain.ids import Handle, UserId
from domain.ledger import NewKeys, Query
from domain.tenants import DeleteTenant, ResumeTenant, SuspendTenant
from domain.webhooks.deliveries import ReplayWebhook, RequestWebhookTest
from domain.webhooks.hooks import ChangeWebhook, PauseWebhook, RemoveWebhook, ResumeWebhook, RotateWebhookSecret
from domain.webhooks.life import WebhookAdvanced
from domain.webhooks.secrets import FIELD, kept, secret_from
from tests.adapters.webhooks.office import FLAG, MOMCORP, ON_OFF, SECRET, running, until
from tests.adapters.webhooks.receiver import Receiver, receiving
from tests.domain.people import PLANET_EXPRESS


async def got(receiver: Receiver, positions: list[int]) -> None:
    """The receiver has been sent just these, in this order."""
    await until(lambda: len(receiver.sent) >= len(positions), f"{len(positions)} deliveries")
    assert receiver.positions == positions


async def test_events_are_told_in_their_order_and_signed() -> None:
    with receiving() as receiver:
        async with running() as office:
            await office.hook(receiver.url, *ON_OFF)
            positions = await office.switch(60)
            await got(receiver, positions)
            entries = {each.position: each for each in office.history.entries(PLANET_EXPRESS, Query(), 1000)}
            for sent in receiver.sent:
                entry = entries[sent.says["position"]]
                sent.verify(SECRET)
                assert sent.headers["webhook-id"] == entry.meta.event_id == sent.says["id"]
                assert sent.headers["webhook-timestamp"] == str(office.world.now // SECOND)
                assert sent.says["type"] == entry.event.type_name
                assert sent.says["data"] == {"flag": FLAG}
            assert receiver.most_at_once == 1


async def test_a_connection_is_used_again_while_there_is_more_to_tell() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            await office.do(PauseWebhook(hook))
            positions = await office.switch(20)
            await office.do(ResumeWebhook(hook))
            await got(receiver, positions)
            assert len({sent.connection for sent in receiver.sent}) == 1


async def test_a_webhook_is_told_only_what_it_names_and_of_telling_nothing() -> None:
    with receiving() as named, receiving() as everything:
        async with running() as office:
            await office.hook(named.url, "FlagSwitchedOff")
            first = await office.hook(everything.url)
            positions = await office.switch(5)
            await office.do(RequestWebhookTest(first))
            await until(lambda: len(everything.sent) == 6, "all of it")
            office.go_on(60)
            await until(lambda: len(office.told(WebhookAdvanced)) == 2, "how far both have come")
            positions += await office.switch(1)
            await until(lambda: len(everything.sent) == 7, "one more")
            await got(named, positions[::2])
            told = [each.says["type"] for each in everything.sent]
            assert told.count("WebhookTestRequested") == 1, "the test itself, out of order"
            assert set(told) == {"FlagSwitchedOff", "FlagSwitchedOn", "WebhookTestRequested"}


async def test_it_begins_where_it_is_told_to() -> None:
    with receiving() as whole, receiving() as rest:
        async with running() as office:
            await office.hook(whole.url, from_position=1)
            await until(lambda: len(whole.sent) == 3, "the whole history")
            assert [each.says["type"] for each in whole.sent] == ["TenantCreated", "FlagDefined", "WebhookCreated"]
            assert whole.sent[2].says["data"].keys() == {
                "tenant",
                "webhook",
                "url",
                "types",
                "personal",
                "patience",
                "from_position",
                "name",
            }
            await office.hook(rest.url, *ON_OFF)
            await got(rest, [])
            await got(rest, await office.switch(1))


async def test_sealed_values_are_left_out_unless_the_webhook_is_told_them() -> None:
    with receiving() as plain, receiving() as personal:
        async with running() as office:
            await office.hook(plain.url, "FlagDefined", from_position=1)
            await office.hook(personal.url, "FlagDefined", personal=True, from_position=1)
            await until(lambda: plain.sent and personal.sent, "both")
            assert plain.sent[0].says["data"]["description"] is None
            assert plain.sent[0].says["sealed"] == "description"
            assert b"Fry" not in plain.sent[0].body
            assert personal.sent[0].says["data"]["description"] == "Fry's own"
            assert personal.sent[0].says.keys() & {"sealed", "erased"} == set()


async def test_who_is_erased_is_told_of_no_more() -> None:
    with receiving() as receiver:
        async with running() as office:
            fry, keys = UserId("usr_fry"), NewKeys()
            name = office.world.keyring.seal(keys, PLANET_EXPRESS, fry, "user_name", "fry")
            handle = office.world.keyring.handle(keys, PLANET_EXPRESS, "user_name", "fry")
            await office.do(ProvisionUser(fry, Unique(name, Handle(handle))), keys=keys)
            await office.do(EraseUser(fry))
            await office.hook(receiver.url, "UserProvisioned", personal=True, from_position=1)
            await until(lambda: receiver.sent, "the event")
            assert receiver.sent[0].says["data"]["user_name"] is None
            assert receiver.sent[0].says["erased"] == "user_name"


async def test_a_tenants_events_are_told_to_its_own_webhooks_alone() -> None:
    with receiving() as mine, receiving() as theirs:
        async with running() as office:
            await office.found(MOMCORP)
            await office.hook(mine.url, *ON_OFF)
            await office.hook(theirs.url, *ON_OFF, tenant=MOMCORP)
            here, there = await office.switch(3), await office.switch(4, MOMCORP)
            await got(mine, here)
            await got(theirs, there)
            assert {each.says["tenant"] for each in mine.sent} == {PLANET_EXPRESS}
            assert {each.says["tenant"] for each in theirs.sent} == {MOMCORP}


async def test_one_tenants_slow_receivers_hold_up_nobody_else() -> None:
    with receiving() as slow, receiving() as quick:
        slow.held.clear()
        async with running() as office:
            await office.found(MOMCORP)
            for _ in range(MOST_EACH + 4):
                await office.hook(slow.url, *ON_OFF, tenant=MOMCORP)
            await office.hook(quick.url, *ON_OFF)
            await office.switch(1, MOMCORP)
            await until(lambda: len(slow.sent) == MOST_EACH, "as many as one tenant may have at once")
            await got(quick, await office.switch(5))
            assert len(slow.sent) == MOST_EACH
            slow.held.set()
            await until(lambda: len(slow.sent) == MOST_EACH + 4, "the rest")


async def test_while_a_secret_is_replaced_both_verify() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook, keys = await office.hook(receiver.url, *ON_OFF), NewKeys()
            new = secret_from(bytes(32))
            sealed = office.world.keyring.seal(keys, PLANET_EXPRESS, hook, FIELD, new)
            until_then = Instant(office.world.now + 60 * SECOND)
            await office.do(RotateWebhookSecret(hook, kept(sealed), until_then), keys=keys)
            await office.switch(1)
            await until(lambda: len(receiver.sent) == 1, "one")
            receiver.sent[0].verify(SECRET)
            receiver.sent[0].verify(new)
            office.go_on(60)
            await office.switch(1)
            await until(lambda: len(receiver.sent) == 2, "another")
            receiver.sent[1].verify(new)
            with pytest.raises(WebhookVerificationError):
                receiver.sent[1].verify(SECRET)


async def test_what_is_paused_is_told_later() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            first = await office.switch(2)
            await got(receiver, first)
            await office.do(PauseWebhook(hook))
            await until(lambda: office.told(WebhookAdvanced), "how far it has come")
            assert office.told(WebhookAdvanced) == [WebhookAdvanced(hook, first[-1])]
            missed = await office.switch(3)
            await office.do(ResumeWebhook(hook))
            await got(receiver, first + missed)


async def test_a_suspended_tenant_is_told_nothing_until_it_is_resumed() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url)
            await office.do(SuspendTenant(PLANET_EXPRESS))
            resumed = (await office.do(ResumeTenant(PLANET_EXPRESS))).position
            await got(receiver, [resumed - 1, resumed])
            receiver.held.clear()
            await office.switch(1)
            await until(lambda: len(receiver.sent) == 3, "one under way")
            await office.do(DeleteTenant(PLANET_EXPRESS))
            receiver.held.set()
            await until(lambda: receiver.at_once == 0, "its end")
            assert office.dispatcher.progress(PLANET_EXPRESS, hook) is None


async def test_what_is_removed_is_told_nothing() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            await got(receiver, await office.switch(1))
            await office.do(RemoveWebhook(PLANET_EXPRESS, hook))
            await office.switch(1)
            assert office.dispatcher.progress(PLANET_EXPRESS, hook) is None
            while await office.attempts(hook):
                await asyncio.sleep(0.005)
            assert len(receiver.sent) == 1


async def test_a_replay_tells_again_from_a_position_under_the_same_ids() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            positions = await office.switch(4)
            await got(receiver, positions)
            await office.do(ReplayWebhook(hook, positions[2]))
            await got(receiver, positions + positions[2:])
            ids = [each.headers["webhook-id"] for each in receiver.sent]
            assert ids[4:] == ids[2:4]


async def test_a_replay_can_skip() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            receiver.otherwise = 500
            positions = await office.switch(3)
            await until(lambda: len(receiver.sent) == 1, "a failure")
            receiver.otherwise = 204
            await office.do(ReplayWebhook(hook, positions[-1]))
            await got(receiver, [positions[0], positions[-1]])


async def test_a_replay_that_is_asked_for_during_a_delivery_is_not_undone_by_it() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            positions = await office.switch(2)
            await got(receiver, positions)
            receiver.held.clear()
            later = await office.switch(1)
            await until(lambda: len(receiver.sent) == 3, "one under way")
            await office.do(ReplayWebhook(hook, positions[0]))
            receiver.held.set()
            await got(receiver, [*positions, *later, *positions, *later])


async def test_a_changed_url_and_filter_hold_from_the_next_delivery_on() -> None:
    with receiving() as before, receiving() as after:
        async with running() as office:
            hook, keys = await office.hook(before.url, *ON_OFF), NewKeys()
            await got(before, await office.switch(1))
            url = office.world.keyring.seal(keys, PLANET_EXPRESS, hook, "url", after.url)
            await office.do(ChangeWebhook(hook, url, (Code("FlagSwitchedOff"),), False, 60), keys=keys)
            positions = await office.switch(3)
            await got(after, positions[1:2])
            assert len(before.sent) == 1


async def test_a_test_is_one_delivery_also_while_it_is_paused() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            await office.do(PauseWebhook(hook))
            receiver.otherwise = 500
            asked = (await office.do(RequestWebhookTest(hook))).position
            made = await office.dispatcher.attempt_of(PLANET_EXPRESS, hook, asked, 60)
            assert made is not None
            assert (made.kind, made.status, made.delivered, made.attempt) == ("test", 500, False, 1)
            receiver.sent[0].verify(SECRET)
            assert await office.dispatcher.attempt_of(PLANET_EXPRESS, hook, asked + 1, 0.01) is None
            assert len(receiver.sent) == 1


async def test_after_a_restart_it_goes_on_where_it_was(tmp_path: Path) -> None:
    with receiving() as receiver:
        async with running(tmp_path / "webhooks.db") as office:
            await office.hook(receiver.url, *ON_OFF)
            first = await office.switch(3)
            await got(receiver, first)
            await office.restart()
            second = await office.switch(3)
            await got(receiver, first + second)
            assert (tmp_path / "webhooks.db").stat().st_mode & 0o077 == 0


async def test_a_node_that_never_delivered_goes_on_where_the_ledger_says() -> None:
    """A book in memory is lost with its node; the one that stopped has said how far it came."""
    with receiving() as receiver:
        async with running() as office:
            await office.hook(receiver.url, *ON_OFF)
            first = await office.switch(3)
            await got(receiver, first)
            await office.restart()
            await got(receiver, first + await office.switch(2))


async def test_a_busy_webhook_says_how_far_it_has_come_once_a_minute() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            positions = await office.switch(4)
            await got(receiver, positions)
            assert office.told(WebhookAdvanced) == []
            office.go_on(60)
            await until(lambda: office.told(WebhookAdvanced), "it is said")
            more = await office.switch(2)
            await got(receiver, positions + more)
            assert office.told(WebhookAdvanced) == [WebhookAdvanced(hook, positions[-1])]


async def test_only_the_node_whose_tenant_it_is_delivers_and_the_next_one_goes_on() -> None:
    with receiving() as receiver:
        async with running(mine=set()) as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            positions = await office.switch(3)
            assert office.dispatcher.progress(PLANET_EXPRESS, hook) is None
            office.mine = {PLANET_EXPRESS}
            office.dispatcher.ownership_changed()
            await got(receiver, positions)
            office.mine = set()
            office.dispatcher.ownership_changed()
            assert office.dispatcher.progress(PLANET_EXPRESS, hook) is None
            missed = await office.switch(2)
            office.mine = {PLANET_EXPRESS}
            office.dispatcher.ownership_changed()
            await until(lambda: missed[-1] in receiver.positions, "the rest")
            assert receiver.positions[-2:] == missed
            assert sorted(set(receiver.positions)) == positions + missed


async def test_attempts_are_counted() -> None:
    with receiving() as receiver:
        async with running() as office:
            await office.hook(receiver.url, *ON_OFF)
            await got(receiver, await office.switch(2))
            receiver.otherwise = 500
            await office.switch(1)

            def count(outcome: str) -> float | None:
                return office.metrics.get_sample_value("muniment_webhook_attempts_total", {"outcome": outcome})

            await until(lambda: (count("delivered"), count("failed")) == (2, 1), "three attempts")
            assert office.metrics.get_sample_value("muniment_webhooks_failing") == 1


async def test_events_that_come_while_it_is_stopped_are_told_by_the_next(tmp_path: Path) -> None:
    with receiving() as receiver:
        async with running(tmp_path / "webhooks.db") as office:
            await office.hook(receiver.url, *ON_OFF)
            receiver.held.clear()
            positions = await office.switch(2)
            await until(lambda: len(receiver.sent) == 1, "one under way")
            stopping = asyncio.create_task(office.stop())
            receiver.held.set()
            await stopping
            await office.switch(1)
            office.begin()
            await until(lambda: len(set(receiver.positions)) == 3, "all three")
            assert sorted(receiver.positions) == receiver.positions
            assert receiver.positions[0] == positions[0]
