"""What a node asks of its tenants, whichever partition holds them: their histories, their keys, their trees."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from adapters.index.evidence import LogBroken, LogEvidence, Progress, Tree
from adapters.index.log import LogEnd, LogShorter
from adapters.index.ring import RingChange
from adapters.kafka.partition import Partition
from domain.boundary import Item
from domain.event import Entry, Instant, Recorded, Sealed
from domain.ids import Handle, TenantId
from domain.ledger import NewKeys, Query

Find = Callable[[str], Partition]
"""The partition of a tenant."""


class Histories:
    """See domain.ledger.History."""

    def __init__(self, partitions: Sequence[Partition], find: Find) -> None:
        self._partitions = partitions
        self._find = find

    def head(self, tenant: TenantId) -> tuple[int, Instant]:
        return self._find(tenant).history.head(tenant)

    def entries(self, tenant: TenantId, query: Query, limit: int, newest_first: bool = False) -> Sequence[Entry]:
        return self._find(tenant).history.entries(tenant, query, limit, newest_first)

    def recorded(self, tenant: TenantId, query: Query, limit: int) -> Sequence[Recorded]:
        return self._find(tenant).history.recorded(tenant, query, limit)

    def latest(self, tenant: TenantId, tag: str, types: Sequence[str]) -> Sequence[Recorded]:
        return self._find(tenant).history.latest(tenant, tag, types)

    def instant_of(self, tenant: TenantId, position: int) -> Instant:
        return self._find(tenant).history.instant_of(tenant, position)

    def stored(self, tenant: TenantId, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return self._find(tenant).history.stored(tenant, after, limit)

    def own(self, tenant: TenantId, position: int) -> bytes:
        """See IndexHistory."""
        return self._find(tenant).history.own(tenant, position)

    def position_at(self, tenant: TenantId, instant: Instant) -> int:
        return self._find(tenant).history.position_at(tenant, instant)

    def tenants(self) -> Sequence[TenantId]:
        return [tenant for each in self._partitions for tenant in each.history.tenants()]


class OtherPartitions:
    """See adapters.index.deciding.Elsewhere."""

    def __init__(self, own: int, histories: Histories, find: Find) -> None:
        self._own = own
        self._histories = histories
        self._find = find

    def holds(self, tenant: TenantId) -> bool:
        return self._find(tenant).number != self._own

    def latest(self, tenant: TenantId, tags: tuple[str, ...], types: Sequence[str]) -> Sequence[Recorded]:
        return self._histories.latest(tenant, tags[0], types)

    def grew(self, tenant: TenantId, item: Item, after: int) -> bool:
        types = tuple(each if isinstance(each, str) else each.__name__ for each in item.types)
        return bool(self._histories.recorded(tenant, Query(item.tags, types, after), 1))

    def head(self, tenant: TenantId) -> int:
        return self._histories.head(tenant)[0]


class Keyrings:
    """See adapters.keyring.Keyring: that of each tenant's partition."""

    def __init__(self, partitions: Sequence[Partition], find: Find) -> None:
        self._partitions = partitions
        self._find = find

    @property
    def epoch(self) -> int:
        """Counts erasures in all partitions."""
        return sum(each.keyring.epoch for each in self._partitions)

    def seal(self, keys: NewKeys, tenant: TenantId, subject: str, field: str, value: str) -> Sealed:
        return self._find(tenant).keyring.seal(keys, tenant, subject, field, value)

    def unseal(self, tenant: TenantId, field: str, sealed: Sealed) -> str | None:
        return self._find(tenant).keyring.unseal(tenant, field, sealed)

    def handle(self, keys: NewKeys, tenant: TenantId, attribute: str, value: str) -> Handle:
        return self._find(tenant).keyring.handle(keys, tenant, attribute, value)

    def find_handle(self, tenant: TenantId, attribute: str, value: str) -> Handle | None:
        return self._find(tenant).keyring.find_handle(tenant, attribute, value)

    def blind(self, keys: NewKeys, tenant: TenantId, purpose: str, value: str) -> str:
        return self._find(tenant).keyring.blind(keys, tenant, purpose, value)

    def new_subject(self, keys: NewKeys, tenant: TenantId, subject: str) -> None:
        self._find(tenant).keyring.new_subject(keys, tenant, subject)

    def adopt(self, tenant: TenantId, keys: NewKeys) -> bool:
        return self._find(tenant).keyring.adopt(tenant, keys)

    def spent_purposes(self, partition: Partition, first: str, before: str) -> RingChange:
        return partition.keyring.spent_purposes(first, before)


class Evidences:
    """The evidence in all partitions of a log."""

    failures: Final = (LogBroken, LogShorter)
    """What `check` raises."""

    def __init__(self, partitions: Sequence[Partition], find: Find) -> None:
        self._evidence = {each.number: LogEvidence(each.database, None) for each in partitions}
        self._find = find

    def tree(self, tenant: TenantId) -> Tree:
        return self._evidence[self._find(tenant).number].tree(tenant)

    def frontier(self, tenant: str) -> tuple[int, bytes]:
        """See LogEvidence."""
        return self._evidence[self._find(tenant).number].frontier(tenant)

    def parts(self) -> Sequence[LogEvidence]:
        """The partitions', by their numbers."""
        return tuple(self._evidence.values())

    def check(self, progress: Progress = lambda done, of: None) -> LogEnd:
        """All events' number, and the hash of the partitions' chains. Raises one of `failures`."""
        ends = [each.check(progress) for each in self._evidence.values()]
        chain = hashlib.sha256(b"".join(end.chain for end in ends)).digest()
        return LogEnd(sum(end.sequence for end in ends), chain, max(end.instant for end in ends))
