"""A transaction that the brokers forgot to end: an acknowledged commit stays, half of one goes, and the log goes on.

The broker doesn't ask its coordinator whether a transaction may write, so that what the coordinator never heard of can
be written, and is never ended: as it is where the coordinator leaves a marker out.
"""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from structlog.testing import capture_logs

from adapters.kafka.client import Admin, Fenced, Place, Received, Record
from adapters.kafka.headers import COMMIT, CommitMark, control_headers_of, mark_of
from adapters.kafka.ledger import KafkaOptions
from adapters.kafka.python import PythonClient
from adapters.kafka.ring_records import through
from adapters.kafka.settings import KafkaSettings
from domain.ledger import NewKeys
from tests.adapters.index.logs import HERE, note, work
from tests.adapters.kafka.clients import Library, by, read_to
from tests.adapters.kafka.logs import KafkaLog, options, running
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import fresh_prefix
from tests.node import PATIENCE, until

libraries = pytest.mark.parametrize("library", ["kafka-python", "librdkafka"])


@pytest.fixture(scope="module")
def careless_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = {"transaction.partition.verification.enable": "false"}
    with Cluster(tmp_path_factory.mktemp("careless-kafka"), settings=settings) as cluster:
        yield cluster


class Scene:
    """A ledger of one partition, in which something hangs."""

    def __init__(self, servers: str, folder: Path, library: Library) -> None:
        self._folder = folder
        self._prefix = fresh_prefix()
        self._library = library
        self.servers = servers
        self.client = by(library)(servers)
        self.admin: Admin = self.client.admin()

    def options(self, name: str, client: str) -> KafkaOptions:
        return options(self.servers, self._prefix, self._folder / name, client=client)

    @property
    def first(self) -> KafkaOptions:
        """Its writer is kafka-python's, whose inner parts can be misled."""
        return self.options("a", "kafka-python")

    @property
    def second(self) -> KafkaOptions:
        return self.options("b", self._library)

    def places(self, log: KafkaLog) -> list[Place]:
        return [log.kafka.topics.of_ledger(0), log.kafka.topics.of_keyring(0)]

    def hangs(self, place: Place) -> bool:
        ends = [self.admin.ends([place], committed=committed)[place] for committed in (True, False)]
        return ends[0] < ends[1]

    def committed(self, place: Place) -> list[Received]:
        """What others read."""
        reader = self.client.reader()
        reader.assign({place: 0})
        try:
            return read_to(reader, self.admin.ends([place], committed=True))
        finally:
            reader.close()

    def hang(self, log: KafkaLog, records: Sequence[Record]) -> None:
        """Records of a new writer of the partition's, which are acknowledged to it, and hang."""
        name = log.kafka.topics.transactional_id(0)
        writer = PythonClient(KafkaSettings(self.servers)).writer(name, 10.0)
        writer.open(PATIENCE)
        mislead(writer, {each.place for each in records})
        writer.commit(records, PATIENCE)
        writer.close()


@pytest.fixture(params=["kafka-python", "librdkafka"])
def scene(request: pytest.FixtureRequest, careless_kafka: Cluster, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(careless_kafka.servers, tmp_path, request.param)
    yield scene
    scene.admin.close()


def mislead(writer: Any, places: set[Place]) -> None:
    """Let kafka-python believe that the coordinator knows of these: it neither tells it, nor asks it for an end."""
    transaction = writer._producer._transaction_manager
    transaction._partitions_in_transaction.update(TopicPartition(*place) for place in places)


async def say(log: KafkaLog, data: bytes) -> int:
    return (await log.owner.execute(work(note(data)))).position


async def say_with_a_key(log: KafkaLog, data: bytes) -> int:
    keys = NewKeys()
    sealed = log.keyring.seal(keys, HERE, f"usr_{data.decode()}", "name", "Fry")
    return (await log.owner.execute(work(note(data + sealed.key.encode()), keys=keys))).position


def told(log: KafkaLog) -> list[bytes]:
    return [each[:1] for each in log.said()]


def marked(event: Received, mark: CommitMark) -> Record:
    """The event once more, elsewhere in the log."""
    ((_, packed), *_) = control_headers_of(event.value or b"", 0, mark)
    headers = [(name, packed if name == COMMIT else value) for name, value in event.headers]
    return Record(event.place, event.key, event.value, headers)


def following(event: Received, *, after: int = 1, place: int = 0, count: int = 1, epoch: int = 0) -> Record:
    """An event of a commit that follows; `epoch` is added to the owner's."""
    mark = mark_of(event.headers)
    assert mark is not None
    id = bytes([after - place]) * 16
    return marked(event, CommitMark(id, place, count, mark.epoch + epoch, mark.sequence + after))


def ended(logs: Sequence[Any]) -> list[tuple[int, bool]]:
    """What nodes said of hanging transactions: how many records, and whether they were committed."""
    return [(each["records"], each["committed"]) for each in logs if each["event"] == "a hanging transaction was ended"]


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("again", ["another node", "the same node"])
async def test_an_acknowledged_commit_stays(scene: Scene, again: str, sealed: bool) -> None:
    async with running(scene.first) as log:
        assert await say(log, b"1") == 1
        ledger, keyring = scene.places(log)
        until(lambda: not scene.hangs(ledger), "the first commit's marker")
        mislead(log.owner.log._writer, {ledger, keyring})  # type: ignore[union-attr]
        assert await (say_with_a_key if sealed else say)(log, b"2") == 2
        assert scene.hangs(ledger)
        assert scene.hangs(keyring) == sealed
        assert len(scene.committed(ledger)) == 2
    with capture_logs() as logs:
        async with running(scene.second if again == "another node" else scene.first) as log:
            assert told(log) == [b"1", b"2"]
            assert log.count("data_keys") == sealed
            assert await say_with_a_key(log, b"3") == 3
            assert told(log) == [b"1", b"2", b"3"]
            assert log.partition.owner.epoch == 2
    until(lambda: not scene.hangs(ledger) and not scene.hangs(keyring), "the end of every transaction")
    ((records, committed),) = ended(logs)
    assert committed
    assert records == (3 if sealed else 1)  # the tenant's key and the user's, too
    events = [mark for each in scene.committed(ledger) if each.key and (mark := mark_of(each.headers))]
    assert [each.sequence for each in events] == [1, 2, 3]
    async with running(scene.options("c", "librdkafka"), join=False) as log:
        await log.partition.until(lambda: log.history.head(HERE)[0] == 3, PATIENCE, "it was not read")
        assert told(log) == [b"1", b"2", b"3"]


def half_of_a_commit(last: Received) -> list[Record]:
    return [following(last, count=2)]


def of_an_owner_before(last: Received) -> list[Record]:
    return [following(last, epoch=-1)]


def with_a_gap(last: Received) -> list[Record]:
    return [following(last, after=2)]


@pytest.mark.parametrize("what", [half_of_a_commit, of_an_owner_before, with_a_gap])
async def test_what_nobody_can_have_been_promised_goes(scene: Scene, what: Any) -> None:
    async with running(scene.first) as log:
        pass
    async with running(scene.first) as log:
        assert await say(log, b"1") == 1
        ledger, _ = scene.places(log)
    scene.hang(log, what(scene.committed(ledger)[-1]))
    assert scene.hangs(ledger)
    with capture_logs() as logs:
        async with running(scene.second) as log:
            assert told(log) == [b"1"]
            assert await say(log, b"2") == 2
    until(lambda: not scene.hangs(ledger), "the end of every transaction")
    assert ended(logs) == [(1, False)]
    async with running(scene.options("c", "librdkafka")) as log:
        assert told(log) == [b"1", b"2"]
        assert await say(log, b"3") == 3


async def test_what_can_be_neither_kept_nor_given_up_is_left_to_people(scene: Scene) -> None:
    async with running(scene.first) as log:
        assert await say(log, b"1") == 1
        ledger, _ = scene.places(log)
    last = scene.committed(ledger)[-1]
    scene.hang(log, [following(last), following(last, after=2, count=2)])
    async with running(scene.second, join=False) as log:
        log.kafka.join()
        async with asyncio.timeout(PATIENCE):
            while "compare it with an archive" not in (log.owner.trouble or ""):
                await asyncio.sleep(0.05)
        assert scene.hangs(ledger)
        assert log.owner.log is None


def of_the_keyring(keyring: Place, number: int, key: bytes, value: bytes | None = b"wrapped") -> Record:
    return Record(keyring, key, value, [through(number)])


async def test_a_commit_whose_keys_were_not_written_goes(scene: Scene) -> None:
    async with running(scene.first) as log:
        assert await say(log, b"1") == 1
        ledger, keyring = scene.places(log)
    event = following(scene.committed(ledger)[-1])
    scene.hang(log, [event._replace(headers=[*event.headers, through(2)]), of_the_keyring(keyring, 1, b"kek|ten|1")])
    with capture_logs() as logs:
        async with running(scene.second) as log:
            assert told(log) == [b"1"]
            assert await say_with_a_key(log, b"2") == 2
    assert ended(logs) == [(2, False)]


@pytest.mark.parametrize(
    ("key", "value", "stays"), [(b"kek|ten|1", b"wrapped", True), (b"dek|1", None, False), (b"hdl|hdl_1", b"", False)]
)
async def test_of_a_keyring_without_an_event_only_keys_stay(
    scene: Scene, key: bytes, value: bytes | None, stays: bool
) -> None:
    """An owner records keys by themselves, too; a handle or a destruction without its event is half of a commit."""
    async with running(scene.first) as log:
        assert await say(log, b"1") == 1
        _, keyring = scene.places(log)
    scene.hang(log, [of_the_keyring(keyring, 1, key, value)])
    assert scene.hangs(keyring)
    with capture_logs() as logs:
        async with running(scene.second) as log:
            assert await say_with_a_key(log, b"2") == 2
    assert ended(logs) == [(1, stays)]
    until(lambda: not scene.hangs(keyring), "the end of every transaction")
    assert (key in [each.key for each in scene.committed(keyring)]) == stays


async def test_who_is_fenced_ends_nothing(scene: Scene) -> None:
    async with running(scene.first) as log:
        assert await say(log, b"1") == 1
        ledger, _ = scene.places(log)
    scene.hang(log, [following(scene.committed(ledger)[-1])])
    name = log.kafka.topics.transactional_id(0)
    settler, writer = scene.client.settler(name, 10.0), scene.client.writer(name, 10.0)
    settler.open(PATIENCE)
    writer.open(PATIENCE)
    with pytest.raises(Fenced):
        settler.mark([ledger], PATIENCE, commit=True)
    assert scene.hangs(ledger)
    writer.close()
