"""The deployment's log: the heads of tenants, one leaf each, and the signed checkpoints over them, in a SQLite file."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from domain.evidence.heads import Head
from domain.evidence.notes import Note, Signature, parse_note
from domain.evidence.tree import Frontier, leaf_hash

FORMAT: Final = 1
ID: Final = "id"
_HERE: Final = Path(__file__).parent
_CHECKPOINT: Final = "SELECT number, size, root, instant, note FROM checkpoints"
_HEAD: Final = "SELECT leaf, tenant, size, root, counts, blind FROM heads"
_PAGE: Final = 1_000

MakeNote = Callable[[int, bytes], Note]
"""Makes and signs the note for a size and root of the log."""


class Kept(NamedTuple):
    """A checkpoint of the log: `size` leaves, made at an instant (microseconds)."""

    number: int
    size: int
    root: bytes
    instant: int
    note: str


class Placed(NamedTuple):
    """A head and its leaf in the log, from 0."""

    leaf: int
    head: Head


class NotNext(Exception):
    """Heads that don't follow what the log has: another node has gone on."""


class DeploymentLog(Protocol):
    """Where checkpoints are made. One writer at a time; what it returns is durable, and nothing else was shown."""

    @property
    def book(self) -> "LogBook":
        """What has been recorded, as far as this node has read it."""
        ...

    def prepare(self) -> None:
        """Be the one writer, and know all that was written before. Raises NotReady."""
        ...

    def append(self, heads: Sequence[Head], make_note: MakeNote, instant: int) -> Kept:
        """The next checkpoint, over all leaves so far and these. Raises NotNext or NotReady; then nothing is there."""
        ...

    def cosign(self, number: int, signatures: Sequence[Signature]) -> None:
        """Signatures of witnesses, verified already, below a checkpoint. Raises NotReady."""
        ...

    def begin_anew(self) -> None:
        """Go on under another id, and so another origin: what others saw of this log may be more than is here."""
        ...

    def close(self) -> None: ...


class LogBook:
    """The file. Safe to use from any thread; each answer is of one moment."""

    def __init__(self, path: Path, *, disposable: bool = False) -> None:
        """`disposable`: it can be made again of a log elsewhere, so commits need not be on the disk."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        synchronous = "NORMAL" if disposable else "FULL"
        for pragma in ("journal_mode = WAL", f"synchronous = {synchronous}", "busy_timeout = 10000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript((_HERE / "log.sql").read_text())
        row = self._connection.execute("SELECT version FROM format").fetchone()
        if row is None:
            self._connection.execute("INSERT INTO format VALUES (?)", (FORMAT,))
        elif row[0] != FORMAT:
            raise ValueError(f"the deployment's log has format {row[0]}, this version reads format {FORMAT}")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on the disk when the block ends, or without a trace if it raises."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _rows(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, parameters).fetchall()

    def noted(self, name: str) -> str | None:
        """What is remembered beside the log."""
        rows = self._rows("SELECT value FROM log WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def note(self, name: str, value: str) -> None:
        with self.changing() as connection:
            connection.execute("INSERT OR REPLACE INTO log VALUES (?, ?)", (name, value))

    @property
    def id(self) -> str | None:
        """What tells this log from others of the same deployment; None before its first writer."""
        return self.noted(ID)

    def last(self) -> Kept | None:
        """The newest checkpoint."""
        return _kept(self._rows(f"{_CHECKPOINT} ORDER BY number DESC LIMIT 1"))

    def checkpoint(self, number: int) -> Kept | None:
        return _kept(self._rows(f"{_CHECKPOINT} WHERE number = ?", (number,)))

    def checkpoints(self, after: int, limit: int) -> list[Kept]:
        """In their order, those after a number."""
        rows = self._rows(f"{_CHECKPOINT} WHERE number > ? ORDER BY number LIMIT ?", (after, limit))
        return [Kept(*row) for row in rows]

    def newest(self, leaf: int, limit: int) -> list[Kept]:
        """The newest checkpoints that cover a leaf, newest first."""
        rows = self._rows(f"{_CHECKPOINT} WHERE size > ? ORDER BY number DESC LIMIT ?", (leaf, limit))
        return [Kept(*row) for row in rows]

    def head(self, tenant: str, until: int | None = None) -> Placed | None:
        """The tenant's last head, or the last of at most so many events."""
        beyond = (1 << 62) if until is None else until
        rows = self._rows(f"{_HEAD} WHERE tenant = ? AND size <= ? ORDER BY size DESC LIMIT 1", (tenant, beyond))
        return _placed(rows[0]) if rows else None

    def heads(self, tenant: str) -> Iterator[Placed]:
        """All of a tenant, in order of their sizes."""
        size = 0
        while page := self._rows(f"{_HEAD} WHERE tenant = ? AND size > ? ORDER BY size LIMIT ?", (tenant, size, _PAGE)):
            found = [_placed(row) for row in page]
            yield from found
            size = found[-1].head.size

    def sizes(self) -> dict[str, int]:
        """How many events of each tenant are committed to."""
        rows = self._rows("SELECT tenant, max(size) FROM heads GROUP BY tenant")
        return dict(rows)

    def placed(self, after: int, limit: int) -> list[tuple[Placed, bytes]]:
        """Heads by their leaves, from leaf `after` on, each with the entry that is kept of it."""
        rows = self._rows(
            "SELECT leaf, tenant, size, root, counts, blind, entry FROM heads WHERE leaf >= ? ORDER BY leaf LIMIT ?",
            (after, limit),
        )
        return [(_placed(row[:6]), bytes(row[6])) for row in rows]

    def entries(self, after: int, limit: int) -> list[bytes]:
        """What the leaves hold, from leaf `after` on."""
        rows = self._rows("SELECT entry FROM heads WHERE leaf >= ? ORDER BY leaf LIMIT ?", (after, limit))
        return [bytes(row[0]) for row in rows]

    def leaves(self, _: str, after: int, limit: int) -> list[bytes]:
        """See adapters.evidence.trees.Leaves."""
        return [leaf_hash(each) for each in self.entries(after, limit)]

    def frontier(self) -> Frontier:
        """Of all leaves."""
        rows = self._rows("SELECT size, frontier FROM checkpoints ORDER BY number DESC LIMIT 1")
        return Frontier.unpack(*rows[0]) if rows else Frontier()

    def planned(self, heads: Sequence[Head]) -> tuple[int, Frontier]:
        """The number of the checkpoint that comes next, and the frontier with these heads. Raises NotNext."""
        last, frontier = self.last(), self.frontier()
        for head in heads:
            known = self.head(head.tenant)
            if known is not None and known.head.size >= head.size:
                raise NotNext(f"a head of {known.head.size} events is there already")
            frontier.append(leaf_hash(head.commitment()))
        return (1 if last is None else last.number + 1), frontier

    def write(self, number: int, heads: Iterable[Head], frontier: Frontier, instant: int, note: str) -> Kept:
        """A checkpoint that was planned. Raises NotNext if another has come."""
        with self.changing() as connection:
            last = self.last()
            if number != (1 if last is None else last.number + 1):
                raise NotNext(f"checkpoint {number} does not follow")
            first = 0 if last is None else last.size
            connection.executemany(
                "INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(leaf, *head, head.commitment()) for leaf, head in enumerate(heads, first)],
            )
            connection.execute(
                "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
                (number, frontier.size, frontier.root(), frontier.pack(), instant, note),
            )
        return Kept(number, frontier.size, frontier.root(), instant, note)

    def add_signatures(self, number: int, signatures: Sequence[Signature]) -> None:
        """Below a checkpoint's note; a key's newer signature takes the place of its older one."""
        with self.changing() as connection:
            found = self.checkpoint(number)
            if found is not None:
                note = str(parse_note(found.note.encode()).signed_also(signatures))
                connection.execute("UPDATE checkpoints SET note = ? WHERE number = ?", (note, number))


class EmbeddedLog:
    """See DeploymentLog: the file itself, whose node holds the data folder's lock."""

    def __init__(self, path: Path) -> None:
        self._book = LogBook(path)
        if self._book.id is None:
            self._book.note(ID, new_log_id())

    @property
    def book(self) -> LogBook:
        return self._book

    def prepare(self) -> None:
        return

    def append(self, heads: Sequence[Head], make_note: MakeNote, instant: int) -> Kept:
        number, frontier = self._book.planned(heads)
        note = make_note(frontier.size, frontier.root())
        return self._book.write(number, heads, frontier, instant, str(note))

    def cosign(self, number: int, signatures: Sequence[Signature]) -> None:
        self._book.add_signatures(number, signatures)

    def begin_anew(self) -> None:
        self._book.note(ID, new_log_id())

    def close(self) -> None:
        self._book.close()


def new_log_id() -> str:
    """Nobody else has it."""
    return os.urandom(8).hex()


def _kept(rows: Sequence[Any]) -> Kept | None:
    return Kept(*rows[0]) if rows else None


def _placed(row: Sequence[Any]) -> Placed:
    return Placed(row[0], Head(*row[1:]))
