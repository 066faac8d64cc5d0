"""Webhooks and their dead letters, as they follow from events."""

import msgspec

from domain.event import Code, Instant
from domain.webhooks.deliveries import (
    WebhookDeadLetterDelivered,
    WebhookRetryRequested,
    WebhookTestRequested,
)
from domain.webhooks.life import (
    WebhookAdvanced,
    WebhookChanged,
    WebhookDisabled,
    WebhookPaused,
    WebhookReplayRequested,
    WebhookResumed,
    WebhookSecretRotated,
)
from projections.webhooks import DEAD_LETTERS, WEBHOOKS, DeadLetterRow, WebhookRow, key_of
from tests.domain.test_webhooks import ELSEWHERE, HOOK, OTHER, REMOVED, URL, created, failed
from tests.projections.folding import fold, rows_of

ROW = WebhookRow(HOOK, URL, ("UserProvisioned",), False, 60, "active", b"one", Instant(10), Instant(10))


def test_a_webhook_is_there_until_it_is_removed() -> None:
    assert rows_of(WEBHOOKS, created()) == {HOOK: ROW}
    assert rows_of(WEBHOOKS, created(), REMOVED) == {}


def test_a_webhook_changes() -> None:
    changed = WebhookChanged(HOOK, ELSEWHERE, (), True, 90)
    row = msgspec.structs.replace(ROW, url=ELSEWHERE, types=(), personal=True, patience=90, changed_at=Instant(20))
    assert rows_of(WEBHOOKS, created(), changed) == {HOOK: row}


def test_a_secret_is_kept_beside_the_one_before_it() -> None:
    rotated = WebhookSecretRotated(HOOK, b"two", b"one", Instant(99))
    row = msgspec.structs.replace(
        ROW, secret=b"two", former_secret=b"one", former_until=Instant(99), changed_at=Instant(20)
    )
    assert rows_of(WEBHOOKS, created(), rotated) == {HOOK: row}


def test_a_webhook_is_disabled_and_resumed() -> None:
    disabled = WebhookDisabled(HOOK, Code("nothing gets through"), Instant(7))
    row = msgspec.structs.replace(
        ROW,
        state="disabled",
        disabled_because="nothing gets through",
        failing_since=Instant(7),
        changed_at=Instant(20),
    )
    assert rows_of(WEBHOOKS, created(), disabled) == {HOOK: row}
    resumed = msgspec.structs.replace(ROW, changed_at=Instant(30))
    assert rows_of(WEBHOOKS, created(), disabled, WebhookResumed(HOOK)) == {HOOK: resumed}
    paused = msgspec.structs.replace(resumed, state="paused")
    assert rows_of(WEBHOOKS, created(), disabled, WebhookPaused(HOOK)) == {HOOK: paused}


def test_how_far_it_has_come_is_no_change_of_how_it_is_set() -> None:
    row = msgspec.structs.replace(ROW, reached=2)
    assert rows_of(WEBHOOKS, created(), WebhookAdvanced(HOOK, 2)) == {HOOK: row}
    replayed = msgspec.structs.replace(ROW, from_position=1, changed_at=Instant(30))
    assert rows_of(WEBHOOKS, created(), WebhookAdvanced(HOOK, 2), WebhookReplayRequested(HOOK, 1)) == {HOOK: replayed}
    assert rows_of(WEBHOOKS, created(), WebhookTestRequested(HOOK))[HOOK].tested_at == 20


def test_a_dead_letter_is_there_until_it_is_delivered() -> None:
    letter = failed(1)
    row = DeadLetterRow(
        HOOK, 1, letter.failed_id, letter.failed_type, 9, 500, letter.reason, letter.since, Instant(20), "dead"
    )
    key, retrying = key_of(HOOK, 1), WebhookRetryRequested(HOOK, 1)
    assert rows_of(DEAD_LETTERS, created(), letter) == {key: row}
    assert rows_of(DEAD_LETTERS, created(), letter, retrying) == {key: msgspec.structs.replace(row, state="retrying")}
    again = msgspec.structs.replace(row, failed_at=Instant(40))
    assert rows_of(DEAD_LETTERS, created(), letter, retrying, letter) == {key: again}
    assert rows_of(DEAD_LETTERS, created(), letter, retrying, WebhookDeadLetterDelivered(HOOK, 1)) == {}


def test_dead_letters_end_with_their_webhook_and_are_listed_in_order() -> None:
    letters = failed(10), failed(9), failed(8, OTHER)
    rows = fold(created(), created(OTHER), *letters)
    assert [row.position for _, row in rows.find(DEAD_LETTERS, "webhook", HOOK)] == [9, 10]
    left = rows_of(DEAD_LETTERS, created(), created(OTHER), *letters, REMOVED)
    assert list(left) == [key_of(OTHER, 8)]
