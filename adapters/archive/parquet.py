"""The files of an archive: Parquet with zstd, sorted by position, in row groups that searches can pass over.

Times and positions grow with the rows, so the least and greatest of each row group say which times it holds; filters
say which actors, credentials, commands and correlations a row group does not hold.
"""

import hashlib
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.archive.columns import ARCHIVED, STORED

ROW_GROUP: Final = 65_536
"""Events."""
_DICTIONARIES: Final = [
    "type",
    "actor_kind",
    "actor_id",
    "on_behalf_of.list.element",
    "credential",
    "permission",
    "policies.list.element",
    "schema_id",
    "authority_position",
]
_FILTERED: Final = ("actor_id", "credential", "event_id", "command", "correlation")
_FALSE_POSITIVES: Final = 0.01
_PAGE: Final = 2_048
"""Events: DuckDB passes over pages of which it needs no row, and reads that many rows at once."""
_CHUNK: Final = 1 << 20


class FileWriter:
    """Writes one local file, a row group at a time: memory does not grow with the file."""

    def __init__(self, path: Path, expected: int, schema: pa.Schema = ARCHIVED) -> None:
        """`expected` is how many events may come; only the size of filters follows from it."""
        distinct = {"ndv": max(1, min(expected, ROW_GROUP)), "fpp": _FALSE_POSITIVES}
        self._schema = schema
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=_DICTIONARIES,
            write_statistics=[each for each in _leaves(schema) if each != STORED],
            bloom_filter_options=dict.fromkeys(_FILTERED, distinct),
            sorting_columns=[pq.SortingColumn(0)],
            write_page_checksum=True,
            write_page_index=True,
            max_rows_per_page=_PAGE,
        )
        self._waiting: list[pa.RecordBatch] = []
        self.events = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Events that follow those before."""
        while batch.num_rows:
            room = ROW_GROUP - self.events % ROW_GROUP
            part, batch = batch.slice(0, room), batch.slice(room)
            self._waiting.append(part)
            self.events += part.num_rows
            if self.events % ROW_GROUP == 0:
                self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(table, row_group_size=ROW_GROUP)
            self._waiting.clear()


def _leaves(schema: pa.Schema) -> list[str]:
    return [f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name for field in schema]


def batches_of(
    path: Path, columns: list[str] | None = None, *, checked: bool = True
) -> Generator[pa.RecordBatch, None, None]:
    """The rows of a file in order. Raises OSError or pyarrow.ArrowException if it can't be read.

    `checked` compares each page with its checksum.
    """
    with pq.ParquetFile(path, page_checksum_verification=checked) as file:
        if not file.schema_arrow.equals(ARCHIVED):
            raise pa.ArrowInvalid("the file has other columns than an archive's")
        yield from file.iter_batches(8_192, columns=columns)


def digest_of(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
