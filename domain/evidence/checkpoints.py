"""A checkpoint: what a log says of itself in a note that it signs. C2SP tlog-checkpoint."""

import base64
import binascii
import re
from typing import Final, NamedTuple

from domain.evidence.proofs import MOST_LEAVES

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class CheckpointWrong(Exception):
    """A text is no checkpoint; the message says why."""


class Checkpoint(NamedTuple):
    """That the log of this origin has so many leaves, and this root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Lines that the log may add; ours adds none."""

    @property
    def text(self) -> str:
        """What is signed: lines, each ended by a newline."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{each}\n" for each in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Raises CheckpointWrong."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise CheckpointWrong("a checkpoint is three or more lines: origin, size, root")
    origin, size, encoded, *extensions = lines
    if not _SIZE.fullmatch(size) or int(size) > MOST_LEAVES:
        raise CheckpointWrong("the checkpoint's size is no number below 2^63")
    try:
        root = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != 32 or base64.b64encode(root).decode() != encoded:
        raise CheckpointWrong("the checkpoint's root is not 32 bytes in base64")
    return Checkpoint(origin, int(size), root, tuple(extensions))
