"""An embedded ledger moved to Kafka: every byte, commit and key is there, once, however often it was killed."""

import asyncio
import shutil
from pathlib import Path

import pytest

from adapters.index.database import Database
from adapters.index.ring import RingChange
from adapters.kafka.client import Place
from adapters.kafka.clients import connect
from adapters.kafka.ledger import KafkaOptions
from adapters.kafka.log import SchemaIds
from adapters.kafka.migrated import Compared, NotMigrated, compare
from adapters.kafka.migrating import Copied, migration
from adapters.kafka.outside_registry import Swap
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import Topics
from domain.ids import TenantId
from domain.ledger import Idempotency, KeyReused, NewKeys
from schemas.registry import published
from tests.adapters.index import logs as embedded
from tests.adapters.index.logs import ROOT_KEY, data_of, note, work
from tests.adapters.kafka.dying_migration import DyingMigration
from tests.adapters.kafka.embedded_history import TENANTS, EmbeddedHistory, Secret, Told, tell
from tests.adapters.kafka.logs import KafkaLog, now, options, running
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.node import PATIENCE, until

pytestmark = pytest.mark.timeout(300)

PARTITIONS = 3


def told_by(log: KafkaLog, secrets: list[Secret]) -> Told:
    kafka = log.kafka
    databases = [each.database for each in kafka.partitions]
    return tell(kafka.histories, kafka.keyrings, kafka.keyrings.epoch, databases, secrets)


async def migrate(folder: Path, given: KafkaOptions, schemas: SchemaIds | None = None) -> tuple[Copied, Compared]:
    source = Database(folder / "ledger.db")
    try:
        async with migration(source, given, ROOT_KEY, now, schemas) as migrating:
            return await migrating.copy(), await migrating.compare()
    finally:
        source.close()


async def copy_overtaken(source: Database, given: KafkaOptions, node: KafkaOptions) -> None:
    """Copy once a node has taken over a part of the target."""
    async with migration(source, given, ROOT_KEY, now) as migrating, running(node, join=False) as log:
        log.kafka.join()
        owning = [asyncio.ensure_future(each.until_owned(PATIENCE)) for each in log.kafka.owners.values()]
        await asyncio.wait(owning, return_when=asyncio.FIRST_COMPLETED)
        for each in owning:
            each.cancel()
        await migrating.copy()


def folder_of(path: Path) -> Path:
    path.mkdir()
    return path


def count(told: Told) -> int:
    return sum(map(len, told.stored.values()))


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
async def test_all_is_there_as_it_was(kafka: Brokers, tmp_path: Path, client: str) -> None:
    history, prefix = EmbeddedHistory(tmp_path / "source", 1), fresh_prefix()
    await history.go_on(150)
    before = await history.told()
    given = options(kafka.servers, prefix, tmp_path / "index", client=client, partitions=PARTITIONS)
    copied, compared = await migrate(history.folder, given)
    assert copied.events == compared.events == count(before)
    assert (copied.keys, compared.tenants) == (compared.keys, len(TENANTS))
    assert before.epoch > 5
    assert {None} < {value for value, _ in before.opened}
    for name in ("index", "another index"):  # the one that was made on the way, and one that is made of Kafka alone
        given = options(kafka.servers, prefix, tmp_path / name, partitions=PARTITIONS)
        async with running(given, join=False) as log:
            assert told_by(log, history.secrets) == before
            assert len([each for each in log.kafka.partitions if each.sequence]) > 1


async def test_the_ledger_goes_on_in_kafka(kafka: Brokers, tmp_path: Path) -> None:
    history, prefix = EmbeddedHistory(tmp_path / "source", 2), fresh_prefix()
    await history.go_on(60)
    before = await history.told()
    given = options(kafka.servers, prefix, tmp_path / "index", partitions=PARTITIONS)
    await migrate(history.folder, given)
    async with running(given) as log:
        kafka_of = log.kafka.owner_of
        for key, first in history.keyed[-20:]:
            again = await kafka_of(first.tenant).execute(work(note(b"never"), tenant=first.tenant, idempotency=key))
            assert (again.repeated, again.position, again.instant) == (True, first.position, first.instant)
            assert data_of(again.events) == data_of(first.events)
            other = Idempotency(key.key, b"another body")
            with pytest.raises(KeyReused):
                await kafka_of(first.tenant).execute(work(note(b"never"), tenant=first.tenant, idempotency=other))
        for tenant in TENANTS:
            keys = NewKeys()
            known = next(each for each in history.secrets if each.tenant == tenant)
            open = log.kafka.keyrings.unseal(tenant, "name", known.sealed)
            sealed = log.kafka.keyrings.seal(keys, tenant, known.subject, "name", known.value)
            assert (sealed.key == known.sealed.key) is (open is not None)
            position = (await kafka_of(tenant).execute(work(note(b"more"), tenant=tenant))).position
            assert position == len(before.stored[tenant]) + 1
    async with running(options(kafka.servers, prefix, tmp_path / "another", partitions=PARTITIONS), join=False) as log:
        after = told_by(log, history.secrets)
        assert after.opened == before.opened
        assert {each: stored[:-1] for each, stored in after.stored.items()} == before.stored
        await asyncio.to_thread(log.kafka.evidences.check)


async def test_killed_again_and_again_it_copies_everything_once(kafka: Brokers, tmp_path: Path) -> None:
    history, prefix = EmbeddedHistory(tmp_path / "source", 3), fresh_prefix()
    await history.go_on(150)
    before = await history.told()
    client = connect(KafkaSettings(kafka.servers))
    admin = client.admin()
    given = options(kafka.servers, prefix, tmp_path / "index", partitions=PARTITIONS)

    def records(topic: str) -> int:
        if admin.topic(f"{prefix}.{topic}") is None:
            return 0
        places = [Place(f"{prefix}.{topic}", number) for number in range(PARTITIONS)]
        return sum(admin.ends(places, committed=False).values())

    for topic, more in (("keyring", 20), ("ledger", 30), ("ledger", 60)):
        had = records(topic)
        dying = DyingMigration(kafka.servers, prefix, history.folder, given.folder, PARTITIONS)
        until(lambda: records(topic) >= had + more or dying.is_over, f"{topic} grows")  # noqa: B023
        assert not dying.is_over
        dying.kill()
        if topic == "keyring":
            shutil.rmtree(given.folder)
    copied, compared = await migrate(history.folder, given)
    assert 0 < copied.events < compared.events == count(before)
    assert copied.keys < compared.keys
    again, _ = await migrate(history.folder, given)
    assert again == (0, 0)
    async with running(options(kafka.servers, prefix, tmp_path / "another", partitions=PARTITIONS), join=False) as log:
        assert told_by(log, history.secrets) == before
    admin.close()


async def test_what_went_on_after_an_attempt_comes_with_the_next(kafka: Brokers, tmp_path: Path) -> None:
    history, prefix = EmbeddedHistory(tmp_path / "source", 4), fresh_prefix()
    await history.go_on(40)
    given = options(kafka.servers, prefix, tmp_path / "index", partitions=PARTITIONS)
    first, _ = await migrate(history.folder, given)
    early = next(each for each in history.secrets if each.tenant == TENANTS[0])
    async with embedded.running(history.folder) as log:
        await history.erase(log, early)
        blind = NewKeys()
        log.keyring.blind(blind, TENANTS[1], "retries-2026-01-01", "x")
        await log.sequencer.execute(work(note(b"1"), tenant=TENANTS[1], keys=blind))
    await history.go_on(40)
    second, _ = await migrate(history.folder, given)
    async with embedded.running(history.folder) as log:
        await log.sequencer.change_ring(log.keyring.spent_purposes("retries-2", "retries-2026-01-02"))
    third, compared = await migrate(history.folder, given)
    before = await history.told()
    assert before.opened[history.secrets.index(early)] == (None, None)
    assert first.events + second.events == compared.events == count(before)
    assert third == (0, 1)  # the key that is destroyed
    for name in ("index", "another index"):
        given = options(kafka.servers, prefix, tmp_path / name, partitions=PARTITIONS)
        async with running(given, join=False) as log:
            assert told_by(log, history.secrets) == before


async def test_ids_of_an_outside_registry_are_only_in_kafka(kafka: Brokers, tmp_path: Path) -> None:
    history, prefix = EmbeddedHistory(tmp_path / "source", 5), fresh_prefix()
    await history.go_on(20)
    given = options(kafka.servers, prefix, tmp_path / "index", partitions=PARTITIONS)
    await migrate(history.folder, given, Swap({each.id: each.id + 5_000 for each in published()}))
    async with running(options(kafka.servers, prefix, tmp_path / "another", partitions=PARTITIONS), join=False) as log:
        assert told_by(log, history.secrets) == await history.told()


async def test_an_empty_ledger_is_moved_too(kafka: Brokers, tmp_path: Path) -> None:
    async with embedded.running(tmp_path):
        pass
    given = options(kafka.servers, fresh_prefix(), tmp_path / "index")
    assert await migrate(tmp_path, given) == ((0, 0), (0, 0, 0))


class TestRefusals:
    """Whatever is there that is not the beginning of this ledger, it is left as it is."""

    async def test_another_history(self, kafka: Brokers, tmp_path: Path) -> None:
        mine, other = EmbeddedHistory(tmp_path / "mine", 6), EmbeddedHistory(tmp_path / "other", 7)
        given = options(kafka.servers, fresh_prefix(), tmp_path / "index", partitions=PARTITIONS)
        await mine.go_on(20)
        await other.go_on(20)
        await migrate(mine.folder, given)
        with pytest.raises(NotMigrated, match=r"not this ledger's.*MUNIMENT_KAFKA_PREFIX"):
            await migrate(other.folder, given)
        assert (await migrate(mine.folder, given))[0] == (0, 0)

    async def test_a_history_that_went_on(self, kafka: Brokers, tmp_path: Path) -> None:
        history = EmbeddedHistory(tmp_path / "mine", 8)
        await history.go_on(20)
        given = options(kafka.servers, fresh_prefix(), tmp_path / "index", partitions=PARTITIONS)
        await migrate(history.folder, given)
        async with running(given) as log:
            await log.kafka.owner_of(TENANTS[0]).execute(work(note(b"more"), tenant=TENANTS[0]))
        with pytest.raises(NotMigrated, match="has gone on since"):
            await migrate(history.folder, given)

    async def test_a_tenant_that_is_not_here(self, kafka: Brokers, tmp_path: Path) -> None:
        history, given = (
            EmbeddedHistory(tmp_path / "mine", 9),
            options(kafka.servers, fresh_prefix(), tmp_path / "index"),
        )
        await history.go_on(5)
        async with running(given) as log:
            await log.owner.execute(work(note(b"stranger"), tenant=TenantId("ten_stranger")))
        with pytest.raises(NotMigrated, match="ten_stranger"):
            await migrate(history.folder, given)

    async def test_keys_that_were_never_here(self, kafka: Brokers, tmp_path: Path) -> None:
        history, given = (
            EmbeddedHistory(tmp_path / "mine", 10),
            options(kafka.servers, fresh_prefix(), tmp_path / "index"),
        )
        await history.go_on(5)
        async with running(given) as log:
            stranger = RingChange()
            stranger.add_data_key(TENANTS[0], "dek_stranger", "usr_1", b"wrapped")
            await log.sequencer.change_ring(stranger)
        with pytest.raises(NotMigrated, match="keys that were never"):
            await migrate(history.folder, given)

    async def test_a_node_that_runs(self, kafka: Brokers, tmp_path: Path) -> None:
        history, prefix = EmbeddedHistory(tmp_path / "mine", 11), fresh_prefix()
        await history.go_on(5)
        node = options(kafka.servers, prefix, tmp_path / "node", partitions=PARTITIONS)
        async with running(node) as log:
            with pytest.raises(NotMigrated, match=f"a node runs .*{node.address}.*6 seconds"):
                await migrate(history.folder, options(kafka.servers, prefix, tmp_path / "index"))
            assert all(each.is_ours and each.takeovers == 1 for each in log.kafka.owners.values())

    async def test_a_node_that_starts_meanwhile(self, kafka: Brokers, tmp_path: Path) -> None:
        history, prefix = EmbeddedHistory(tmp_path / "mine", 15), fresh_prefix()
        await history.go_on(20)
        given = options(kafka.servers, prefix, tmp_path / "index", partitions=PARTITIONS)
        source = Database(history.folder / "ledger.db")
        try:
            with pytest.raises(NotMigrated, match="stop all nodes"):
                await copy_overtaken(source, given, options(kafka.servers, prefix, tmp_path / "node"))
        finally:
            source.close()
        _, compared = await migrate(history.folder, given)
        assert compared.events == count(await history.told())

    async def test_topics_made_anew(self, kafka: Brokers, tmp_path: Path) -> None:
        history, given = (
            EmbeddedHistory(tmp_path / "mine", 12),
            options(kafka.servers, fresh_prefix(), tmp_path / "index"),
        )
        await history.go_on(5)
        await migrate(history.folder, given)
        elsewhere = options(kafka.servers, fresh_prefix(), given.folder)
        with pytest.raises(NotMigrated, match=f"delete {given.folder}"):
            await migrate(history.folder, elsewhere)
        shutil.rmtree(given.folder)
        await migrate(history.folder, elsewhere)

    async def test_brokers_that_do_not_answer(self, tmp_path: Path) -> None:
        async with embedded.running(tmp_path):
            pass
        with pytest.raises(NotMigrated, match="run the command again"):
            await migrate(tmp_path, options("127.0.0.1:1", fresh_prefix(), tmp_path / "index"))


DIFFERENCES = (
    ("UPDATE tenants SET frontier = zeroblob(length(frontier)) WHERE number = 1", "is not whole"),
    ("UPDATE tenants SET tenant = 'ten_other' WHERE number = 1", "ten_other is another one"),
    ("DELETE FROM tenants WHERE number = 1", "which the folder has not"),
    ("UPDATE data_keys SET wrapped = randomblob(length(wrapped)) WHERE number = 2", "keyring of ten_"),
    ("UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE number = 2", "keys that the folder has not"),
    ("UPDATE tenant_keys SET id = id || 'x' WHERE number = 1", "keyring of ten_"),
    ("UPDATE handles SET lookup = zeroblob(32) WHERE number = 1", "keyring of ten_"),
    ("DELETE FROM handles WHERE number = 1", "keys that the folder has not"),
)


async def test_whatever_differs_is_seen(kafka: Brokers, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    given = options(kafka.servers, fresh_prefix(), tmp_path / "index", partitions=PARTITIONS)
    async with embedded.running(folder_of(folder)) as log:
        for number, tenant in enumerate(TENANTS):
            keys = NewKeys()
            sealed = log.keyring.seal(keys, tenant, f"usr_{number}", "name", "Kif")
            handle = log.keyring.handle(keys, tenant, "name", "Kif")
            await log.sequencer.execute(work(note((sealed.key + handle).encode()), tenant=tenant, keys=keys))
    await migrate(folder, given)
    prefix, client = given.topics.prefix, connect(given.settings)
    topics = Topics(f"{prefix}.ledger", f"{prefix}.keyring", f"{prefix}.nodes", PARTITIONS)
    for change, says in DIFFERENCES:
        changed = folder_of(tmp_path / "changed")
        shutil.copy2(folder / "ledger.db", changed)
        source = Database(changed / "ledger.db")
        try:
            source.writer.execute(change)
            with pytest.raises(NotMigrated, match=says):
                await asyncio.to_thread(compare, source, client, topics)
        finally:
            source.close()
            shutil.rmtree(changed)
