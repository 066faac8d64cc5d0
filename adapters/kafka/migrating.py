"""Copies an embedded ledger into Kafka: positions and bytes as they are, resumable, and compared by every hash.

The target is a ledger that this process alone owns. What a tenant has there already is not copied again, so an attempt
that was interrupted goes on where it ended.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from adapters.avro.codec import decode_prefix
from adapters.index.database import Database
from adapters.index.evidence import LogEvidence, Progress
from adapters.index.history import IndexHistory
from adapters.index.ring import RingChange
from adapters.kafka.applying import KEYRING, LEDGER, Applier
from adapters.kafka.client import Client, Place, Received, Record
from adapters.kafka.commits import CommitRead, Verifier
from adapters.kafka.follower import with_our_id
from adapters.kafka.headers import CommitMark, headers_of
from adapters.kafka.ledger import KafkaLedger
from adapters.kafka.log import KafkaLog
from adapters.kafka.owner import Ownership
from domain.ids import Handle, TenantId
from domain.tree import Frontier, leaf_hash

EVENTS_AT_ONCE: Final = 2_000
KEYS_AT_ONCE: Final = 5_000


class NotMigrated(Exception):
    """The ledger was not copied as it is; the message says why and what to do."""


class Migrated(NamedTuple):
    """What was copied now, and what the target holds."""

    copied: int
    events: int
    tenants: int


class _Commit(NamedTuple):
    id: bytes
    events: list[tuple[str, int, bytes]]
    """Tenant, position and stored bytes."""


class Migration:
    """From a source that nobody writes, into partitions that nobody else owns."""

    def __init__(self, source: Database, target: KafkaLedger, client: Client) -> None:
        self._source = source
        self._target = target
        self._client = client

    async def run(self, progress: Progress = lambda done, of: None) -> Migrated:
        """Raises NotMigrated, or what the owners' log raises; then run it again."""
        if others := await self._target.other_members():
            raise NotMigrated(f"a node is running on that Kafka ({others[0]}): stop all of them first")
        for owner in self._target.owners.values():
            await owner.until_owned(60.0)
        self._must_continue()
        copied = 0
        for owner in self._target.owners.values():
            await self._copy_keys(owner)
        total = self._source.one("SELECT count(*) FROM events", ())[0]
        done = 0
        for batch in _batches(self._commits()):
            for number, commits in self._by_partition(batch).items():
                copied += await self._copy(self._target.owners[number], commits)
            done += sum(len(each.events) for each in batch)
            progress(done, total)
        return self._compare(copied)

    def _must_continue(self) -> None:
        """What the target has must be the beginning of what the source has."""
        ours = IndexHistory(self._source)
        for tenant in self._target.histories.tenants():
            head = self._target.histories.head(tenant)[0]
            there = self._target.histories.stored(tenant, max(0, head - 1), 1)
            here = ours.stored(tenant, max(0, head - 1), 1)
            if [bytes(each[1]) for each in there] != [bytes(each[1]) for each in here]:
                raise NotMigrated(
                    f"Kafka already has a history of {tenant} that is not this ledger's: "
                    "name another MUNIMENT_KAFKA_PREFIX, or empty topics"
                )

    def _commits(self) -> Iterator[_Commit]:
        """Those of the source, in order. One read transaction each, so that nothing is held for long."""
        last = 0
        while True:
            with self._source.reading() as connection:
                row = connection.execute(
                    "SELECT first, count, id FROM commits WHERE first > ? ORDER BY first LIMIT 1", (last,)
                ).fetchone()
                if row is None:
                    return
                first, count, id = row
                events = connection.execute(
                    "SELECT t.tenant, e.position, e.stored FROM events e JOIN tenants t ON t.number = e.tenant "
                    "WHERE e.sequence BETWEEN ? AND ? ORDER BY e.sequence",
                    (first, first + count - 1),
                ).fetchall()
            last = first + count - 1
            yield _Commit(id, events)

    def _by_partition(self, commits: list[_Commit]) -> dict[int, list[_Commit]]:
        """What is not there yet, by where it goes."""
        found: dict[int, list[_Commit]] = {}
        heads: dict[str, int] = {}
        for commit in commits:
            parts: dict[int, _Commit] = {}
            for tenant, position, stored in commit.events:
                if tenant not in heads:
                    heads[tenant] = self._target.histories.head(TenantId(tenant))[0]
                if position > heads[tenant]:
                    number = self._target.topics.partition_of(tenant)
                    parts.setdefault(number, _Commit(commit.id, [])).events.append((tenant, position, bytes(stored)))
            for number, part in parts.items():
                found.setdefault(number, []).append(part)
        return found

    async def _copy(self, owner: Ownership, commits: list[_Commit]) -> int:
        copying = _Copying(owner)
        await _alone(owner, lambda: copying.copy(commits))
        return sum(len(each.events) for each in commits)

    async def _copy_keys(self, owner: Ownership) -> None:
        """The keyring's, of the tenants that belong to a partition; destroyed ones have nothing to copy."""
        number, partition_of = owner.partition.number, self._target.topics.partition_of
        for change in self._keys(lambda tenant: partition_of(tenant) == number, owner.partition.database):
            log = owner.log
            if log is None:
                raise NotMigrated("a partition was lost to another node: stop all nodes, and run this again")
            await _alone(owner, lambda change=change, log=log: log.change_ring(change))  # type: ignore[misc]

    def _keys(self, belongs: Callable[[str], bool], there: Database) -> Iterator[RingChange]:
        change, count = RingChange(), 0
        with self._source.reading() as connection:
            for tenant, id, wrapped in connection.execute("SELECT tenant, id, wrapped FROM tenant_keys"):
                if belongs(tenant) and not _has(there, "tenant_keys", "id", id):
                    change.add_tenant_key(TenantId(tenant), id, wrapped)
            if change:
                yield change
            change = RingChange()
            for tenant, id, subject, wrapped in connection.execute(
                "SELECT tenant, id, subject, wrapped FROM data_keys WHERE wrapped <> zeroblob(length(wrapped))"
            ).fetchall():
                if belongs(tenant) and not _has(there, "data_keys", "id", id):
                    change.add_data_key(TenantId(tenant), id, subject, wrapped)
                    count += 1
                if count >= KEYS_AT_ONCE:
                    yield change
                    change, count = RingChange(), 0
            for tenant, handle, lookup in connection.execute(
                "SELECT tenant, handle, lookup FROM handles WHERE short <> 0"
            ).fetchall():
                if belongs(tenant) and not _has(there, "handles", "handle", handle):
                    change.add_handle(TenantId(tenant), Handle(handle), lookup)
                    count += 1
                if count >= KEYS_AT_ONCE:
                    yield change
                    change, count = RingChange(), 0
        if change:
            yield change

    def _compare(self, copied: int) -> Migrated:
        """Every tenant's tree, computed from what Kafka holds, against that of the source. Raises NotMigrated."""
        trees = self._read_back()
        evidence, events = LogEvidence(self._source, None), 0
        tenants = IndexHistory(self._source).tenants()
        for tenant in tenants:
            tree, there = evidence.tree(tenant), trees.pop(tenant, Frontier())
            if tree.problem is not None:
                raise NotMigrated(f"the history of {tenant} is not whole here: {tree.problem}; restore a backup")
            if (tree.size, tree.root) != (there.size, there.root()):
                raise NotMigrated(f"the history of {tenant} differs in Kafka: empty its topics, and run this again")
            events += tree.size
        if trees:
            raise NotMigrated(f"Kafka has tenants that are not this ledger's ({next(iter(trees))}): empty its topics")
        return Migrated(copied, events, len(tenants))

    def _read_back(self) -> dict[str, Frontier]:
        topics, trees = self._target.topics, dict[str, Frontier]()
        reader, admin = self._client.reader(), self._client.admin()
        try:
            places = [topics.of_ledger(number) for number in range(topics.partitions)]
            ends = admin.ends(places, committed=True)
            reader.assign(admin.begins(places))
            verifiers = {place: Verifier(f"{place.topic}/{place.partition}", 0, 0, bytes(32)) for place in places}
            while any(reader.position(place) < end for place, end in ends.items()):
                for record in reader.poll(1.0):
                    for _, each in verifiers[record.place].read([with_our_id(record)]):
                        if isinstance(each, CommitRead):
                            for tenant, stored in zip(each.tenants, each.stored, strict=True):
                                trees.setdefault(tenant, Frontier()).append(leaf_hash(stored))
        finally:
            reader.close()
            admin.close()
        return trees


class _Copying:
    """Appends commits of the source to a partition, on the commit thread of its owner."""

    def __init__(self, owner: Ownership) -> None:
        if owner.log is None:
            raise NotMigrated("a partition was lost to another node: stop all nodes, and run this again")
        self._log: KafkaLog = owner.log
        self._database = owner.partition.database
        self._place: Place = self._log.place

    def copy(self, commits: list[_Commit]) -> None:
        row = self._database.one("SELECT first + count - 1, chain FROM commits ORDER BY first DESC LIMIT 1", ())
        sequence, chain = row or (0, bytes(32))
        name = f"{self._place.topic}/{self._place.partition}"
        verifier = Verifier(name, self._log.epoch, sequence, chain)
        records: list[Record] = []
        for commit in commits:
            for nth, (tenant, _, stored) in enumerate(commit.events):
                sequence += 1
                prefix = decode_prefix(stored)
                mark = CommitMark(commit.id, nth, len(commit.events), self._log.epoch, sequence)
                headers = headers_of(stored, prefix.event_id, prefix.instant, TenantId(tenant), mark)
                records.append(Record(self._place, tenant.encode(), stored, headers))
        offsets = self._log.append(records)
        read = [each for _, each in verifier.read(_as_received(records, offsets))]
        cursors = ((LEDGER, offsets[-1], offsets[-1] + 1), (KEYRING, 0, 0))
        Applier(self._database).apply(read, RingChange(), (), cursors, decode=False)


def _as_received(records: list[Record], offsets: list[int]) -> list[Received]:
    return [Received(each.place, offset, *each[1:]) for each, offset in zip(records, offsets, strict=True)]


async def _alone(owner: Ownership, act: Callable[[], None]) -> None:
    """On the commit thread of the partition's owner."""
    if owner.sequencer is None:
        raise NotMigrated("a partition was lost to another node: stop all nodes, and run this again")
    await owner.sequencer.exclusively(lambda _: act())


def _has(database: Database, table: str, column: str, value: str) -> bool:
    return database.one(f"SELECT 1 FROM {table} WHERE {column} = ?", (value,)) is not None  # noqa: S608


def _batches(commits: Iterator[_Commit]) -> Iterator[list[_Commit]]:
    batch: list[_Commit] = []
    size = 0
    for commit in commits:
        batch.append(commit)
        size += len(commit.events)
        if size >= EVENTS_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
