"""Without the broker's fence a zombie's record comes after another has taken over: the checker must see it.

A check that cannot fail proves nothing. The fence is broken by a switch that only tests set; with it whole, the same
zombie at the same moment leaves nothing in the topic.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.adapters.index.logs import HERE, note, work
from tests.adapters.kafka.logs import KafkaLog, options, running
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import fresh_prefix
from tests.kafka.proxy import PRODUCE, Link
from tests.node import PATIENCE, until
from tests.torture import histories, partitions
from tests.torture.checker import Evidence, check
from tests.torture.cluster import KEYRING, LEDGER, Deployment, Node, Settings
from tests.torture.noted import Notes
from tests.torture.run import make_tenant
from tests.torture.topic import Line, Owners, decode, read_topic
from tests.torture.verdict import Verdict

TRIES = 6
"""On a machine that stands still for long, the broker may have ended the zombie's transaction before it goes on."""


@pytest.mark.parametrize("fencing", [True, False])
async def test_two_owners_of_a_partition(own_kafka: Cluster, kafka_link: Link, tmp_path: Path, fencing: bool) -> None:
    """One is about to send when the other takes over, without knowing of each other but by the broker."""
    prefix = fresh_prefix()
    first, second = (
        msgspec.structs.replace(options(servers, prefix, tmp_path / name), fencing=fencing)
        for name, servers in (("a", kafka_link.servers), ("b", own_kafka.servers))
    )
    async with running(first) as one, running(second, join=False) as other:
        await _write(one, b"1")
        held = kafka_link.hold({PRODUCE})
        late = asyncio.create_task(_write(one, b"2"))
        await asyncio.to_thread(until, lambda: held.caught > 0, "the first is about to write")
        other.owner.start()
        other.owner.assign(generation=1_000_000)
        await other.owns()
        await _write(other, b"3")
        kafka_link.pass_all()
        await asyncio.wait({late}, timeout=PATIENCE)
    verdict = Verdict()
    found = decode(read_topic(own_kafka.servers, f"{prefix}.ledger"))
    partitions.check_partitions(found, 1, verdict)
    assert set(verdict.failed) == (set() if fencing else {partitions.FENCED}), verdict.text()
    assert sum(isinstance(each, Line) for each in found) == (2 if fencing else 3)


async def _write(log: KafkaLog, data: bytes) -> None:
    await log.kafka.owner_of(HERE).execute(work(note(data), tenant=HERE))


@pytest.fixture
def caller() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.mark.timeout(400)
def test_a_node_that_stood_still_with_a_commit_about_to_go(tmp_path: Path, caller: ThreadPoolExecutor) -> None:
    with Deployment(tmp_path, Settings(nodes=2, partitions=1, session=2, fencing=False)) as deployment:
        tenant = make_tenant(deployment, 0)
        owners = Owners(deployment.kafka.servers, LEDGER)
        verdict = Verdict()
        for number in range(TRIES):
            _let_a_zombie_write(deployment, owners, tenant, number, caller).result(PATIENCE)
            verdict = _checked(deployment)
            if not verdict.clean:
                break
        assert {partitions.FENCED, histories.DENSE} <= set(verdict.failed), verdict.text()
        until(lambda: _is_there(deployment, owners, tenant, "after"), "somebody takes commands again")
        until(lambda: any(map(_says_so, deployment.nodes)), "a node says that the log is unlike")
        owners.close()


def _let_a_zombie_write(
    deployment: Deployment, owners: Owners, tenant: str, number: int, caller: ThreadPoolExecutor
) -> "Future[httpx.Response]":
    """Answers what its client is told, sooner or later."""
    owner = _owner(deployment, owners)
    other = next(each for each in deployment.nodes if each is not owner)
    held = owner.link.hold({PRODUCE})
    late = caller.submit(_provision, deployment, owner, tenant, f"late-{number}")
    until(lambda: held.caught > 0, "a commit is about to go")
    owner.pause()
    until(lambda: _owner(deployment, owners) is other, "the other node has taken over")
    assert _provision(deployment, other, tenant, f"early-{number}").status_code == 201
    owner.resume()
    owner.link.pass_all()
    return late


def _owner(deployment: Deployment, owners: Owners) -> Node:
    owners.look()
    return next(node for node in deployment.nodes if owners.of(node.url))


def _provision(deployment: Deployment, node: Node, tenant: str, name: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {deployment.operator_key}", "X-Request-ID": f"setup-{name}"}
    url = f"{node.url}/v1/tenants/{tenant}/users"
    return httpx.post(url, json={"user_name": name}, headers=headers, timeout=PATIENCE, trust_env=False)


def _is_there(deployment: Deployment, owners: Owners, tenant: str, name: str) -> bool:
    """Whether somebody of this name is there now: provisioned by this, or by an attempt that was not answered."""
    return _provision(deployment, _owner(deployment, owners), tenant, name).status_code in (201, 409)


def _checked(deployment: Deployment) -> Verdict:
    """By the topic alone."""
    servers = deployment.kafka.servers
    return check(Evidence(1, Notes(), read_topic(servers, LEDGER), read_topic(servers, KEYRING)))


def _says_so(node: Node) -> bool:
    answer = httpx.get(f"{node.url}/readyz", timeout=PATIENCE, trust_env=False)
    return answer.status_code == 503 and "not a ledger that was written as it must be" in answer.text
