"""Whether Kafka holds what an embedded ledger held: every tenant's tree and every key, read back from it."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from adapters.index.database import Database
from adapters.index.evidence import LogEvidence, Progress
from adapters.index.ring import RingChange
from adapters.kafka.client import Client, Place, Received
from adapters.kafka.commits import CommitRead, LogUnlike, Verifier
from adapters.kafka.follower import with_our_id
from adapters.kafka.ring_copying import DATA_KEYS, HANDLES, TENANT_KEYS, pages
from adapters.kafka.ring_records import NotOfTheRing, change_of, records_of
from adapters.kafka.topics import Topics
from domain.evidence.tree import Frontier
from domain.ids import Handle, TenantId

POLL: Final = 1.0
EMPTY_THEM: Final = "delete the topics, and run the command again"
_NOWHERE: Final = Place("", 0)


class NotMigrated(Exception):
    """The ledger is not in Kafka as it is here; the message says why and what to do."""


class Compared(NamedTuple):
    """What both hold."""

    events: int
    tenants: int
    keys: int


def compare(source: Database, client: Client, topics: Topics, progress: Progress = lambda done, of: None) -> Compared:
    """Reads all of both. `source` is written by nobody, `topics` by nobody else; what `progress` raises ends it.

    Raises NotMigrated, Unavailable.
    """
    (total,) = source.one("SELECT coalesce(max(sequence), 0) FROM events", ())
    try:
        trees = _trees(client, topics, lambda done: progress(done, total))
        rings = _rings(client, topics, lambda: progress(total, total))
    except (LogUnlike, NotOfTheRing) as problem:
        raise NotMigrated(f"{problem}: {EMPTY_THEM}") from problem
    tenants = _compare_trees(source, trees)
    return Compared(total, tenants, _compare_rings(source, topics, rings))


def _read(client: Client, places: list[Place]) -> Iterator[list[Received]]:
    """All that is committed in some partitions."""
    reader, admin = client.reader(), client.admin()
    try:
        ends = admin.ends(places, committed=True)
        reader.assign(admin.begins(places))
        while any(reader.position(place) < end for place, end in ends.items()):
            yield reader.poll(POLL)
    finally:
        reader.close()
        admin.close()


def _trees(client: Client, topics: Topics, progress: Callable[[int], None]) -> dict[str, Frontier]:
    places = [topics.of_ledger(number) for number in range(topics.partitions)]
    verifiers = {place: Verifier(f"{place.topic}/{place.partition}", 0, 0, bytes(32)) for place in places}
    trees: dict[str, Frontier] = {}
    done = 0
    for records in _read(client, places):
        for record in records:
            for _, each in verifiers[record.place].read([with_our_id(record)]):
                if isinstance(each, CommitRead):
                    for tenant, leaf in zip(each.tenants, each.leaves, strict=True):
                        trees.setdefault(tenant, Frontier()).append(leaf)
                    done += len(each.stored)
        progress(done)
    return trees


def _compare_trees(source: Database, trees: dict[str, Frontier]) -> int:
    """How many tenants there are."""
    with source.reading() as connection:
        tenants = connection.execute("SELECT tenant, position, frontier FROM tenants").fetchall()
    for tenant, position, frontier in tenants:
        there = trees.pop(tenant, Frontier())
        if (there.size, there.pack()) != (position, frontier):
            problem = LogEvidence(source, None).tree(TenantId(tenant)).problem
            if problem is not None:
                raise NotMigrated(
                    f"the history of {tenant} is not whole in the data folder ({problem}): restore a backup"
                )
            raise NotMigrated(f"the history of {tenant} is another one in Kafka: {EMPTY_THEM}")
    if trees:
        raise NotMigrated(f"Kafka has a history of {next(iter(trees))}, which the folder has not: {EMPTY_THEM}")
    return len(tenants)


def _rings(client: Client, topics: Topics, progress: Callable[[], None]) -> dict[tuple[int, bytes], bytes]:
    """By partition and record key: a hash of what the record says, as of the last of each."""
    found: dict[tuple[int, bytes], bytes] = {}
    for records in _read(client, [topics.of_keyring(number) for number in range(topics.partitions)]):
        change_of(records)
        for record in records:
            key = (record.place.partition, record.key or b"")
            if record.value is None:
                found.pop(key, None)
            else:
                found[key] = _digest(record.value)
        progress()
    return found


def _compare_rings(source: Database, topics: Topics, rings: dict[tuple[int, bytes], bytes]) -> int:
    """How many keys and handles there are."""
    count = 0
    for tenant, change in _living(source):
        for record in records_of(change, (), _NOWHERE, 0):
            key, value = record.key or b"", record.value or b""
            if rings.pop((topics.partition_of(tenant), key), None) != _digest(value):
                raise NotMigrated(f"the keyring of {tenant} is another one in Kafka: {EMPTY_THEM}")
            count += 1
    if rings:
        raise NotMigrated(f"Kafka has keys that the folder has not, or has destroyed: {EMPTY_THEM}")
    return count


def _living(source: Database) -> Iterator[tuple[str, RingChange]]:
    """Each key and handle that is not destroyed."""
    for page in pages(source, TENANT_KEYS):
        for _, tenant, id, wrapped in page:
            change = RingChange()
            change.add_tenant_key(TenantId(tenant), id, wrapped)
            yield tenant, change
    for page in pages(source, DATA_KEYS):
        for _, tenant, id, subject, wrapped in page:
            if any(wrapped):
                change = RingChange()
                change.add_data_key(TenantId(tenant), id, subject, wrapped)
                yield tenant, change
    for page in pages(source, HANDLES):
        for _, tenant, handle, lookup, short in page:
            if short:
                change = RingChange()
                change.add_handle(TenantId(tenant), Handle(handle), lookup)
                yield tenant, change


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()
