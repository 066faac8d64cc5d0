"""A follower that is interrupted between reading and applying reads nothing twice and loses nothing."""

from pathlib import Path

from domain.ids import TenantId
from domain.ledger import NewKeys
from tests.adapters.index.logs import note, work
from tests.adapters.kafka.logs import KafkaLog, options, running
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.node import PATIENCE

TENANTS = [TenantId(f"ten_{number:032x}") for number in range(12)]


async def grow(log: KafkaLog, tenant: TenantId, number: int) -> None:
    """An event that needs a new key, so that its reader has to wait for the keyring."""
    keys, owner = NewKeys(), log.kafka.owner_of(tenant)
    sealed = owner.partition.keyring.seal(keys, tenant, f"usr_{number}", "name", "Fry")
    await owner.execute(work(note(sealed.key.encode()), tenant=tenant, keys=keys))


async def test_partitions_come_and_go_while_others_are_read(kafka: Brokers, tmp_path: Path) -> None:
    prefix = fresh_prefix()
    first, second = (options(kafka.servers, prefix, tmp_path / name, partitions=4) for name in "ab")
    async with running(first) as one, running(second, join=False) as other:
        for number in range(60):
            for tenant in TENANTS[number % 4 :: 4]:
                await grow(one, tenant, number)
            await other.kafka.follower.release(number % 4)
            await other.kafka.follower.resume(number % 4)
        for tenant in TENANTS:
            partition, head = other.kafka.owner_of(tenant).partition, one.history.head(tenant)[0]

            def has_read(tenant: TenantId = tenant, head: int = head) -> bool:
                return other.history.head(tenant)[0] == head

            await partition.until(has_read, PATIENCE, "it was not read")
            assert partition.trouble is None
            assert other.kafka.evidences.tree(tenant) == one.kafka.evidences.tree(tenant)
        for partition in other.kafka.partitions:
            keys = "SELECT count(*) FROM data_keys"
            there = one.kafka.partitions[partition.number].database.one(keys, ())
            assert partition.database.one(keys, ()) == there
