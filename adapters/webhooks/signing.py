"""Signatures of Standard Webhooks 1.0: an id that stays, the time of the attempt, and one signature for each secret."""

import base64
import hmac
from collections.abc import Sequence
from typing import Final

from domain.webhooks.secrets import PREFIX

MICROSECONDS: Final = 1_000_000


def signed(id: str, instant: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of one attempt. Two secrets while one is replaced by the other: whoever has either can verify it."""
    timestamp = str(instant // MICROSECONDS)
    message = f"{id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(_key(each), message, "sha256")).decode() for each in secrets]
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))
