"""A signing secret: spelt as Standard Webhooks has it, sealed, and kept so that no reader is shown it."""

import base64
from typing import Final

import msgspec

from domain.event import Sealed

FIELD: Final = "signing_secret"
"""What it is sealed for; it opens nowhere else."""
PREFIX: Final = "whsec_"


def secret_from(entropy: bytes) -> str:
    """A secret of 24 to 64 random bytes."""
    return PREFIX + base64.b64encode(entropy).decode()


def kept(sealed: Sealed) -> bytes:
    """As events keep it: bytes, because whatever opens sealed values for readers must not open this one."""
    return msgspec.msgpack.encode(sealed)


def sealed_again(secret: bytes) -> Sealed:
    """What `kept` was given."""
    return msgspec.msgpack.decode(secret, type=Sealed)
