"""A tenant's head: what the deployment's log commits to of one tenant at one checkpoint, without telling it."""

import hashlib
from typing import Final, NamedTuple

BLIND_BYTES: Final = 32
_LABEL: Final = b"muniment/head/v1"


class Head(NamedTuple):
    """A tenant's tree and its tag counts at one size."""

    tenant: str
    size: int
    root: bytes
    counts: bytes
    """The root of the tag counts over these events: see `tag_counts`."""
    blind: bytes
    """32 random bytes, new with each head: without them nobody can find out by trying what a leaf commits to."""

    def commitment(self) -> bytes:
        """The leaf's entry in the deployment's log: SHA-256 over a label and the fields, each after its length."""
        fields = (_LABEL, self.tenant.encode(), self.size.to_bytes(8, "big"), self.root, self.counts, self.blind)
        return hashlib.sha256(b"".join(len(each).to_bytes(4, "big") + each for each in fields)).digest()
