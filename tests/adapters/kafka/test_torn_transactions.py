"""What a fault in the middle of a commit leaves: all of it or nothing, never half, and no reader that waits on."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

from adapters.kafka.client import Admin, Client, Fenced, OutcomeUnknown, Place, Record, Writer
from tests.adapters.kafka.clients import Library, by, read_to, said, values
from tests.adapters.kafka.dying_writer import DyingWriter
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import fresh_prefix
from tests.kafka.proxy import END_TXN, PRODUCE, Fault, Link
from tests.node import PATIENCE, until

LONG = 60.0
"""Transaction time-out, in seconds, that no test waits for."""
WAIT = 2.0

libraries = pytest.mark.parametrize("library", ["kafka-python", "librdkafka"])


class Log:
    """Two partitions, seen past the faulty link."""

    def __init__(self, client: Client, admin: Admin) -> None:
        self._client = client
        self.admin = admin
        self.topic = fresh_prefix()
        admin.create_topic(self.topic, 2, 1, {})
        self.places = [Place(self.topic, 0), Place(self.topic, 1)]

    def committed(self) -> list[bytes | None]:
        """What readers of committed records see, once no transaction is open."""

        def settled() -> bool:
            ends = (self.admin.ends(self.places, committed=committed) for committed in (True, False))
            return len({tuple(sorted(each.items())) for each in ends}) == 1

        until(settled, "the end of every transaction")
        reader = self._client.reader()
        reader.assign(dict.fromkeys(self.places, 0))
        try:
            return values(read_to(reader, self.admin.ends(self.places, committed=False)))
        finally:
            reader.close()

    def written(self) -> dict[Place, int]:
        return self.admin.ends(self.places, committed=False)


@pytest.fixture
def log(own_kafka: Cluster) -> Iterator[Log]:
    client = by("librdkafka")(own_kafka.servers)
    admin = client.admin()
    yield Log(client, admin)
    admin.close()


def opened(library: Library, servers: str, name: str, transaction_timeout: float = LONG) -> Writer:
    writer = by(library)(servers).writer(name, transaction_timeout)
    writer.open(PATIENCE)
    return writer


def in_two_requests(log: Log) -> list[Record]:
    """Records that no client sends at once: more than a batch for one of the partitions."""
    return [said(log.places[0], b"first"), *(said(log.places[1], bytes(60_000)) for _ in range(40))]


def test_the_library_alone_commits_half(log: Log, kafka_link: Link) -> None:
    """The hazard: if this fails, kafka-python has learnt to see it, and its writer may be made simpler."""
    producer = KafkaProducer(
        bootstrap_servers=kafka_link.servers,
        transactional_id=log.topic,
        request_timeout_ms=500,
        delivery_timeout_ms=1000,
        linger_ms=0,
    )
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(log.topic, b"first half", partition=0).get(PATIENCE)
    hole = kafka_link.black_hole({PRODUCE})
    with pytest.raises(KafkaTimeoutError):
        producer.send(log.topic, b"second half", partition=1).get(PATIENCE)
    assert hole.caught >= 1
    producer.commit_transaction()
    producer.close(timeout=5)
    assert log.committed() == [b"first half"]


@libraries
@pytest.mark.parametrize(("transaction_timeout", "limit"), [(LONG, WAIT), (2 * WAIT, LONG)])
def test_a_commit_that_was_written_in_part_is_not_there(
    log: Log, own_kafka: Cluster, kafka_link: Link, library: Library, transaction_timeout: float, limit: float
) -> None:
    writer = opened(library, kafka_link.servers, log.topic, transaction_timeout)
    hole = kafka_link.black_hole({PRODUCE}, when=lambda number: number > 1)
    with pytest.raises(OutcomeUnknown):
        writer.commit(in_two_requests(log), limit)
    assert hole.caught >= 1
    assert sum(log.written().values()) > 0
    ends = kafka_link.requests[END_TXN]
    kafka_link.pass_all()
    after = opened(library, kafka_link.servers, log.topic)
    assert log.committed() == []
    after.commit([said(log.places[0], b"whole"), said(log.places[1], b"whole")], PATIENCE)
    assert log.committed() == [b"whole", b"whole"]
    assert kafka_link.requests[END_TXN] == ends + 1
    for each in (writer, after):
        each.close()


def _lost_answer(link: Link) -> Fault:
    return link.black_hole({END_TXN}, side="responses")


def _lost_request(link: Link) -> Fault:
    return link.black_hole({END_TXN})


def _late_request(link: Link) -> Fault:
    return link.hold({END_TXN})


@libraries
@pytest.mark.parametrize(
    ("fault", "release_first", "outcome"),
    [
        (_lost_answer, False, "all"),
        (_lost_request, False, "nothing"),
        (_late_request, True, "all"),
        (_late_request, False, "nothing"),
    ],
)
def test_a_commit_without_an_answer_is_there_whole_or_not_at_all(
    log: Log,
    own_kafka: Cluster,
    kafka_link: Link,
    library: Library,
    fault: Callable[[Link], Fault],
    release_first: bool,
    outcome: str,
) -> None:
    writer = opened(library, kafka_link.servers, log.topic)
    records = in_two_requests(log)
    befell = fault(kafka_link)
    with pytest.raises(OutcomeUnknown):
        writer.commit(records, WAIT)
    assert befell.caught >= 1
    if release_first:
        kafka_link.pass_all()
        until(lambda: log.admin.ends(log.places, committed=True)[log.places[0]] == 2, "the late commit")
    after = opened(library, own_kafka.servers, log.topic)
    kafka_link.pass_all()
    found = log.committed()
    assert Counter(found) == Counter([record.value for record in records] if outcome == "all" else [])
    after.commit([said(log.places[1], b"next")], PATIENCE)
    assert Counter(log.committed()) == Counter([*found, b"next"])
    for each in (writer, after):
        each.close()


class _Commit(threading.Thread):
    def __init__(self, writer: Writer, record: Record) -> None:
        super().__init__(daemon=True)
        self.problem: Exception | None = None
        self._writer = writer
        self._record = record
        self.start()

    def run(self) -> None:
        try:
            self._writer.commit([self._record], PATIENCE)
        except Exception as problem:
            self.problem = problem


@libraries
def test_who_is_fenced_while_it_commits_is_told_so(
    log: Log, own_kafka: Cluster, kafka_link: Link, library: Library
) -> None:
    writer = opened(library, kafka_link.servers, log.topic)
    hold = kafka_link.hold({END_TXN})
    commit = _Commit(writer, said(log.places[0], b"zombie"))
    until(lambda: hold.caught, "the commit's request")
    after = opened(library, own_kafka.servers, log.topic)
    kafka_link.pass_all()
    commit.join(PATIENCE)
    assert isinstance(commit.problem, Fenced)
    assert log.committed() == []
    after.close()


@libraries
def test_who_was_only_too_slow_is_not_told_that_another_took_over(
    log: Log, own_kafka: Cluster, kafka_link: Link, library: Library
) -> None:
    """The coordinator answers both alike, but only one of them must not come back."""
    writer = opened(library, kafka_link.servers, log.topic, WAIT)
    hold = kafka_link.hold({END_TXN})
    commit = _Commit(writer, said(log.places[0], b"slow"))
    until(lambda: hold.caught, "the commit's request")
    until(lambda: log.admin.ends(log.places, committed=True)[log.places[0]] == 2, "the broker's abort")
    kafka_link.pass_all()
    commit.join(PATIENCE)
    assert isinstance(commit.problem, OutcomeUnknown)
    assert log.committed() == []


@libraries
def test_a_dead_owners_transaction_holds_readers_up_for_its_time_out_and_no_longer(
    log: Log, own_kafka: Cluster, kafka_link: Link, library: Library
) -> None:
    """On top of the time-out comes the interval at which the broker looks: 0.5 s here, 10 s by default."""
    timeout, interval = 5.0, 0.5
    hole = kafka_link.black_hole({END_TXN})
    dead = DyingWriter(kafka_link.servers, library, log.topic, timeout)
    until(lambda: hole.caught, "the commit's request")
    dead.kill()
    died = time.monotonic()
    other = opened(library, own_kafka.servers, fresh_prefix())
    other.commit([said(log.places[0], b"behind")], PATIENCE)
    assert log.admin.ends(log.places, committed=True)[log.places[0]] == 0
    assert log.committed() == [b"behind"]
    assert time.monotonic() - died < timeout + interval + 5.0  # for a slow machine
    other.close()


@libraries
def test_a_dead_owners_transaction_ends_when_the_next_one_opens(
    log: Log, own_kafka: Cluster, kafka_link: Link, library: Library
) -> None:
    hole = kafka_link.black_hole({END_TXN})
    dead = DyingWriter(kafka_link.servers, library, log.topic, 10 * LONG)
    until(lambda: hole.caught, "the commit's request")
    dead.kill()
    assert log.written()[log.places[0]] == 1
    started = time.monotonic()
    after = opened(library, own_kafka.servers, log.topic)
    after.commit([said(log.places[0], b"next")], PATIENCE)
    assert log.committed() == [b"next"]
    assert time.monotonic() - started < LONG
    after.close()
