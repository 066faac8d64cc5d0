"""Ed25519 for tests, by the library, with keys that are the same every day."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.evidence.notes import COSIGNATURE, ED25519, PublicKey, Signature, cosign, sign


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class Signer:
    """A log's or a witness's key; its seed follows from its name unless it is given."""

    def __init__(self, name: str, kind: int = ED25519, seed: bytes | None = None) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed or hashlib.sha256(f"{name} {kind}".encode()).digest())
        self.key = PublicKey(name, kind, self._private.public_key().public_bytes_raw())

    def sign(self, text: str, time: int = 0) -> Signature:
        if self.key.kind == COSIGNATURE:
            return cosign(text, time, self.key, self._private.sign)
        return sign(text, self.key, self._private.sign)
