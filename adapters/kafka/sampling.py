"""Compares stretches of a partition's topic with the index that was made of them, wherever chance points."""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from adapters.kafka.client import Client, Received
from adapters.kafka.commits import LogUnlike
from adapters.kafka.control import is_control
from adapters.kafka.follower import with_our_id
from adapters.kafka.headers import mark_of
from adapters.kafka.partition import Partition
from adapters.kafka.topics import Topics

MOST: Final = 1_000
"""Records of a sample."""
PATIENCE: Final = 10.0


class Sampled(NamedTuple):
    """How many events of a partition were compared, and what was wrong, if anything."""

    partition: int
    events: int
    problem: str | None


class Sampler:
    """Blocks: call it on a thread. Takes the partitions in turn."""

    def __init__(
        self, client: Client, topics: Topics, partitions: Sequence[Partition], chance: Callable[[], float]
    ) -> None:
        """`chance` gives a number from 0 up to 1."""
        self._client = client
        self._topics = topics
        self._partitions = partitions
        self._chance = chance
        self._turn = 0

    def sample(self) -> Sampled:
        """The next partition. Raises Unavailable."""
        partition = self._partitions[self._turn % len(self._partitions)]
        self._turn += 1
        events = 0
        for record in self._records(partition):
            mark = mark_of(record.headers)
            if mark is None or record.value is None or is_control(record.value):
                continue
            row = partition.database.one("SELECT CAST(stored AS BLOB) FROM events WHERE sequence = ?", (mark.sequence,))
            where = f"partition {partition.number}, offset {record.offset}, event {mark.sequence}"
            try:
                value = with_our_id(record).value
            except LogUnlike as problem:
                return Sampled(partition.number, events, str(problem))
            if row is None and mark.sequence <= self._end(partition):
                return Sampled(partition.number, events, f"{where}: the index does not have it")
            if row is not None and row[0] != value:
                return Sampled(partition.number, events, f"{where}: the index has other bytes than the topic")
            events += row is not None
        return Sampled(partition.number, events, None)

    def _end(self, partition: Partition) -> int:
        (end,) = partition.database.one("SELECT coalesce(max(sequence), 0) FROM events", ())
        return int(end)

    def _records(self, partition: Partition) -> Sequence[Received]:
        place = self._topics.of_ledger(partition.number)
        admin = self._client.admin()
        try:
            end = admin.ends([place], committed=True)[place]
        finally:
            admin.close()
        if not end:
            return ()
        found: list[Received] = []
        deadline = time.monotonic() + PATIENCE
        reader = self._client.reader()
        try:
            reader.assign({place: int(self._chance() * end)})
            while len(found) < MOST and reader.position(place) < end and time.monotonic() < deadline:
                found += reader.poll(0.5, MOST)
        finally:
            reader.close()
        return found[:MOST]
