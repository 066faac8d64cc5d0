"""Tags as keys of the index: short, and in an order that puts side by side what is written together."""

import hashlib
import re
from collections.abc import Callable
from typing import Final

_ID: Final = re.compile(r"[a-z]{3}_([0-9a-f]{32})")


class TagKeys:
    """The keys of one tenant's tags: tenant, kind, and 16 bytes.

    An id of ours stands for itself; it begins with its time, so new ones are appended. An edge begins with the time of
    its left id, so a group's members are neighbours. Anything else is hashed.
    """

    __slots__ = ("_kinds", "_tenant")

    def __init__(self, tenant: int, kinds: Callable[[str], int]) -> None:
        self._tenant = tenant
        self._kinds = kinds

    def __call__(self, tag: str) -> bytes:
        kind, _, value = tag.partition(":")
        if len(value) == 36 and _ID.fullmatch(value):
            rest = bytes.fromhex(value[4:])
        elif len(value) > 37 and value[36] == "/" and _ID.fullmatch(value[:36]):
            rest = bytes.fromhex(value[4:16]) + hashlib.sha256(value.encode()).digest()[:10]
        else:
            rest = hashlib.sha256(value.encode()).digest()[:16]
        return self._tenant.to_bytes(4, "big") + self._kinds(kind).to_bytes(2, "big") + rest
