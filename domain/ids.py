"""Ids: never derived from personal data, with a prefix that says what they name.

An id is `prefix_` and 32 hexadecimal digits: 12 of the time it was made (milliseconds), 20 random. Made in order, ids
land side by side in every index; wholly random ones touched a page each. The prefix is also how a tag gets its kind, so
that a field that may hold a user or a group is tagged rightly whichever it holds.
"""

import re
from typing import Final, NewType

TenantId = NewType("TenantId", str)
UserId = NewType("UserId", str)
GroupId = NewType("GroupId", str)
DirectoryId = NewType("DirectoryId", str)
RoleId = NewType("RoleId", str)
AssignmentId = NewType("AssignmentId", str)
CredentialId = NewType("CredentialId", str)
FlagId = NewType("FlagId", str)
OperatorId = NewType("OperatorId", str)
WebhookId = NewType("WebhookId", str)
SinkId = NewType("SinkId", str)
ExportId = NewType("ExportId", str)
CheckpointKeyId = NewType("CheckpointKeyId", str)
WitnessId = NewType("WitnessId", str)
HoldId = NewType("HoldId", str)
Handle = NewType("Handle", str)
"""Stands for a unique personal value (a user name) in tags; the keyring alone knows for which."""

DEPLOYMENT: Final = TenantId("_deployment")
"""The reserved tenant whose history is about the deployment as a whole."""

KINDS: Final = {
    "ten": "tenant",
    "usr": "user",
    "grp": "group",
    "dir": "directory",
    "rol": "role",
    "asg": "assignment",
    "key": "credential",
    "tok": "credential",
    "flg": "flag",
    "opr": "operator",
    "whk": "webhook",
    "snk": "sink",
    "hdl": "handle",
    "cpk": "checkpoint_key",
    "wit": "witness",
    "hld": "hold",
    "exp": "export",
}
"""The tag kind of each prefix."""

_SHAPE: Final = re.compile(r"[a-z]{3}_[a-z0-9_]{1,60}")


def id_from(prefix: str, instant: int, entropy: bytes) -> str:
    """The id made at an instant (microseconds) with 10 random bytes."""
    return f"{prefix}_{instant // 1000:012x}{entropy.hex()}"


def kind_of(value: str) -> str:
    """The tag kind of an id; raises KeyError for what is no id of ours."""
    return "tenant" if value == DEPLOYMENT else KINDS[value[:3]]


def is_id(value: str, *prefixes: str) -> bool:
    """Whether the text has the shape of an id with one of these prefixes."""
    return value[:3] in prefixes and _SHAPE.fullmatch(value) is not None
