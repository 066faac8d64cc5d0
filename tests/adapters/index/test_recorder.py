"""A tenant's handle keeps the contract of the `eventsourcing` library's recorders, and ours."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem
from eventsourcing.dcb.tests import DCBRecorderTestCase
from eventsourcing.persistence import IntegrityError, OperationalError, ProgrammingError

from adapters.avro.codec import encode_own
from adapters.index.recorder import TenantRecorder
from domain.directory.life import UserDeactivated
from domain.ids import TenantId
from tests.adapters.index.logs import HERE, SOMEBODY, THERE, running, work
from tests.adapters.kafka import logs as kafka_logs
from tests.kafka.fixtures import fresh_prefix

WAIT = 30.0


class Served:
    """A log whose event loop runs in a thread, as a node's does for the threads that use a recorder."""

    def __init__(self, opening: AbstractAsyncContextManager[Any]) -> None:
        self._opening = opening
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.log = self.run(opening.__aenter__())
        self.sequencer = self.log.sequencer

    def run(self, awaitable: Any) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result(WAIT)

    def recorder(self, tenant: TenantId = HERE) -> TenantRecorder:
        return TenantRecorder(self.sequencer, self.log.history, self.loop, tenant)

    def close(self) -> None:
        self.run(self._opening.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT)
        self.loop.close()


@contextmanager
def served(opening: AbstractAsyncContextManager[Any]) -> Iterator[Served]:
    node = Served(opening)
    try:
        yield node
    finally:
        node.close()


@pytest.fixture(params=["on a file", "in memory", "kafka-python", "librdkafka"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    if request.param.startswith(("on", "in")):
        opening: AbstractAsyncContextManager[Any] = running(tmp_path if request.param == "on a file" else None)
    else:
        servers = request.getfixturevalue("kafka").servers
        opening = kafka_logs.running(kafka_logs.options(servers, fresh_prefix(), tmp_path / "a", client=request.param))
    with served(opening) as node:
        yield node


class TheirTestCase(DCBRecorderTestCase):
    __test__ = False


def test_append_and_read_as_the_library_wants_them(node: Served) -> None:
    TheirTestCase()._test_append_read(node.recorder())


def test_subscribe_as_the_library_wants_it(node: Served) -> None:
    TheirTestCase()._test_append_subscribe(node.recorder())


@contextmanager
def busy(node: Served, tenants: list[TenantId]) -> Iterator[None]:
    """Other tenants append all the while."""
    enough = threading.Event()

    def append(tenant: TenantId) -> None:
        recorder = node.recorder(tenant)
        while not enough.is_set():
            recorder.append([DCBEvent("type1", b"other", ["tagX", "tagA", "tagB"])])

    threads = [threading.Thread(target=append, args=(tenant,)) for tenant in tenants]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join(WAIT)


OTHERS = [THERE, TenantId("ten_" + "4" * 32)]


def test_append_and_read_as_one_tenant_among_others(node: Served) -> None:
    with busy(node, OTHERS):
        TheirTestCase()._test_append_read(node.recorder())


def test_subscribe_as_one_tenant_among_others(node: Served) -> None:
    with busy(node, OTHERS):
        TheirTestCase()._test_append_subscribe(node.recorder())


def test_64_threads_append_without_gaps_and_each_finds_its_own(node: Served) -> None:
    recorder = node.recorder()

    def append(number: int) -> int:
        return recorder.append([DCBEvent("type1", b"%d" % number, [f"thread:{number % 64}"])])

    with ThreadPoolExecutor(64) as pool:
        positions = list(pool.map(append, range(640)))
    assert sorted(positions) == list(range(1, 641))
    for number in range(64):
        query = DCBQuery([DCBQueryItem(tags=[f"thread:{number}"])])
        found = {each.position: int(each.event.data) for each in recorder.read(query)}
        assert found == {positions[each]: each for each in range(number, 640, 64)}


def test_of_conflicting_appends_at_once_one_succeeds(node: Served) -> None:
    recorder = node.recorder()
    free = DCBAppendCondition(DCBQuery([DCBQueryItem(types=["taken"], tags=["seat:1A"])]))

    def take(number: int) -> int | None:
        try:
            return recorder.append([DCBEvent("taken", b"%d" % number, ["seat:1A", f"by:{number}"])], free)
        except IntegrityError:
            return None

    with ThreadPoolExecutor(64) as pool:
        outcomes = list(pool.map(take, range(64)))
    assert sum(each is not None for each in outcomes) == 1
    assert len(list(recorder.read())) == 1


def test_an_append_is_whole_or_not_at_all(node: Served) -> None:
    recorder = node.recorder()
    too_many_tags = DCBEvent("type1", b"", [f"tag:{number}" for number in range(17)])
    with pytest.raises(ProgrammingError, match="tags"):
        recorder.append([DCBEvent("type1", b"", ["tagA"]), too_many_tags])
    assert list(recorder.read()) == []


def test_several_tags_of_an_item_mean_all_of_them(node: Served) -> None:
    recorder = node.recorder()
    for tags in (["a"], ["b"], ["a", "b"], ["a", "b", "c"], ["c", "a"]):
        recorder.append([DCBEvent("type1", b"", tags)])

    def positions(*items: DCBQueryItem) -> list[int]:
        return [each.position for each in recorder.read(DCBQuery(list(items)))]

    assert positions(DCBQueryItem(tags=["a", "b"])) == [3, 4]
    assert positions(DCBQueryItem(tags=["b", "a", "c"])) == [4]
    assert positions(DCBQueryItem(tags=["a", "b"]), DCBQueryItem(tags=["c"])) == [3, 4, 5]
    assert positions(DCBQueryItem(types=["type2"], tags=["a"])) == []


@pytest.mark.parametrize(
    "tags", [["ümlaut"], [":"], ["a:b:c"], ["user:usr_" + "A" * 32], ["user:usr_" + "a" * 32], ["", "x/y"]]
)
def test_tags_and_types_may_hold_anything(node: Served, tags: list[str]) -> None:
    recorder = node.recorder()
    recorder.append([DCBEvent("a type: with/words", bytes(range(256)), tags)])
    recorder.append([DCBEvent("user", b"", ["user:usr_" + "b" * 32])])
    for query in (DCBQueryItem(tags=tags), DCBQueryItem(types=["a type: with/words"])):
        (found,) = recorder.read(DCBQuery([query]))
        assert (found.event.type, found.event.data, found.event.tags) == ("a type: with/words", bytes(range(256)), tags)


def test_events_of_ours_are_read_as_they_are_stored(node: Served) -> None:
    recorder = node.recorder()
    event = UserDeactivated(SOMEBODY)
    node.run(node.sequencer.execute(work(event)))
    (found,) = recorder.read(DCBQuery([DCBQueryItem(types=["UserDeactivated"], tags=[f"user:{SOMEBODY}"])]))
    assert (found.event.type, found.event.data) == ("UserDeactivated", encode_own(event))


def test_a_long_history_is_read_in_order_by_a_subscription(node: Served) -> None:
    recorder = node.recorder()
    for _ in range(15):
        recorder.append([DCBEvent("type1", b"", [f"tag:{number % 2}"]) for number in range(100)])
    with recorder.subscribe(DCBQuery([DCBQueryItem(tags=["tag:0"])]), after=100) as subscription:
        assert [next(subscription).position for _ in range(700)] == list(range(101, 1501, 2))


def test_a_subscription_that_is_stopped_ends(node: Served) -> None:
    recorder = node.recorder()
    subscription = recorder.subscribe()
    ended = threading.Event()

    def follow() -> None:
        for _ in subscription:
            pass
        ended.set()

    thread = threading.Thread(target=follow)
    thread.start()
    subscription.stop()
    assert ended.wait(WAIT)
    thread.join(WAIT)


def test_a_recorder_of_a_stopped_node_says_so(node: Served) -> None:
    recorder = node.recorder()
    node.run(node.sequencer.stop())
    with pytest.raises(OperationalError, match="stopping"):
        recorder.append([DCBEvent("type1", b"")])


def test_appending_nothing_is_a_mistake(node: Served) -> None:
    with pytest.raises(ProgrammingError):
        node.recorder().append([])
