"""Signatures are those of Standard Webhooks, as its own library makes and verifies them."""

import base64
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from adapters.webhooks.delivering import SECOND
from adapters.webhooks.signing import signed
from domain.webhooks.secrets import secret_from

OLD, NEW = secret_from(bytes(range(32))), secret_from(bytes(24))
BODY = '{"type":"UserProvisioned","data":{"name":"Zoë"}}'.encode()


def now() -> int:
    return int(time.time()) * SECOND


def test_the_specifications_own_example() -> None:
    """https://github.com/standard-webhooks/standard-webhooks: the vector of its reference implementations."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330 * SECOND, b'{"test": 2432232314}', [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_it_is_what_the_standards_library_makes() -> None:
    instant = now()
    headers = signed("evt_1", instant, BODY, [OLD])
    at = datetime.fromtimestamp(instant // SECOND, UTC)
    assert headers["webhook-signature"] == Webhook(OLD).sign("evt_1", at, BODY.decode())


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_either_secret_verifies_while_one_replaces_the_other(secret: str) -> None:
    Webhook(secret).verify(BODY, signed("evt_1", now(), BODY, [NEW, OLD]))


def test_nothing_of_it_can_be_changed() -> None:
    headers = signed("evt_1", now(), BODY, [OLD])
    receiver = Webhook(OLD)
    for changed in (
        {**headers, "webhook-id": "evt_2"},
        {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)},
        {**headers, "webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()},
    ):
        with pytest.raises(WebhookVerificationError):
            receiver.verify(BODY, changed)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY, headers)
