"""Where an archive is kept: named files that are written whole, and one small file each tenant that is replaced."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol


class StorageError(Exception):
    """The storage can't be reached, or refuses; the message says which and what to see to, and holds no secret."""


class Replaced(Exception):
    """Somebody else has replaced the file since it was read: read it again."""

    def __init__(self, key: str) -> None:
        super().__init__(f"another node has changed {key} meanwhile: ask again")


class Listed(NamedTuple):
    """A file that is there: its key, and when it was written (seconds since 1970)."""

    key: str
    written: float


class Versioned(NamedTuple):
    """A small file as it was read; `version` is what `replace` wants back."""

    data: bytes
    version: str


class Storage(Protocol):
    """Keys are paths below one root, with `/`. Every call blocks; safe to use from any thread.

    What was written is there, whole and on the disk, when the call returns, and never half. Raises StorageError.
    """

    def put(self, key: str, file: Path) -> None:
        """Write a local file there; the local one may be gone afterwards. What was there before is overwritten."""
        ...

    def read(self, key: str) -> Versioned | None:
        """A small file; None if there is none."""
        ...

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        """Write a small file if it is still of this version (None: if there is none); the new version.

        Raises Replaced.
        """
        ...

    def fetch(self, key: str, into: Path) -> bool:
        """Copy a file to a local one; False if there is none."""
        ...

    def local(self, key: str) -> Path | None:
        """Where a file can be read in place; None if it must be fetched."""
        ...

    def under(self, prefix: str) -> Iterator[Listed]:
        """Every file below a folder."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Those that are gone already are no error."""
        ...
