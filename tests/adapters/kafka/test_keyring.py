"""The keyring on a compacted topic: keys are where events need them, and gone from everywhere once destroyed."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from adapters.index.ring import RingChange
from adapters.kafka.client import Place
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import KEYRING_CONFIGS
from domain.directory.life import SubjectErased
from domain.event import Event
from domain.ids import Handle, TenantId
from domain.ledger import NewKeys
from tests.adapters.index.logs import HERE, SOMEBODY, note, work
from tests.adapters.kafka.logs import KafkaLog, options, running
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.node import PATIENCE, until

NAME = "Turanga Leela"


async def execute(log: KafkaLog, *events: Event, keys: NewKeys | None = None) -> int:
    return (await log.owner.execute(work(*events, keys=keys))).position


async def read(log: KafkaLog, position: int, tenant: TenantId = HERE) -> None:
    await log.partition.until(lambda: log.history.head(tenant)[0] >= position, PATIENCE, "it was not read")


async def record_name(log: KafkaLog) -> tuple[str, Handle, int]:
    """The key id of a sealed name that is recorded, its handle, and the position."""
    keys = NewKeys()
    sealed = log.keyring.seal(keys, HERE, SOMEBODY, "name", NAME)
    handle = log.keyring.handle(keys, HERE, "name", NAME)
    return sealed.key, handle, await execute(log, note(sealed.key.encode() + handle.encode()), keys=keys)


async def test_keys_are_wherever_the_events_that_need_them_are(kafka: Brokers, tmp_path: Path) -> None:
    prefix = fresh_prefix()
    first, second = (options(kafka.servers, prefix, tmp_path / name) for name in "ab")
    async with running(first) as one, running(second, join=False) as other:
        keys = NewKeys()
        sealed = one.keyring.seal(keys, HERE, SOMEBODY, "name", NAME)
        handle = one.keyring.handle(keys, HERE, "name", NAME)
        position = await execute(one, note(sealed.key.encode() + handle.encode()), keys=keys)
        await read(other, position)
        assert other.keyring.unseal(HERE, "name", sealed) == NAME
        assert other.keyring.find_handle(HERE, "name", NAME) == handle
        assert other.keyring.handle(NewKeys(), HERE, "name", NAME) == handle
        erased = await execute(one, SubjectErased(SOMEBODY, (handle,)))
        await read(other, erased)
        for log in (one, other):
            assert log.keyring.unseal(HERE, "name", sealed) is None
            assert log.keyring.find_handle(HERE, "name", NAME) is None
            assert log.kafka.keyrings.epoch == 1
    for folder in "ab":
        with closing(sqlite3.connect(tmp_path / folder / "0.db")) as connection:
            rows = connection.execute("SELECT wrapped FROM data_keys WHERE id = ?", (sealed.key,)).fetchall()
            assert [any(wrapped) for (wrapped,) in rows] == [False]
            assert not any(connection.execute("SELECT lookup FROM handles").fetchone()[0])


async def test_keys_that_two_nodes_made_for_one_tenant_never_both_count(kafka: Brokers, tmp_path: Path) -> None:
    prefix = fresh_prefix()
    first, second = (options(kafka.servers, prefix, tmp_path / name) for name in "ab")
    async with running(first) as one, running(second, join=False) as other:
        theirs = NewKeys()
        other.keyring.handle(theirs, HERE, "name", NAME)  # never recorded: its command is still on the way
        _, handle, position = await record_name(one)
        assert not one.kafka.keyrings.adopt(HERE, theirs)
        await read(other, position)
        assert other.keyring.handle(NewKeys(), HERE, "name", NAME) == handle


async def test_keys_come_with_a_command_from_another_node(kafka: Brokers, tmp_path: Path) -> None:
    prefix = fresh_prefix()
    first, second = (options(kafka.servers, prefix, tmp_path / name) for name in "ab")
    async with running(first) as one, running(second, join=False) as other:
        keys = NewKeys()
        sealed = other.keyring.seal(keys, HERE, SOMEBODY, "name", NAME)
        assert keys.tenant_key is not None
        assert one.kafka.keyrings.adopt(HERE, keys)
        position = await execute(one, note(sealed.key.encode()), keys=keys)
        assert one.keyring.unseal(HERE, "name", sealed) == NAME
        await read(other, position)
        again = other.keyring.seal(NewKeys(), HERE, SOMEBODY, "name", NAME)
        assert again.same_as(sealed)


async def test_keys_of_purposes_that_are_over_are_destroyed(kafka: Brokers, tmp_path: Path) -> None:
    prefix = fresh_prefix()
    first, second = (options(kafka.servers, prefix, tmp_path / name) for name in "ab")
    async with running(first) as one, running(second, join=False) as other:
        keys = NewKeys()
        blinded = one.keyring.blind(keys, HERE, "retries-2026-01-01", "x")
        position = await execute(one, note(b"1"), keys=keys)
        await read(other, position)
        assert other.keyring.blind(NewKeys(), HERE, "retries-2026-01-01", "x") == blinded
        change = one.keyring.spent_purposes("retries-2", "retries-2026-01-02")
        assert change
        await one.sequencer.change_ring(change)
        (id,) = keys.keys.keys() - {each for each, (subject, _) in keys.keys.items() if subject == "lookup"}
        await read(other, await execute(one, note(b"2")))
        until(lambda: not any(other.database.one("SELECT wrapped FROM data_keys WHERE id = ?", (id,))[0]), "it is gone")
        assert one.kafka.keyrings.epoch == 0
        assert not one.keyring.spent_purposes("retries-2", "retries-2026-01-02")


async def test_a_new_index_is_made_although_destroyed_keys_were_compacted_away(tmp_path: Path) -> None:
    fast = {"log.cleaner.backoff.ms": "100"}
    with Cluster(tmp_path / "kafka", settings=fast) as cluster:
        prefix = fresh_prefix()
        client = connect(KafkaSettings(cluster.servers))
        admin = client.admin()
        configs = {**KEYRING_CONFIGS, "segment.ms": "100", "max.compaction.lag.ms": "1", "delete.retention.ms": "1"}
        admin.create_topic(f"{prefix}.keyring", 1, 1, {**configs, "min.insync.replicas": "1"})
        given = options(cluster.servers, prefix, tmp_path / "a")
        async with running(given) as log:
            key, handle, _ = await record_name(log)
            await execute(log, SubjectErased(SOMEBODY, (handle,)))
            number = 0

            def compacted() -> bool:
                nonlocal number
                number += 1
                kept = RingChange()
                kept.add_data_key(HERE, f"dek_{number}", "usr_x", b"x")
                log.owner.log.change_ring(kept)  # type: ignore[union-attr] # a record, so that the segment rolls
                return f"dek|{key}" not in keys_in(cluster.servers, f"{prefix}.keyring")

            until(compacted, "the broker compacts the keyring")
            head, tree = log.history.head(HERE), log.kafka.evidences.tree(HERE)
        shutil.rmtree(tmp_path / "a")
        async with running(given) as log:
            assert (log.history.head(HERE), log.kafka.evidences.tree(HERE)) == (head, tree)
            assert await execute(log, note(b"more")) == head[0] + 1
        admin.close()


def keys_in(servers: str, topic: str) -> set[str]:
    """The keys of all records of a topic with one partition."""
    client = connect(KafkaSettings(servers))
    reader, admin = client.reader(), client.admin()
    place, found = Place(topic, 0), set[str]()
    reader.assign({place: admin.begins([place])[place]})
    end = admin.ends([place], committed=True)[place]
    while reader.position(place) < end:
        found |= {record.key.decode() for record in reader.poll(1.0) if record.key is not None}
    reader.close()
    admin.close()
    return found


async def test_somebody_may_have_keys_of_two_nodes(kafka: Brokers, tmp_path: Path) -> None:
    prefix = fresh_prefix()
    first, second = (options(kafka.servers, prefix, tmp_path / name) for name in "ab")
    async with running(first) as one, running(second, join=False) as other:
        _, _, position = await record_name(one)
        await read(other, position)
        someone = "key_" + "5" * 32
        one.keyring.new_subject(NewKeys(), HERE, someone)  # made, and never needed
        keys = NewKeys()
        sealed = other.keyring.seal(keys, HERE, someone, "request", NAME)
        assert one.kafka.keyrings.adopt(HERE, keys)
        await execute(one, note(sealed.key.encode()), keys=keys)
        assert one.keyring.unseal(HERE, "request", sealed) == NAME


async def test_a_tenant_key_that_was_never_recorded_takes_its_data_keys_with_it(kafka: Brokers, tmp_path: Path) -> None:
    prefix = fresh_prefix()
    first, second = (options(kafka.servers, prefix, tmp_path / name) for name in "ab")
    async with running(first) as one, running(second, join=False) as other:
        lost = NewKeys()
        other.keyring.seal(lost, HERE, "usr_x", "name", NAME)  # its command was refused
        _, _, position = await record_name(one)
        await read(other, position)
        keys = NewKeys()
        sealed = other.keyring.seal(keys, HERE, "usr_x", "name", NAME)
        assert keys.tenant_key is None
        assert keys.keys.keys().isdisjoint(lost.keys)
        assert one.kafka.keyrings.adopt(HERE, keys)
        await execute(one, note(sealed.key.encode()), keys=keys)
    async with running(first) as one:
        assert one.keyring.unseal(HERE, "name", sealed) == NAME


async def test_keys_that_came_under_another_tenant_key_are_wrapped_again(kafka: Brokers, tmp_path: Path) -> None:
    prefix = fresh_prefix()
    first, second, third = (options(kafka.servers, prefix, tmp_path / name) for name in "abc")
    async with running(first) as one, running(second, join=False) as two, running(third, join=False) as three:
        given_up, keys = NewKeys(), NewKeys()
        two.keyring.seal(given_up, HERE, SOMEBODY, "name", NAME)
        assert one.kafka.keyrings.adopt(HERE, given_up)  # and then never recorded
        sealed = three.keyring.seal(keys, HERE, SOMEBODY, "name", NAME)
        assert one.kafka.keyrings.adopt(HERE, keys)
        position = await execute(one, note(sealed.key.encode()), keys=keys)
        for log in (two, three):
            await read(log, position)
            assert log.keyring.unseal(HERE, "name", sealed) == NAME
    async with running(first) as one:
        assert one.keyring.unseal(HERE, "name", sealed) == NAME
