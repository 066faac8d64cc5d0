"""The mark of a data folder whose ledger was moved to Kafka: nobody goes on with what it holds by mistake."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from api.configuration import ConfigurationError
from api.data_folder import DataFolder, write_secret

MARK: Final = "moved-to-kafka"


class Moved(NamedTuple):
    """What the mark says."""

    prefix: str
    """What the names of the topics begin with."""
    when: str
    mark: Path


def moved_to(folder: DataFolder) -> Moved | None:
    """Where the folder's ledger is now, if it was moved."""
    mark = folder.path / MARK
    try:
        prefix, _, when = mark.read_text().strip().partition(" ")
    except FileNotFoundError:
        return None
    return Moved(prefix, when, mark)


def mark_as_moved(folder: DataFolder, prefix: str) -> None:
    """On the disk when it returns."""
    write_secret(folder.path / MARK, f"{prefix} {datetime.now(UTC).isoformat(timespec='seconds')}")


def refuse_moved(folder: DataFolder) -> None:
    """For whoever is about to write the folder's own ledger. Raises ConfigurationError."""
    if (moved := moved_to(folder)) is not None:
        raise ConfigurationError(
            f"the ledger of {folder.path} was moved to Kafka on {moved.when}: set MUNIMENT_KAFKA to its brokers and "
            f"MUNIMENT_KAFKA_PREFIX to {moved.prefix}. To go back to what it was then, remove {moved.mark}"
        )
