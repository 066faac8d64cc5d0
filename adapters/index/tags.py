"""Tags as keys of the index: short, and in an order that puts side by side what is written together."""

import hashlib
from typing import Final

from domain.ids import KINDS

KEY_LENGTH: Final = 22

# Numbers are in every posting on the disk: never change one, only append. A kind that is missing works, hashed whole.
NUMBERS: Final = {
    kind: number
    for number, kind in enumerate(
        (
            "actor",
            "address",
            "assignment",
            "attempt",
            "command",
            "correlation",
            "credential",
            "directory",
            "flag",
            "flag_key",
            "group",
            "handle",
            "member",
            "opaque",
            "operator",
            "role",
            "role_name",
            "setting",
            "target",
            "tenant",
            "user",
            "used",
            "webhook",
            "dead_letter",
            "accessed",
            "export",
            "checkpoint_key",
            "witness",
            "action",
            "action_id",
            "action_schema",
            "action_version",
            "acted",
            "acted_on",
            "sink",
            "sink_dead_letter",
            "hold",
        ),
        1,
    )
}
_PREFIX_NUMBERS: Final = {
    prefix: number
    for number, prefix in enumerate(
        (
            "asg",
            "cmd",
            "dir",
            "flg",
            "grp",
            "hdl",
            "key",
            "opr",
            "rol",
            "ten",
            "tok",
            "usr",
            "cor",
            "whk",
            "exp",
            "snk",
            "cpk",
            "wit",
            "hld",
        ),
        1,
    )
}
_EDGE: Final = 0xFE
_HASHED: Final = 0xFF

_BY_ID: Final = {
    f"{kind}:{prefix}_": bytes((number, place))
    for kind, number in NUMBERS.items()
    for prefix, place in _PREFIX_NUMBERS.items()
}


def is_numbered(prefix: str) -> bool:
    """Whether tags with ids of this prefix are kept in the order of their time."""
    return prefix in _PREFIX_NUMBERS and (prefix not in KINDS or KINDS[prefix] in NUMBERS)


def tag_key(tenant: bytes, tag: str) -> bytes:
    """The key of a tenant's tag: the tenant (4 bytes), the kind and form (2), and 16 bytes.

    An id of ours stands for itself; it begins with its time, so new ones are appended. An edge begins with the time of
    its left id, so a group's members are neighbours. Anything else is hashed.
    """
    form = _BY_ID.get(tag[:-32])
    if form is not None and (id := _from_hex(tag[-32:])) is not None:
        return tenant + form + id
    kind, _, value = tag.partition(":")
    number = NUMBERS.get(kind, 0)
    digest = hashlib.sha256(tag.encode("utf-8", "surrogatepass")).digest()
    if value[36:37] == "/" and number and value[3:4] == "_" and (left := _from_hex(value[4:36])) is not None:
        return tenant + bytes((number, _EDGE)) + left[:6] + digest[:10]
    return tenant + bytes((number, _HASHED)) + digest[:16]


def _from_hex(text: str) -> bytes | None:
    """The bytes, if these digits are how we write them: two ways of writing would be two tags with one key."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return None
    return found if found.hex() == text else None
