"""What the ledger needs of a Kafka client, and no more: two libraries keep this contract, and neither is trusted.

Everything blocks, each wait has an end, and each object belongs to one thread at a time unless it says otherwise.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Record(NamedTuple):
    """What is written."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Received(NamedTuple):
    """What is read."""

    place: Place
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Unavailable(Exception):
    """Kafka can't be reached, did not answer in time, or refused; nothing was changed. The message says what to do."""


class Fenced(Exception):
    """Another writer has the transactional id now: this one is dead, and what it was committing is not there."""


class OutcomeUnknown(Exception):
    """What was being committed may be there, then or later, whole. Only a new writer, and reading, can tell."""


class Writer(Protocol):
    """A transactional producer. Whatever it raises ends it: close it, and open a new one."""

    def open(self, timeout: float) -> None:
        """Fence every earlier writer of the same transactional id, and end its transaction; seconds to wait.

        Raises Unavailable or Fenced.
        """
        ...

    def commit(
        self, records: Sequence[Record], timeout: float, meanwhile: Callable[[], None] = lambda: None
    ) -> list[int]:
        """All records in one transaction, their offsets; within so many seconds.

        Commits only when each record is known to be written, and `meanwhile`, which is called while they are under way,
        has returned. Raises Fenced, OutcomeUnknown, or what `meanwhile` raises.
        """
        ...

    def close(self) -> None:
        """At once, and sending nothing more of what was under way; never raises."""
        ...


class Settler(Protocol):
    """A writer of nothing but the ends of transactions. Whatever it raises ends it: close it, and open a new one."""

    def open(self, timeout: float) -> None:
        """As a writer's: it fences the writers of its transactional id, and is fenced by the next. Raises the same."""
        ...

    def mark(self, places: Collection[Place], timeout: float, *, commit: bool) -> None:
        """End in these partitions what earlier writers of the transactional id left without an end.

        The brokers write the markers soon after this returns. Raises Fenced or OutcomeUnknown.
        """
        ...

    def close(self) -> None:
        """Never raises."""
        ...


class Reader(Protocol):
    """Reads each partition in its order; unless it was made otherwise, only what was committed."""

    def assign(self, offsets: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets on; those that were read before and are not named, no more.

        Those that are read already go on where they are if the offset is the reader's position.
        """
        ...

    def poll(self, timeout: float, most: int = 10_000) -> list[Received]:
        """What has come, once anything has or the seconds are over. Raises Unavailable."""
        ...

    def position(self, place: Place) -> int:
        """The offset up to which everything committed was returned: past markers and aborted records, too."""
        ...

    def close(self) -> None: ...


class Topic(NamedTuple):
    """A topic as it is."""

    partitions: int
    replication: int
    """The smallest number of replicas of any partition."""
    configs: Mapping[str, str]
    """All settings in force, defaults included."""


class Admin(Protocol):
    """Asks the brokers. May be used from any thread, one call at a time (it locks). Raises Unavailable."""

    def topic(self, name: str) -> Topic | None:
        """None if there is none."""
        ...

    def create_topic(self, name: str, partitions: int, replication: int, configs: Mapping[str, str]) -> None:
        """Returns when it can be written; also if somebody else made it meanwhile."""
        ...

    def begins(self, places: Collection[Place]) -> dict[Place, int]:
        """The first offsets there are."""
        ...

    def ends(self, places: Collection[Place], *, committed: bool) -> dict[Place, int]:
        """The offsets after the last record, asked of the leaders now.

        `committed`: up to the first transaction that is still open (the last stable offset); else all that is
        replicated (the high watermark), the records of open transactions included.
        """
        ...

    def offsets_at(self, places: Collection[Place], milliseconds: int) -> dict[Place, int | None]:
        """The first offsets whose timestamp is at or after a time; None where there is none."""
        ...

    def members(self, group: str) -> dict[str, frozenset[int]]:
        """The client ids of a group's members, and the partitions that each has. Empty for a group that isn't there."""
        ...

    def close(self) -> None: ...


class Membership(Protocol):
    """A member of a consumer group, which is told partitions of a topic and reads none of them."""

    @property
    def generation(self) -> int:
        """Of the last assignment; it grows with each rebalance of the group, until the group is forgotten."""
        ...

    def poll(self, timeout: float) -> None:
        """Keep the membership for so many seconds; the callbacks are called from within. Raises Unavailable."""
        ...

    def close(self) -> None:
        """Leaves the group at once."""
        ...


class Callbacks(NamedTuple):
    """What a membership tells, on the thread that polls it."""

    assigned: Callable[[frozenset[int], int], None]
    """Partitions that are now this member's besides those it had, and the generation."""
    revoked: Callable[[frozenset[int]], None]
    """Partitions that go to another once this returns."""
    lost: Callable[[frozenset[int]], None]
    """Partitions that went to another already, perhaps long ago."""


class Client(Protocol):
    """Makes the others, all to the same brokers with the same credentials."""

    def writer(self, transactional_id: str, transaction_timeout: float) -> Writer:
        """`transaction_timeout`: seconds after which the broker aborts what its writer left open."""
        ...

    def settler(self, transactional_id: str, transaction_timeout: float) -> Settler: ...

    def reader(self, *, committed: bool = True) -> Reader:
        """`committed`: False to see also what is in open transactions, and what was aborted."""
        ...

    def admin(self) -> Admin: ...

    def membership(
        self, group: str, topic: str, client_id: str, session_timeout: float, callbacks: Callbacks
    ) -> Membership:
        """`session_timeout`: seconds without a sign of life after which the group goes on without this member."""
        ...
