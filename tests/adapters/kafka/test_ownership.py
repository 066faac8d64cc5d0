"""Owners of partitions: one at a time, by the broker's word; whoever is fenced leaves, and nothing is lost or twice."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.kafka.ledger import KafkaOptions
from adapters.kafka.owner import Moved, Ownership
from domain.boundary import Boundary, Expectation, Item
from domain.event import Event
from domain.ids import TenantId
from domain.ledger import AuthorityChanged, Outcome
from tests.adapters.index.logs import HERE, THERE, Seen, data_of, fresh_key, note, work
from tests.adapters.kafka.logs import KafkaLog, options, running
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.kafka.proxy import Link
from tests.node import PATIENCE

Node = Callable[..., KafkaOptions]
END_TXN = 26


@pytest.fixture
def node(tmp_path: Path, kafka: Brokers) -> Node:
    prefix = fresh_prefix()

    def named(name: str, *, partitions: int = 1, servers: str = kafka.servers, **more: Any) -> KafkaOptions:
        return options(servers, prefix, tmp_path / name, partitions=partitions, **more)

    return named


async def said(log: KafkaLog, tenant: TenantId = HERE, count: int = 1) -> list[bytes]:
    """What a node has read of a tenant, once it is so many events."""
    partition = log.kafka.owner_of(tenant).partition
    await partition.until(lambda: log.history.head(tenant)[0] >= count, PATIENCE, "it was not read")
    return log.said(tenant)


@asynccontextmanager
async def both(first: KafkaOptions, second: KafkaOptions) -> AsyncIterator[tuple[KafkaLog, KafkaLog]]:
    async with running(first) as one, running(second, join=False) as other:
        yield one, other


async def execute(log: KafkaLog, tenant: TenantId, data: bytes, **more: Any) -> Outcome:
    return await log.kafka.owner_of(tenant).execute(work(note(data), tenant=tenant, **more))


async def until(log: KafkaLog, holds: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)
    assert holds(), what


async def test_what_one_node_commits_another_reads(node: Node) -> None:
    async with both(node("a"), node("b")) as (one, other):
        for number in range(5):
            await execute(one, HERE, b"%d" % number)
        assert await said(other, count=5) == [b"%d" % number for number in range(5)]
        assert other.kafka.evidences.tree(HERE) == one.kafka.evidences.tree(HERE)
        with pytest.raises(Moved):
            await execute(other, HERE, b"no")


async def test_a_read_elsewhere_sees_what_was_acknowledged_before_it_began(node: Node) -> None:
    async with both(node("a"), node("b")) as (one, other):
        for number in range(30):
            await execute(one, HERE, b"%d" % number)
            await other.kafka.fence.reach(HERE)
            assert other.history.head(HERE)[0] == number + 1
            await one.kafka.fence.reach(HERE)


async def test_partitions_are_shared_and_go_to_who_is_left(node: Node) -> None:
    async with running(node("a", partitions=4)) as one:
        await execute(one, HERE, b"1")
        async with running(node("b", partitions=4), join=False) as other:
            other.kafka.join()

            def owned(log: KafkaLog) -> list[Ownership]:
                return [each for each in log.kafka.owners.values() if each.log is not None]

            await until(other, lambda: len(owned(other)) == len(owned(one)) == 2, "each owns half")
            for number in range(4):
                tenant = TenantId(f"ten_{number:032x}")
                owner = one if one.kafka.owner_of(tenant).is_ours else other
                assert (await execute(owner, tenant, b"there")).position == 1
        await until(one, lambda: len(owned(one)) == 4, "one owns all again")
        assert (await execute(one, HERE, b"2")).position == 2
        assert one.kafka.owners[0].partition.owner.epoch >= 1


async def test_who_is_fenced_leaves_and_what_it_was_doing_is_done_once(node: Node) -> None:
    """Two nodes that both believe to own the partition: the group is not asked, only the broker."""
    async with both(node("a"), node("b")) as (one, other):
        await execute(one, HERE, b"1")
        other.owner.start()
        other.owner.assign(generation=1_000_000)
        await other.owns()
        assert (await execute(other, HERE, b"2")).position == 2
        with pytest.raises(Moved):
            await execute(one, HERE, b"3")
        assert await said(one, count=2) == [b"1", b"2"]
        assert one.partition.owner.address == other.partition.owner.address


async def test_a_restart_goes_on_where_it_was_and_a_lost_index_is_made_again(node: Node, tmp_path: Path) -> None:
    async with running(node("a")) as log:
        for number in range(50):
            await execute(log, HERE, b"%d" % number, idempotency=fresh_key())
        before = log.kafka.evidences.tree(HERE), log.count("postings"), log.count("commits")
    async with running(node("a")) as log:
        assert log.partition.owner.epoch == 2
        assert (await execute(log, HERE, b"50")).position == 51
    shutil.rmtree(tmp_path / "a")
    async with running(node("a"), join=False) as log:
        assert log.said() == [b"%d" % number for number in range(51)]
        assert log.count("commits") == before[2] + 1
        assert log.kafka.evidences.tree(HERE).problem is None
        log.kafka.evidences.check()
    async with running(node("a")) as log:
        key = fresh_key()
        first = await execute(log, HERE, b"once", idempotency=key)
        again = await execute(log, HERE, b"once", idempotency=key)
        assert again.repeated
        assert again.position == first.position == 52


async def test_a_retry_finds_the_first_outcome_at_another_owner(node: Node) -> None:
    key = fresh_key()
    async with running(node("a")) as one:
        first = await execute(one, HERE, b"1", idempotency=key)
    async with running(node("b")) as other:
        again = await execute(other, HERE, b"1", idempotency=key)
        assert again.repeated
        assert (again.position, data_of(again.events)) == (first.position, [b"1"])


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
async def test_a_commit_whose_answer_is_lost_is_found_in_the_log(node: Node, kafka_link: Link, client: str) -> None:
    async with running(node("a", servers=kafka_link.servers, client=client)) as log:
        await execute(log, HERE, b"1")
        fault = kafka_link.black_hole({END_TXN}, side="responses")
        waiting = asyncio.create_task(execute(log, HERE, b"2"))
        await until(log, lambda: fault.caught > 0, "the answer was lost")
        kafka_link.pass_all()
        outcome = await waiting
        assert outcome.position == 2
        assert log.said() == [b"1", b"2"]
        assert (await execute(log, HERE, b"3")).position == 3


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
async def test_a_commit_that_never_arrived_is_decided_anew(node: Node, kafka_link: Link, client: str) -> None:
    async with running(node("a", servers=kafka_link.servers, client=client)) as log:
        await execute(log, HERE, b"1")
        fault = kafka_link.black_hole({END_TXN})
        waiting = [asyncio.create_task(execute(log, HERE, b"%d" % number)) for number in range(2, 10)]
        await until(log, lambda: fault.caught > 0, "the request was lost")
        kafka_link.pass_all()
        outcomes = await asyncio.gather(*waiting)
        assert sorted(each.position for each in outcomes) == list(range(2, 10))
        assert sorted(log.said()) == [b"%d" % number for number in range(1, 10)]


async def test_an_authority_that_another_partition_holds_is_watched_there(node: Node) -> None:
    held = Expectation(Item(("used:key_1",), ("opaque:revoked",), THERE), 0)
    known = Boundary((Item(("used:key_1",), ("opaque:revoked",), THERE),))
    seen: list[int] = []

    def decide(what: Seen) -> list[Event]:
        seen.append(len(what.recorded))
        return [note(b"2")]

    async with running(node("a", partitions=3)) as log:
        here, there = log.kafka.owner_of(HERE), log.kafka.owner_of(THERE)
        assert here is not there
        assert (await here.execute(work(note(b"1"), holds=(held,)))).position == 1
        await there.execute(work(note(b"", "used:key_1", type="revoked"), tenant=THERE))
        with pytest.raises(AuthorityChanged) as changed:
            await here.execute(work(note(b"no"), holds=(held,)))
        assert (changed.value.tenant, changed.value.position) == (THERE, 1)
        await here.execute(work(boundary=known, decide=decide))
        assert seen == [1]
        assert log.said() == [b"1", b"2"]
