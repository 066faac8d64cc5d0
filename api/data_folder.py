"""The data folder of a node: where its files are, its root key, and the operator's key."""

import os
import secrets
import stat
from pathlib import Path

from api.configuration import Configuration, ConfigurationError, decode_root_key


class DataFolder:
    """Paths below the folder; it and everything secret in it is for its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.db"

    @property
    def tail(self) -> Path:
        return self.path / "ledger.tail"

    @property
    def indexes(self) -> Path:
        """The indexes of a ledger on Kafka: made again if they are deleted while no node runs."""
        return self.path / "indexes"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def webhooks(self) -> Path:
        """The delivery book, which can be deleted."""
        return self.path / "webhooks.db"

    @property
    def checkpoints(self) -> Path:
        """The deployment's log of an embedded ledger: part of every backup."""
        return self.path / "checkpoints.db"

    @property
    def tag_counts(self) -> Path:
        """What checkpoints count, which can be deleted while no node runs."""
        return self.path / "counts.db"

    @property
    def scratch(self) -> Path:
        """Where what a query sees lies while it runs, in files without a name."""
        return self.path / "scratch"

    @property
    def exports(self) -> Path:
        """A folder for each export of a trail, until it expires."""
        return self.path / "exports"

    @property
    def snapshots(self) -> Path:
        """Folds that were kept, which can be deleted."""
        return self.path / "snapshots.db"

    @property
    def root_key(self) -> Path:
        return self.path / "root.key"

    @property
    def operator_key(self) -> Path:
        return self.path / "operator.key"

    @property
    def address(self) -> Path:
        """Where a running node says under which URL it answers."""
        return self.path / "node.url"

    @property
    def unfinished_backup(self) -> Path:
        """Where a backup is copied to before it is sent; gone when the node starts."""
        return self.path / "backup.unfinished"

    def make(self) -> None:
        """Create the folder, for its owner alone. Raises ConfigurationError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
                self.path.chmod(0o700)
        except OSError as problem:
            raise ConfigurationError(
                f"the data folder can't be made or used ({problem.strerror}): name another with --data or MUNIMENT_DATA"
            ) from problem

    def root_key_of(self, configuration: Configuration) -> tuple[bytes, bool]:
        """The root key, and whether it lies in the folder, beside what it protects."""
        if configuration.root_key is not None:
            return configuration.root_key, False
        if self.root_key.exists():
            return decode_root_key(self.root_key.read_text().strip()), True
        if self.ledger.exists():
            raise ConfigurationError(
                "the data folder has a ledger but no root.key: set MUNIMENT_ROOT_KEY or MUNIMENT_ROOT_KEY_FILE to the "
                "key it was made with"
            )
        key = secrets.token_bytes(32)
        write_secret(self.root_key, key.hex())
        return key, True


def write_secret(path: Path, text: str) -> None:
    """A file for its owner alone, whole or not at all, on the disk when this returns."""
    unfinished = path.with_name(path.name + ".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
