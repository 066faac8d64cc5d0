"""Webhooks: set up, changed, paused, disabled and removed; how far they have come, and their dead letters."""

import pytest

from domain.command import Command, Missing, Refused, Taken
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import TenantId, WebhookId
from domain.webhooks.deliveries import (
    AdvanceWebhook,
    DeliveriesCommand,
    DisableWebhook,
    GiveUpDelivery,
    KnownDelivery,
    ReplayWebhook,
    RequestWebhookTest,
    RetryDeadLetter,
    SettleDeadLetter,
    WebhookDeadLetterDelivered,
    WebhookDeliveryFailed,
    WebhookRetryRequested,
    WebhookTestRequested,
    decide,
)
from domain.webhooks.hooks import (
    MOST_WEBHOOKS,
    ChangeWebhook,
    CreateWebhook,
    PauseWebhook,
    RemoveWebhook,
    ResumeWebhook,
    RotateWebhookSecret,
)
from domain.webhooks.life import (
    WebhookAdvanced,
    WebhookChanged,
    WebhookCreated,
    WebhookDisabled,
    WebhookPaused,
    WebhookRemoved,
    WebhookReplayRequested,
    WebhookResumed,
    WebhookSecretRotated,
)
from domain.webhooks.secrets import kept, sealed_again, secret_from
from tests.domain.given import BEFORE, LATER, NOW, given, read
from tests.domain.people import PLANET_EXPRESS, sealed

HOOK, OTHER = WebhookId("whk_one"), WebhookId("whk_two")
URL, ELSEWHERE = sealed(HOOK, "https://planet.express/hooks"), sealed(HOOK, "https://mom.corp/hooks")
TYPES = (Code("UserProvisioned"),)
PAUSED, RESUMED = WebhookPaused(HOOK), WebhookResumed(HOOK)
REMOVED = WebhookRemoved(PLANET_EXPRESS, HOOK)
DISABLED = WebhookDisabled(HOOK, Code("nothing gets through"), BEFORE)
CREATE = CreateWebhook(PLANET_EXPRESS, HOOK, URL, b"one", TYPES, False, 60)
CHANGE = ChangeWebhook(HOOK, ELSEWHERE, (), True, 90)


def created(hook: WebhookId = HOOK, from_position: int | None = None, name: Sealed | None = None) -> WebhookCreated:
    return WebhookCreated(PLANET_EXPRESS, hook, URL, b"one", TYPES, False, 60, from_position, name)


def failed(position: int, hook: WebhookId = HOOK) -> WebhookDeliveryFailed:
    id, kind = Code("018bcfe5"), Code("UserProvisioned")
    return WebhookDeliveryFailed(hook, position, id, kind, 9, 500, Code("the receiver answered 500"), BEFORE)


def test_a_webhook_is_created_once() -> None:
    given().when(CREATE).then(created())
    given(created()).when(CREATE).then_refused("exists already", Taken)
    given(created(), REMOVED).when(CREATE).then_refused("exists already", Taken)


def test_a_tenant_has_only_so_many() -> None:
    many = [created(WebhookId(f"whk_{number}")) for number in range(MOST_WEBHOOKS)]
    given(*many).when(CREATE).then_refused("remove one first", Refused)
    given(*many, WebhookRemoved(PLANET_EXPRESS, WebhookId("whk_7"))).when(CREATE).then(created())


def test_another_tenants_webhooks_are_not_counted() -> None:
    elsewhere = [
        WebhookCreated(TenantId("ten_momcorp"), WebhookId(f"whk_{number}"), URL, b"one", TYPES, False, 60)
        for number in range(MOST_WEBHOOKS)
    ]
    given(*elsewhere).when(CREATE).then(created())


def test_what_is_changed_says_all_that_can_be() -> None:
    changed = WebhookChanged(HOOK, ELSEWHERE, (), True, 90)
    given(created()).when(CHANGE).then(changed)
    given(created(), changed).when(CHANGE).then_nothing()
    named = ChangeWebhook(HOOK, URL, TYPES, False, 60, sealed(HOOK, "crew"))
    given(created(name=sealed(HOOK, "crew"))).when(named).then_nothing()
    given(created()).when(named).then(WebhookChanged(HOOK, URL, TYPES, False, 60, sealed(HOOK, "crew")))
    unnamed = ChangeWebhook(HOOK, URL, TYPES, False, 60)
    given(created(name=sealed(HOOK, "crew"))).when(unnamed).then(WebhookChanged(HOOK, URL, TYPES, False, 60))


def test_a_secret_is_replaced_with_overlap() -> None:
    rotate = RotateWebhookSecret(HOOK, b"two", LATER)
    given(created()).when(rotate).then(WebhookSecretRotated(HOOK, b"two", b"one", LATER))
    rotated = WebhookSecretRotated(HOOK, b"two", b"one", LATER)
    given(created(), rotated).when(rotate).then_nothing()
    again = RotateWebhookSecret(HOOK, b"three", BEFORE)
    given(created(), rotated).when(again).then(WebhookSecretRotated(HOOK, b"three", b"two", NOW))


def test_a_webhook_is_paused_and_resumed() -> None:
    given(created()).when(PauseWebhook(HOOK)).then(PAUSED)
    given(created(), PAUSED).when(PauseWebhook(HOOK)).then_nothing()
    given(created(), PAUSED).when(ResumeWebhook(HOOK)).then(RESUMED)
    given(created()).when(ResumeWebhook(HOOK)).then_nothing()
    given(created(), DISABLED).when(ResumeWebhook(HOOK)).then(RESUMED)
    given(created(), DISABLED).when(PauseWebhook(HOOK)).then(PAUSED)


def test_only_what_is_active_is_disabled() -> None:
    disable = DisableWebhook(HOOK, DISABLED.reason, BEFORE)
    given(created()).when(disable).then(DISABLED)
    for not_active in (PAUSED, DISABLED, REMOVED):
        given(created(), not_active).when(disable).then_nothing()
    given(created(), PAUSED, RESUMED).when(disable).then(DISABLED)


def test_a_replay_is_asked_for_as_often_as_somebody_likes() -> None:
    replayed = WebhookReplayRequested(HOOK, 3)
    given(created()).when(ReplayWebhook(HOOK, 3)).then(replayed)
    given(created(), replayed).when(ReplayWebhook(HOOK, 3)).then(replayed)


def test_a_test_is_asked_for_also_while_it_is_paused() -> None:
    given(created(), PAUSED).when(RequestWebhookTest(HOOK)).then(WebhookTestRequested(HOOK))


def decided(command: DeliveriesCommand, *history: Event) -> list[Event]:
    """What follows from exactly this history: a turn is a position, and neighbours would move it."""
    known = KnownDelivery(NOW)
    recorded = [Recorded(PLANET_EXPRESS, position, Instant(position), each) for position, each in enumerate(history, 1)]
    read(recorded, command.boundary(), known)
    return decide(command, known)


def test_it_begins_after_its_creation_or_where_it_is_told_to() -> None:
    assert decided(AdvanceWebhook(HOOK, 1, 1), created()) == []
    assert decided(AdvanceWebhook(HOOK, 1, 2), created()) == [WebhookAdvanced(HOOK, 2)]
    assert decided(AdvanceWebhook(HOOK, 1, 1), created(from_position=1)) == [WebhookAdvanced(HOOK, 1)]


def test_progress_is_only_said_if_it_is_news_of_the_same_turn() -> None:
    history = created(), WebhookAdvanced(HOOK, 5)
    assert decided(AdvanceWebhook(HOOK, 1, 5), *history) == []
    assert decided(AdvanceWebhook(HOOK, 1, 6), *history) == [WebhookAdvanced(HOOK, 6)]
    replayed = *history, WebhookReplayRequested(HOOK, 2)
    assert decided(AdvanceWebhook(HOOK, 1, 6), *replayed) == []
    assert decided(AdvanceWebhook(HOOK, 3, 2), *replayed) == [WebhookAdvanced(HOOK, 2)]
    assert decided(AdvanceWebhook(HOOK, 1, 6), *history, REMOVED) == []


def test_what_is_given_up_is_a_dead_letter_and_passed_over() -> None:
    give_up = GiveUpDelivery(HOOK, 1, failed(4))
    assert decided(give_up, created()) == [failed(4), WebhookAdvanced(HOOK, 4)]
    assert decided(give_up, created(), WebhookReplayRequested(HOOK, 1)) == []
    assert decided(give_up, created(), REMOVED) == []


def test_what_fails_out_of_order_passes_over_nothing() -> None:
    given(created()).when(GiveUpDelivery(HOOK, None, failed(4))).then(failed(4))


def test_a_dead_letter_is_retried_and_settled() -> None:
    retry, retrying = RetryDeadLetter(HOOK, 4), WebhookRetryRequested(HOOK, 4)
    settle, settled = SettleDeadLetter(HOOK, 4), WebhookDeadLetterDelivered(HOOK, 4)
    dead = created(), failed(4)
    given(*dead).when(retry).then(retrying)
    given(*dead, retrying).when(retry).then_nothing()
    given(*dead, retrying, failed(4)).when(retry).then(retrying)
    given(*dead, retrying).when(settle).then(settled)
    given(*dead).when(settle).then(settled)
    given(*dead, settled).when(settle).then_nothing()
    given(*dead, settled).when(retry).then_refused("no dead letter", Missing)


def test_only_a_webhooks_own_dead_letter_is_retried() -> None:
    retry = RetryDeadLetter(HOOK, 4)
    given(created(), failed(5)).when(retry).then_refused("no dead letter", Missing)
    given(created(), created(OTHER), failed(4, OTHER)).when(retry).then_refused("no dead letter", Missing)
    given(created()).when(SettleDeadLetter(HOOK, 4)).then_nothing()


@pytest.mark.parametrize(
    "command",
    [
        CHANGE,
        RotateWebhookSecret(HOOK, b"two", LATER),
        PauseWebhook(HOOK),
        ResumeWebhook(HOOK),
        RemoveWebhook(PLANET_EXPRESS, HOOK),
        ReplayWebhook(HOOK, 1),
        RequestWebhookTest(HOOK),
        RetryDeadLetter(HOOK, 4),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_webhook_that_is_not_there_can_not_be_changed(command: Command) -> None:
    given().when(command).then_refused("the webhook does not exist", Missing)
    given(created(), failed(4), REMOVED).when(command).then_refused("the webhook does not exist", Missing)


def test_a_secret_is_spelt_as_the_standard_has_it() -> None:
    secret = secret_from(bytes(range(32)))
    assert secret.startswith("whsec_")
    assert len(secret) == len("whsec_") + 44


def test_a_sealed_secret_comes_back_from_what_is_kept() -> None:
    """Its key's id is readable in it: that is how the ledger knows which keys a command brings into being."""
    assert sealed_again(kept(URL)) == URL
    assert URL.key.encode() in kept(URL)
