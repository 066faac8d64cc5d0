"""Ed25519: how checkpoints are signed, and how anybody's signatures are verified."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.evidence.notes import Signs


def new_private() -> bytes:
    """32 random bytes that are a private key."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_of(private: bytes) -> bytes:
    """The 32 bytes that others verify with."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def signer(private: bytes) -> Signs:
    return Ed25519PrivateKey.from_private_bytes(private).sign


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """See domain.evidence.notes.Verifies."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
