"""An archive in a folder: files appear by being renamed, and are on the disk before anybody is told."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from adapters.archive.storage import Listed, Replaced, StorageError, Versioned

_UNFINISHED: Final = ".unfinished"
_LOCK: Final = "archive.lock"


class FolderStorage:
    """See adapters.archive.storage.Storage. Several processes of one machine may share the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, file: Path) -> None:
        with _said():
            target = self._root / key
            _make(target.parent, self._root)
            try:
                _to_disk(file)
                file.replace(target)
            except OSError as problem:
                if problem.errno != errno.EXDEV:
                    raise
                near = target.with_name(target.name + _UNFINISHED)
                shutil.copyfile(file, near)
                _to_disk(near)
                near.replace(target)
            _to_disk(target.parent)

    def read(self, key: str) -> Versioned | None:
        with _said():
            try:
                data = (self._root / key).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return Versioned(data, _version(data))

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        target = self._root / key
        with _said(), self._locked():
            found = self.read(key)
            if (found.version if found else None) != version:
                raise Replaced(key)
            _make(target.parent, self._root)
            near = target.with_name(target.name + _UNFINISHED)
            with near.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            near.replace(target)
            _to_disk(target.parent)
        return _version(data)

    def fetch(self, key: str, into: Path) -> bool:
        with _said():
            try:
                shutil.copyfile(self._root / key, into)
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def local(self, key: str) -> Path | None:
        return self._root / key

    def under(self, prefix: str) -> Iterator[Listed]:
        with _said():
            for folder, _, names in os.walk(self._root / prefix):
                for name in names:
                    path = Path(folder, name)
                    with contextlib.suppress(FileNotFoundError):
                        yield Listed(path.relative_to(self._root).as_posix(), path.stat().st_mtime)

    def delete(self, keys: Iterable[str]) -> None:
        with _said():
            for key in keys:
                (self._root / key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Between reading the version and replacing the file, also against other processes."""
        _make(self._root, self._root)
        descriptor = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _make(folder: Path, root: Path) -> None:
    """For its owner alone, down from the root."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        if folder == root:
            folder.parent.mkdir(parents=True, exist_ok=True)
            break
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
        _to_disk(each.parent)


def _to_disk(path: Path) -> None:
    """A file's bytes, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Trouble with the folder in one sentence."""
    try:
        yield
    except OSError as problem:
        where = f" ({problem.filename})" if problem.filename else ""
        raise StorageError(
            f"the archive's folder can't be used{where}: {problem.strerror}; see to it, or name another in "
            "MUNIMENT_ARCHIVE"
        ) from problem
