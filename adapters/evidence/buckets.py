"""The tree over a tenant's tag counts as it is kept: buckets (ranges of tags' hashes), and the hashes above them."""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import pairwise

from domain.evidence.proofs import joined
from domain.evidence.tag_counts import TagCount, bucket_hash, bucket_of, depth_of


class CountsWrong(Exception):
    """What is kept here is damaged, or ahead of what was asked: make the tenant's counts anew."""


class Buckets:
    """Of all tenants, by their numbers; each is told how many tags the tenant has."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def must_hold(self, number: int, tags: int, places: Iterable[int] | None = None) -> None:
        """That these buckets (or all) are what their hashes say, so that no damage of this file is ever committed to.

        Raises CountsWrong.
        """
        depth = depth_of(tags)
        if places is None:
            hashes = list(self._bucket_hashes(number, depth))
            while len(hashes) > 1:
                hashes = [joined(*each) for each in list(pairwise(hashes))[::2]]
            holds = hashes == [self.top(number, tags)]
        else:
            holds = all(bucket_hash(self.bucket(number, depth, each)) == self.node(number, 0, each) for each in places)
        if not holds:
            raise CountsWrong("the tag counts kept here are not what their hashes say")

    def build(self, number: int, tags: int) -> None:
        """All hashes over the buckets anew: their number has changed, or most of them have."""
        depth = depth_of(tags)
        self._connection.execute("DELETE FROM nodes WHERE tenant = ?", (number,))
        level = list(self._bucket_hashes(number, depth))
        for height in range(depth + 1):
            if height:
                level = [joined(*each) for each in list(pairwise(level))[::2]]
            self._connection.executemany(
                "INSERT INTO nodes VALUES (?, ?, ?, ?)",
                ((number, height, place, each) for place, each in enumerate(level)),
            )

    def _bucket_hashes(self, number: int, depth: int) -> Iterator[bytes]:
        rows = self._connection.execute("SELECT tag, count, last FROM counts WHERE tenant = ? ORDER BY tag", (number,))
        current, bucket = 0, list[TagCount]()
        for row in rows:
            each = TagCount(*row)
            place = bucket_of(each.tag, depth)
            while current < place:
                yield bucket_hash(bucket)
                current, bucket = current + 1, []
            bucket.append(each)
        while current < 1 << depth:
            yield bucket_hash(bucket)
            current, bucket = current + 1, []

    def rebuild_above(self, number: int, tags: int, places: Iterable[int]) -> None:
        """The hashes of these buckets, and of what lies above them."""
        depth = depth_of(tags)
        hashes = {place: bucket_hash(self.bucket(number, depth, place)) for place in places}
        for level in range(depth + 1):
            self._connection.executemany(
                "INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?)",
                [(number, level, place, each) for place, each in hashes.items()],
            )
            if level < depth:
                hashes = {place: self._parent(number, level, place, hashes) for place in {each >> 1 for each in hashes}}

    def _parent(self, number: int, level: int, place: int, known: dict[int, bytes]) -> bytes:
        children = [known.get(each) or self.node(number, level, each) for each in (2 * place, 2 * place + 1)]
        return joined(*children)

    def bucket(self, number: int, depth: int, place: int) -> list[TagCount]:
        """In order of the tags' hashes."""
        bounds = [(each << (256 - depth)).to_bytes(33, "big") for each in (place, place + 1)]
        rows = self._connection.execute(
            "SELECT tag, count, last FROM counts WHERE tenant = ? AND tag >= ? AND tag <= ? ORDER BY tag",
            (number, bounds[0][1:], (int.from_bytes(bounds[1], "big") - 1).to_bytes(32, "big")),
        )
        return [TagCount(*row) for row in rows]

    def node(self, number: int, level: int, place: int) -> bytes:
        """See proofs.Node. Raises CountsWrong."""
        row = self._connection.execute(
            "SELECT hash FROM nodes WHERE tenant = ? AND level = ? AND place = ?", (number, level, place)
        ).fetchone()
        if row is None:
            raise CountsWrong("a hash over the tag counts is missing")
        return bytes(row[0])

    def top(self, number: int, tags: int) -> bytes:
        """The root of the tree over the buckets."""
        return self.node(number, depth_of(tags), 0) if tags else bucket_hash(())
