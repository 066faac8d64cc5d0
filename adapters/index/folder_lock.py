"""The lock of a data folder: one process at a time may write."""

import fcntl
import os
from pathlib import Path


class FolderInUse(Exception):
    """Another process has the data folder open for writing; the message says what to do."""


class FolderLock:
    """Held from making until `release`, or until the process ends, however it ends. Raises FolderInUse."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise FolderInUse(
                "another process has this data folder open: ask the node that runs on it, stop it, "
                "or name another folder"
            ) from None

    def release(self) -> None:
        os.close(self._file)
