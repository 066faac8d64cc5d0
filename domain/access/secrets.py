"""Secrets that callers send: what kind, of which tenant, with a checksum that scanners can verify without us.

`mun_key_<32 hex digits of the tenant>_<43 characters><6 of checksum>`; an operator's has no tenant part. Only the hash
of the whole is kept.
"""

import hashlib
import re
import zlib
from typing import Final, NamedTuple

from domain.ids import DEPLOYMENT, TenantId

KINDS: Final = ("key", "dir", "opr")
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE: Final = re.compile(r"mun_(key|dir|opr)_(?:([0-9a-f]{32})_)?([A-Za-z0-9]{49})")


class Secret(NamedTuple):
    """A secret that has the right form, which says nothing about whether it opens anything."""

    kind: str
    tenant: TenantId
    digest: bytes


def make(kind: str, tenant: TenantId, entropy: bytes) -> str:
    """A secret of 32 random bytes."""
    part = "" if tenant == DEPLOYMENT else tenant.removeprefix("ten_") + "_"
    stem = f"mun_{kind}_{part}{_base62(entropy, 43)}"
    return stem + _checksum(stem)


def read(text: str) -> Secret | None:
    """None if it was never one of ours."""
    match = _SHAPE.fullmatch(text)
    if match is None or _checksum(text[:-6]) != text[-6:]:
        return None
    tenant = DEPLOYMENT if match[2] is None else TenantId("ten_" + match[2])
    return Secret(match[1], tenant, digest(text))


def digest(text: str) -> bytes:
    """What is kept of a secret; it has 256 random bits, so one round of SHA-256 can't be guessed back."""
    return hashlib.sha256(text.encode()).digest()


def _checksum(stem: str) -> str:
    return _base62(zlib.crc32(stem.encode()).to_bytes(4, "big"), 6)


def _base62(data: bytes, width: int) -> str:
    number = int.from_bytes(data, "big")
    digits = []
    while number:
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits)).rjust(width, "0")
