"""Proofs and bundles: what anybody can check of a tenant's history against the checkpoints, made of what is kept."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from adapters.evidence.buckets import CountsWrong
from adapters.evidence.counts import Counts
from adapters.evidence.log import Kept, LogBook, Placed
from adapters.evidence.trees import Trees
from domain.event import Instant
from domain.evidence.bundles import BundledAnswer, EventProof, bundled_answer, write_bundle
from domain.evidence.completeness import Range
from domain.evidence.heads import Head
from domain.evidence.notes import parse_note
from domain.evidence.proofs import Node, consistency_proof, inclusion_proof, root_at
from domain.evidence.tag_counts import CountProof
from domain.evidence.tiles import Tile, entry_bundle, tile_bytes
from domain.ids import TenantId
from domain.ledger import History, Query

LOG: Final = ""
"""What the deployment's own tree is called among trees."""
MOST_IN_BUNDLE: Final = 10_000
_CANDIDATES: Final = 10
_WAIT: Final = 5.0
"""Seconds that an answer waits for a checkpoint that is being made: there are few threads."""


class NotCommitted(Exception):
    """No checkpoint covers what was asked about yet."""


class TooMany(Exception):
    """More events than a bundle may have: ask for a smaller range."""


class Inclusion(NamedTuple):
    """That a leaf (by its hash) is at a position of the tree of `size` leaves."""

    position: int
    size: int
    root: bytes
    leaf: bytes
    proof: Sequence[bytes]


class Consistency(NamedTuple):
    """That a tree only grew."""

    old_size: int
    old_root: bytes
    size: int
    root: bytes
    proof: Sequence[bytes]


class Committed(NamedTuple):
    """A tenant's head, its leaf in the deployment's log with its proof, and a checkpoint over that."""

    checkpoint: Kept
    placed: Placed
    proof: Sequence[bytes]


class Proving:
    """Runs on threads: what is not in memory is read."""

    def __init__(self, history: History, trees: Trees, log: LogBook, log_trees: Trees, counts: Counts) -> None:
        self._history = history
        self._trees = trees
        self._log = log
        self._log_trees = log_trees
        self._counts = counts

    def inclusion(self, tenant: TenantId, position: int, size: int) -> Inclusion:
        """Raises TreeShort, and ValueError for a position beyond the size."""
        node = self._trees.node_of(tenant, size)
        proof = inclusion_proof(position - 1, size, node)
        return Inclusion(position, size, root_at(size, node), node(0, position - 1), proof)

    def consistency(self, tenant: TenantId, old: int, new: int) -> Consistency:
        """Raises TreeShort, and ValueError for a tree that shrinks."""
        node = self._trees.node_of(tenant, new)
        return Consistency(old, root_at(old, node), new, root_at(new, node), consistency_proof(old, new, node))

    def log_consistency(self, old: int, new: int) -> Sequence[bytes]:
        """Of the deployment's log."""
        return consistency_proof(old, new, self.log_node(new))

    def log_node(self, size: int) -> Node:
        return self._log_trees.node_of(LOG, size)

    def committed(self, tenant: TenantId, until: int | None = None) -> Committed:
        """The tenant's newest head, or the newest of at most so many events. Raises NotCommitted."""
        placed = self._log.head(tenant, until)
        if placed is None:
            raise NotCommitted("no checkpoint covers the tenant's history yet")
        checkpoint = self._best(placed.leaf)
        proof = inclusion_proof(placed.leaf, checkpoint.size, self.log_node(checkpoint.size))
        return Committed(checkpoint, placed, proof)

    def _best(self, leaf: int) -> Kept:
        """Among the newest checkpoints over a leaf the one that most have signed; the newest of these."""
        found = self._log.newest(leaf, _CANDIDATES)
        return max(found, key=lambda each: len(parse_note(each.note.encode()).signatures))

    def bundle(self, tenant: TenantId, positions: Sequence[int]) -> bytes:
        """Of events by their positions, in any order. Raises NotCommitted or TooMany."""
        if len(positions) > MOST_IN_BUNDLE:
            raise TooMany(f"a bundle has at most {MOST_IN_BUNDLE} events")
        committed = self.committed(tenant)
        if positions and max(positions) > committed.placed.head.size:
            raise NotCommitted(f"no checkpoint covers position {max(positions)} yet")
        return self._written(committed, self._proved(tenant, committed, sorted(set(positions))), None)

    def answer(self, tenant: TenantId, tag: str, wanted: Range) -> tuple[bytes, Sequence[int]]:
        """All events with a tag in a range, with what shows that these are all; and their positions.

        Raises NotCommitted or TooMany.
        """
        committed = self.committed(tenant)
        head = committed.placed.head
        proof = self._count_proof(head, tag)
        if wanted.by == "position":
            first, last = wanted.first, wanted.last
            if last > head.size:
                raise NotCommitted(f"no checkpoint covers position {last} yet")
        else:
            first = self._position_at(tenant, wanted.first - 1) + 1
            last = min(self._position_at(tenant, wanted.last), head.size)
        within = self._with_tag(tenant, tag, first - 1, last, MOST_IN_BUNDLE + 1)
        if len(within) > MOST_IN_BUNDLE:
            raise TooMany(f"a bundle has at most {MOST_IN_BUNDLE} events: ask for a smaller range")
        earlier = Query(tags=(tag,), until=min(first - 1, head.size))
        before = [each.position for each in self._history.entries(tenant, earlier, 1, newest_first=True)]
        after = self._with_tag(tenant, tag, max(last, first - 1), head.size, 1)
        beside = [self._proved(tenant, committed, each) for each in (before, after)]
        ends = [each[0] if each else None for each in beside]
        told = bundled_answer(tag, wanted, proof, ends[0], ends[1])
        return self._written(committed, self._proved(tenant, committed, within), told), within

    def _count_proof(self, head: Head, tag: str) -> CountProof:
        with self._counts.changing(_WAIT):
            counted = self._counts.advance(head.tenant, head.size)
            if counted.counts != head.counts:
                raise CountsWrong("the tag counts are not those that were committed to; verify the tenant")
            return self._counts.proof(head.tenant, tag)

    def _position_at(self, tenant: TenantId, instant: int) -> int:
        return self._history.position_at(tenant, Instant(instant))

    def _with_tag(self, tenant: TenantId, tag: str, after: int, until: int, limit: int) -> list[int]:
        if until <= after:
            return []
        query = Query(tags=(tag,), after=after, until=until)
        return [each.position for each in self._history.recorded(tenant, query, limit)]

    def _proved(self, tenant: TenantId, committed: Committed, positions: Sequence[int]) -> list[EventProof]:
        size = committed.placed.head.size
        node = self._trees.node_of(tenant, size)
        found = []
        for position in positions:
            ((_, stored),) = self._history.stored(tenant, position - 1, 1)
            found.append(EventProof(position, stored, tuple(inclusion_proof(position - 1, size, node))))
        return found

    def _written(self, committed: Committed, events: Sequence[EventProof], answer: BundledAnswer | None) -> bytes:
        checkpoint, placed, proof = committed
        return write_bundle(checkpoint.note, placed.head, placed.leaf, proof, events, answer)

    def tile(self, tenant: TenantId, tile: Tile, size: int) -> bytes | None:
        """A tile of a tenant's tree of so many leaves, or a bundle of its events; None if it has no such."""
        if not tile.is_in(size):
            return None
        if tile.level is None:
            stored = self._history.stored(tenant, tile.places().start, tile.width)
            return entry_bundle(each for _, each in stored)
        return tile_bytes(tile, self._trees.node_of(tenant, size))

    def log_tile(self, tile: Tile, size: int) -> bytes | None:
        """Of the deployment's log."""
        if not tile.is_in(size):
            return None
        if tile.level is None:
            return entry_bundle(self._log.entries(tile.places().start, tile.width))
        return tile_bytes(tile, self.log_node(size))
