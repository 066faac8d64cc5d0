"""Tag counts of tenants, kept by a cursor in a file that can be deleted: how often each tag was carried, and when last.

The cursor of a tenant stands where its last head does, so that what is proved from here is what was committed to.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from adapters.evidence.buckets import Buckets, CountsWrong
from domain.evidence.stamps import StampWrong, read_stamp
from domain.evidence.tag_counts import (
    CountProof,
    TagCount,
    bucket_of,
    count_proof,
    counts_root,
    depth_of,
    tag_hash,
)
from domain.evidence.tree import Frontier, leaf_hash

Stored = Callable[[str, int, int], Sequence[tuple[int, bytes]]]
"""See domain.ledger.History.stored."""

BLOCK: Final = 256
_READ: Final = 1_000
_BATCH: Final = 20_000
"""Events whose counts are written at once."""
_ASKED: Final = 500
_SCRIPT: Final = Path(__file__).with_name("counts.sql")


class HistoryWrong(Exception):
    """A history is not one that its node has written; the message says which position is wrong, and how."""


class Counted(NamedTuple):
    """A tenant's tree and tag counts at one size."""

    size: int
    root: bytes
    counts: bytes


class _State(NamedTuple):
    number: int
    position: int
    frontier: bytes
    tags: int


class Counts:
    """Safe to use from any thread: one at a time."""

    def __init__(self, path: Path | None, stored: Stored) -> None:
        """`None` keeps them in memory: a scratch copy to compare with."""
        self._stored = stored
        self._lock = threading.RLock()
        self._new = 0
        """Tags that were never seen before, of the events being counted."""
        if path is not None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 10000", "cache_size = -16384"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCRIPT.read_text())
        self._buckets = Buckets(self._connection)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def changing(self, wait: float = -1) -> Iterator[None]:
        """All that is done within is kept, or none of it if the block raises.

        Raises CountsWrong if others are not done with it within so many seconds; a negative number waits for ever.
        """
        if not self._lock.acquire(timeout=wait):
            raise CountsWrong("the tag counts are being brought up to date")
        try:
            nested = self._connection.in_transaction
            self._connection.execute("SAVEPOINT within" if nested else "BEGIN")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK TO within" if nested else "ROLLBACK")
                if nested:
                    self._connection.execute("RELEASE within")
                raise
            self._connection.execute("RELEASE within" if nested else "COMMIT")
        finally:
            self._lock.release()

    def position(self, tenant: str) -> int:
        """How far a tenant is counted."""
        with self._lock:
            return self._state(tenant).position

    def advance(self, tenant: str, size: int) -> Counted:
        """Count a tenant's events up to a size. Raises HistoryWrong, and CountsWrong if it is counted further."""
        with self.changing():
            state = self._state(tenant)
            if state.position > size:
                raise CountsWrong(f"counted to {state.position} already, not {size}")
            if state.position < size:
                state = self._count(tenant, state, size)
            root = Frontier.unpack(state.position, state.frontier).root()
            return Counted(state.position, root, counts_root(state.tags, self._buckets.top(state.number, state.tags)))

    def forget(self, tenant: str) -> None:
        """Count a tenant anew the next time."""
        with self.changing():
            state = self._state(tenant)
            for table in ("counts", "nodes", "leaves"):
                self._connection.execute(f"DELETE FROM {table} WHERE tenant = ?", (state.number,))  # noqa: S608
            self._connection.execute("DELETE FROM tenants WHERE number = ?", (state.number,))

    def proof(self, tenant: str, tag: str) -> CountProof:
        """Of a tag's count where the tenant's cursor stands, or that no event up to there carries it."""
        with self._lock:
            state, hashed = self._state(tenant), tag_hash(tag)
            place = bucket_of(hashed, depth_of(state.tags))
            if state.tags:
                self._buckets.must_hold(state.number, state.tags, (place,))
            bucket = self._buckets.bucket(state.number, depth_of(state.tags), place)
            return count_proof(
                hashed, state.tags, bucket, lambda level, place: self._buckets.node(state.number, level, place)
            )

    def leaves(self, tenant: str) -> Iterator[bytes]:
        """The hashes of the tenant's leaves, as they were when they were counted."""
        block = 0
        while True:
            with self._lock:
                row = self._connection.execute(
                    "SELECT hashes FROM leaves WHERE tenant = ? AND block = ?", (self._state(tenant).number, block)
                ).fetchone()
            if row is None:
                return
            for at in range(0, len(row[0]), 32):
                yield row[0][at : at + 32]
            block += 1

    def _state(self, tenant: str) -> _State:
        row = self._connection.execute(
            "SELECT number, position, frontier, tags FROM tenants WHERE tenant = ?", (tenant,)
        ).fetchone()
        if row is not None:
            return _State(*row)
        if not self._connection.in_transaction:
            return _State(0, 0, b"", 0)
        made = self._connection.execute("INSERT INTO tenants VALUES (NULL, ?, 0, x'', 0)", (tenant,))
        return _State(made.lastrowid or 0, 0, b"", 0)

    def _count(self, tenant: str, state: _State, size: int) -> _State:
        frontier = Frontier.unpack(state.position, state.frontier)
        tags, changed, before = state.tags, set[bytes](), depth_of(state.tags)
        anew = size - state.position > min(_BATCH, tags // 64)
        if anew and tags:
            self._buckets.must_hold(state.number, state.tags)
        while frontier.size < size:
            seen: dict[bytes, TagCount] = {}
            self._new = 0
            until = min(size, frontier.size + _BATCH)
            while frontier.size < until:
                found = self._stored(tenant, frontier.size, min(_READ, until - frontier.size))
                if not found:
                    raise HistoryWrong(f"position {frontier.size + 1} is missing")
                self._add(state.number, frontier, found, seen)
            if not anew:
                self._buckets.must_hold(state.number, tags, {bucket_of(each, depth_of(tags)) for each in seen})
            self._write(state.number, seen.values())
            tags += self._new
            if not anew:
                changed.update(seen)
        state = _State(state.number, size, frontier.pack(), tags)
        if anew or depth_of(tags) != before:
            self._buckets.build(state.number, tags)
        else:
            self._buckets.rebuild_above(state.number, tags, {bucket_of(each, depth_of(tags)) for each in changed})
        self._connection.execute(
            "UPDATE tenants SET position = ?, frontier = ?, tags = ? WHERE number = ?",
            (state.position, state.frontier, state.tags, state.number),
        )
        return state

    def _add(
        self, number: int, frontier: Frontier, found: Sequence[tuple[int, bytes]], seen: dict[bytes, TagCount]
    ) -> None:
        first, hashes = frontier.size, []
        stamps = [_stamp_of(expected, *each) for expected, each in enumerate(found, first + 1)]
        self._know(number, {hashed for stamp in stamps for hashed, _ in stamp}, seen)
        for (position, stored), stamp in zip(found, stamps, strict=True):
            for hashed, nth in stamp:
                had = seen[hashed].total
                if nth != had + 1:
                    raise HistoryWrong(f"position {position} is number {nth} of one of its tags, after {had}")
                seen[hashed] = TagCount(hashed, nth, position)
            leaf = leaf_hash(stored)
            frontier.append(leaf)
            hashes.append(leaf)
        self._keep_leaves(number, first, b"".join(hashes))

    def _know(self, number: int, tags: set[bytes], seen: dict[bytes, TagCount]) -> None:
        """What was counted of these tags before goes into `seen`, if it is not there."""
        unknown = sorted(tags - seen.keys())
        for at in range(0, len(unknown), _ASKED):
            asked = unknown[at : at + _ASKED]
            query = f"SELECT tag, count, last FROM counts WHERE tenant = ? AND tag IN ({', '.join('?' * len(asked))})"  # noqa: S608
            seen.update((row[0], TagCount(*row)) for row in self._connection.execute(query, (number, *asked)))
        for tag in unknown:
            if tag not in seen:
                seen[tag] = TagCount(tag, 0, 0)
                self._new += 1

    def _keep_leaves(self, number: int, first: int, hashes: bytes) -> None:
        block, rest = divmod(first, BLOCK)
        if rest:
            (before,) = self._connection.execute(
                "SELECT hashes FROM leaves WHERE tenant = ? AND block = ?", (number, block)
            ).fetchone()
            hashes = before[: rest * 32] + hashes
        rows = [
            (number, block + at // (BLOCK * 32), hashes[at : at + BLOCK * 32])
            for at in range(0, len(hashes), BLOCK * 32)
        ]
        self._connection.executemany("INSERT OR REPLACE INTO leaves VALUES (?, ?, ?)", rows)

    def _write(self, number: int, seen: Iterable[TagCount]) -> None:
        self._connection.executemany(
            "INSERT INTO counts VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET count = excluded.count, last = excluded.last",
            sorted((number, each.tag, each.total, each.last) for each in seen),
        )


def _stamp_of(expected: int, position: int, stored: bytes) -> list[tuple[bytes, int]]:
    """The hash of each tag of an event, and the how-manieth with it the event is. Raises HistoryWrong."""
    if position != expected:
        raise HistoryWrong(f"position {expected} is missing")
    try:
        stamp = read_stamp(stored)
    except StampWrong as problem:
        raise HistoryWrong(f"position {position}: {problem}") from problem
    if stamp.position != position:
        raise HistoryWrong(f"position {position} holds an event of position {stamp.position}")
    return [(tag_hash(tag), nth) for tag, nth in stamp.nth.items()]
