"""What does not arrive is tried again, later and later, before anything else; in the end it is a dead letter."""

from pathlib import Path

import pytest

from adapters.webhooks.delivering import SECOND, Policy
from adapters.webhooks.hook import Progress
from domain.command import Missing
from domain.event import Code
from domain.ids import WebhookId
from domain.ledger import NewKeys
from domain.webhooks.deliveries import (
    ReplayWebhook,
    RetryDeadLetter,
    WebhookDeadLetterDelivered,
    WebhookDeliveryFailed,
)
from domain.webhooks.hooks import ChangeWebhook, PauseWebhook, ResumeWebhook
from domain.webhooks.life import WebhookAdvanced, WebhookDisabled
from tests.adapters.webhooks.office import ON_OFF, Office, running, until
from tests.adapters.webhooks.receiver import receiving
from tests.domain.people import PLANET_EXPRESS

POLICY = Policy()
DAY = 86_400


def progress(office: Office, hook: WebhookId) -> Progress:
    """Nothing has come of it yet while it is not loaded."""
    return office.dispatcher.progress(PLANET_EXPRESS, hook) or Progress(0, 0, 0, None, None)


async def failed(office: Office, hook: WebhookId, attempts: int) -> Progress:
    """What comes next has failed this many times."""
    await until(lambda: progress(office, hook).next_attempt_at and progress(office, hook).attempts == attempts, "it")
    return progress(office, hook)


async def try_again(office: Office, hook: WebhookId) -> None:
    """Time passes until the next attempt is due, and the attempt is made."""
    due = progress(office, hook).next_attempt_at
    assert due is not None
    office.go_to(due)
    await until(lambda: progress(office, hook).next_attempt_at != due, "the outcome of another attempt")


async def test_what_fails_is_tried_again_before_anything_that_comes_after_it() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            receiver.answers.extend((500, 503, 404))
            positions = await office.switch(3)
            for attempts in (1, 2, 3):
                await failed(office, hook, attempts)
                await try_again(office, hook)
            await until(lambda: progress(office, hook).reached >= positions[-1], "all of them")
            assert receiver.positions == [positions[0]] * 3 + positions
            assert len({each.headers["webhook-id"] for each in receiver.sent[:4]}) == 1
            made = (await office.attempts(hook))[::-1]
            assert [(each.attempt, each.status, each.delivered) for each in made] == [
                (1, 500, False),
                (2, 503, False),
                (3, 404, False),
                (4, 204, True),
                (1, 204, True),
                (1, 204, True),
            ]
            assert [each.next_at is None for each in made] == [False] * 3 + [True] * 3


async def test_attempts_come_later_and_later() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            receiver.otherwise = 500
            await office.switch(1)
            await failed(office, hook, 1)
            waits = []
            for _ in range(12):
                waits.append((progress(office, hook).next_attempt_at or 0) - office.world.now)
                await try_again(office, hook)
            for number, wait in enumerate(waits):
                expected = min(POLICY.longest_delay, POLICY.first_delay * 2**number)
                assert 0.75 * expected <= wait <= 1.25 * expected
            assert len(set(waits)) == len(waits), "nobody's attempts fall together for ever"


async def test_a_receiver_that_asks_for_time_gets_it_within_reason() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            receiver.answers.extend(((429, {"Retry-After": "1200"}), (503, {"Retry-After": "999999"})))
            await office.switch(1)
            await failed(office, hook, 1)
            assert progress(office, hook).next_attempt_at == office.world.now + 1200 * SECOND
            await try_again(office, hook)
            assert progress(office, hook).next_attempt_at == office.world.now + 3600 * SECOND


async def test_nobody_there_is_a_failure_like_any_other() -> None:
    with receiving() as receiver:
        url = receiver.url
    async with running() as office:
        hook = await office.hook(url, *ON_OFF)
        await office.switch(1)
        await failed(office, hook, 1)
        (attempt,) = await office.attempts(hook)
        assert (attempt.status, attempt.reason) == (None, "no connection could be made")


async def until_dead(office: Office, hook: WebhookId, letters: int = 1) -> None:
    """Time passes until there are so many dead letters."""
    await until(lambda: progress(office, hook).next_attempt_at, "a failure")
    while len(office.told(WebhookDeliveryFailed)) < letters:
        if progress(office, hook).next_attempt_at:
            await try_again(office, hook)
        await until(
            lambda: progress(office, hook).next_attempt_at or len(office.told(WebhookDeliveryFailed)) >= letters,
            "the next failure, or its dead letter",
        )


async def test_what_can_not_be_delivered_is_dead_lettered_and_the_rest_goes_on() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF, patience=600)
            receiver.otherwise = 400
            began = office.world.now
            positions = await office.switch(2)
            await until_dead(office, hook)
            receiver.otherwise = 204
            (letter,) = office.told(WebhookDeliveryFailed)
            assert (letter.webhook, letter.failed_position, letter.status) == (hook, positions[0], 400)
            assert letter.reason == "the receiver answered 400"
            assert letter.since == began
            assert office.world.now - began == 600 * SECOND
            assert letter.attempts == receiver.positions.count(positions[0])
            assert office.told(WebhookAdvanced)[0] == WebhookAdvanced(hook, positions[0])
            await until(
                lambda: progress(office, hook).reached >= positions[1] or progress(office, hook).next_attempt_at,
                "the next event, which may have met the old answer",
            )
            if progress(office, hook).next_attempt_at:
                await try_again(office, hook)
            await until(lambda: progress(office, hook).reached >= positions[1], "its delivery")
            assert receiver.positions[-1] == positions[1]


async def test_a_dead_letter_is_retried_once_and_out_of_order() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF, patience=60)
            receiver.otherwise = 400
            (position,) = await office.switch(1)
            await until_dead(office, hook)
            before = len(receiver.sent)
            await office.do(RetryDeadLetter(hook, position))
            await until(lambda: len(office.told(WebhookDeliveryFailed)) == 2, "it fails again")
            assert len(receiver.sent) == before + 1
            receiver.otherwise = 204
            later = await office.switch(1)
            await until(lambda: receiver.positions[-1] == later[0], "what comes after it")
            await office.do(PauseWebhook(hook))
            await office.do(RetryDeadLetter(hook, position))
            await until(lambda: office.told(WebhookDeadLetterDelivered), "it arrives after all")
            assert receiver.positions[-1] == position
            assert [each.kind for each in await office.attempts(hook)][:1] == ["retry"]
            with pytest.raises(Missing):
                await office.do(RetryDeadLetter(hook, position))


async def test_a_dead_letter_that_a_replay_delivers_is_one_no_more() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF, patience=60)
            receiver.otherwise = 400
            (position,) = await office.switch(1)
            await until_dead(office, hook)
            receiver.otherwise = 204
            await office.do(ReplayWebhook(hook, position))
            await until(lambda: office.told(WebhookDeadLetterDelivered), "it arrives")
            assert office.told(WebhookDeadLetterDelivered) == [WebhookDeadLetterDelivered(hook, position)]


async def test_a_retry_that_was_asked_for_is_made_by_the_next_node() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF, patience=60)
            receiver.otherwise = 400
            (position,) = await office.switch(1)
            await until_dead(office, hook)
            receiver.otherwise = 204
            await office.stop()
            await office.do(RetryDeadLetter(hook, position))
            office.begin()
            await until(lambda: office.told(WebhookDeadLetterDelivered), "it arrives")


async def test_where_nothing_gets_through_for_days_the_webhook_is_disabled_and_nothing_is_lost() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            receiver.otherwise = 500
            began = office.world.now
            positions = await office.switch(4)
            await failed(office, hook, 1)
            while not office.told(WebhookDisabled):
                if progress(office, hook).next_attempt_at:
                    await try_again(office, hook)
                await until(lambda: progress(office, hook).next_attempt_at or office.told(WebhookDisabled), "the end")
            (disabled,) = office.told(WebhookDisabled)
            assert disabled.since == began
            assert 5 * DAY <= (office.world.now - began) / SECOND <= 5 * DAY + 20 * 60
            letters = [each.failed_position for each in office.told(WebhookDeliveryFailed)]
            assert letters == positions[:1], "what is tried for three days of the five"
            receiver.otherwise = 204
            receiver.sent.clear()
            await office.do(ResumeWebhook(hook))
            await until(lambda: len(receiver.sent) == 3, "the rest")
            assert receiver.positions == positions[1:]
            assert progress(office, hook).failing_since is None


async def test_a_receiver_that_is_gone_for_good_is_not_asked_again() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            receiver.answers.append(410)
            positions = await office.switch(2)
            await until(lambda: office.told(WebhookDisabled), "it is disabled")
            assert office.told(WebhookDisabled)[0].reason == "the receiver answered 410 Gone: it wants no more"
            office.go_on(DAY)
            assert receiver.positions == positions[:1]
            await office.do(ResumeWebhook(hook))
            await until(lambda: len(receiver.sent) == 3, "both")
            assert receiver.positions == [positions[0], *positions]


async def test_patience_and_back_off_survive_a_restart(tmp_path: Path) -> None:
    with receiving() as receiver:
        async with running(tmp_path / "webhooks.db") as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            receiver.otherwise = 500
            await office.switch(1)
            before = await failed(office, hook, 1)
            await try_again(office, hook)
            before = await failed(office, hook, 2)
            await office.restart()
            await until(lambda: office.dispatcher.progress(PLANET_EXPRESS, hook), "it is loaded")
            assert progress(office, hook) == before
            assert len(receiver.sent) == 2
            await try_again(office, hook)
            assert progress(office, hook).attempts == 3


async def test_other_webhooks_are_told_of_a_failure_if_they_ask() -> None:
    with receiving() as receiver, receiving() as watching, receiving() as other:
        async with running() as office:
            hook = await office.hook(receiver.url, patience=60)
            await office.hook(watching.url, "WebhookDeliveryFailed")
            await office.hook(other.url)
            receiver.otherwise = 400
            (position,) = await office.switch(1)
            await until_dead(office, hook)
            await until(lambda: watching.sent, "the news")
            assert watching.sent[0].says["data"]["failed_position"] == receiver.positions[0]
            assert "WebhookDeliveryFailed" not in {each.says["type"] for each in other.sent}
            assert position


async def test_what_a_failing_webhook_names_of_itself_is_not_told_to_it() -> None:
    with receiving() as receiver:
        async with running() as office:
            hook = await office.hook(receiver.url, "WebhookDeliveryFailed", "FlagSwitchedOff", patience=60)
            receiver.otherwise = 400
            (position,) = await office.switch(1)
            await until_dead(office, hook)
            assert set(receiver.positions) == {position}
            office.go_on(DAY)
            assert progress(office, hook).next_attempt_at is None


async def test_another_url_is_tried_at_once() -> None:
    with receiving() as receiver, receiving() as other:
        async with running() as office:
            hook, keys = await office.hook(receiver.url, *ON_OFF), NewKeys()
            receiver.otherwise = 500
            positions = await office.switch(2)
            await failed(office, hook, 1)
            url = office.world.keyring.seal(keys, PLANET_EXPRESS, hook, "url", other.url)
            wanted = tuple(Code(each) for each in ON_OFF)
            await office.do(ChangeWebhook(hook, url, wanted, False, 60), keys=keys)
            await until(lambda: len(other.sent) == 2, "both")
            assert other.positions == positions


@pytest.mark.parametrize("attempts", [1, 2, 5, 50, 5000])
def test_a_delay_is_bounded(attempts: int) -> None:
    for chance in (0.0, 0.999):
        assert 0 < POLICY.delay(attempts, chance) <= 1.25 * POLICY.longest_delay


async def test_a_place_of_another_turn_is_not_gone_on_from(tmp_path: Path) -> None:
    with receiving() as receiver:
        async with running(tmp_path / "webhooks.db") as office:
            hook = await office.hook(receiver.url, *ON_OFF)
            positions = await office.switch(3)
            await until(lambda: len(receiver.sent) == 3, "all")
            await office.stop()
            await office.do(ReplayWebhook(hook, positions[1]))
            office.begin()
            await until(lambda: len(receiver.sent) == 5, "the replay")
            assert receiver.positions[3:] == positions[1:]
