"""The deployment's log on a real broker: one writer at a time, read alike by every node, and never torn."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.evidence.auditing import check_log
from adapters.evidence.kafka_log import HEADS_IN_RECORD, HeadsAdded, KafkaLog
from adapters.evidence.kafka_log import _encode as encode
from adapters.evidence.signing import verifies
from adapters.kafka.client import Place, Record
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import TopicSettings
from domain.evidence.heads import Head
from domain.evidence.notes import cosign, open_note
from domain.ledger import NotReady
from tests.adapters.evidence.logs import Office
from tests.adapters.evidence.witness import Witness
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.node import until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def prefix() -> str:
    return fresh_prefix()


@pytest.fixture
def node(kafka: Brokers, prefix: str, tmp_path: Path) -> Iterator[Callable[[str], KafkaLog]]:
    """A node's part in the log, by the name of its folder."""
    opened: list[KafkaLog] = []

    def open_one(name: str) -> KafkaLog:
        (tmp_path / name).mkdir(exist_ok=True)
        client = connect(KafkaSettings(kafka.servers))
        opened.append(KafkaLog(client, TopicSettings(prefix, 1, 1, 1), tmp_path / name / "checkpoints.db"))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def heads(tenants: range, size: int) -> list[Head]:
    return [Head(f"tenant{number}", size, bytes(32), bytes(32), number.to_bytes(32, "big")) for number in tenants]


def same(one: KafkaLog, other: KafkaLog) -> bool:
    return told(one) == told(other)


def told(log: KafkaLog) -> object:
    return (log.book.id, log.book.checkpoints(0, 100), log.book.placed(0, 10_000))


def test_every_node_reads_what_one_writes(node: Callable[[str], KafkaLog], tmp_path: Path) -> None:
    one, two, office = node("one"), node("two"), Office(tmp_path)
    one.prepare()
    many = heads(range(HEADS_IN_RECORD + 7), 3)
    first = one.append(many, office.note, 5)
    second = one.append(heads(range(2), 4), office.note, 6)
    assert (first.number, first.size, second.number, second.size) == (1, len(many), 2, len(many) + 2)
    until(lambda: same(one, two), "the other node has read it")
    assert check_log(two.book, [office.key], verifies) == len(many) + 2
    witness = Witness("witness.example/w")
    signature = cosign(open_note(second.note.encode(), [office.key], verifies).text, 7, witness.key, witness.signs)
    one.cosign(2, [signature])
    until(lambda: same(one, two), "the cosignature is read")
    last = two.book.last()
    assert last is not None
    assert len(open_note(last.note.encode(), [office.key, witness.key], verifies).by) == 2
    three = node("three")  # a node that comes later, and has read nothing
    until(lambda: same(one, three), "all of it is read")
    office.close()


def test_a_new_writer_fences_the_one_before(node: Callable[[str], KafkaLog], tmp_path: Path) -> None:
    one, two, office = node("one"), node("two"), Office(tmp_path)
    one.prepare()
    one.append(heads(range(3), 1), office.note, 1)
    two.prepare()  # knows all that was written when this returns
    assert same(one, two)
    with pytest.raises(NotReady):
        one.append(heads(range(3), 2), office.note, 2)
    assert two.append(heads(range(3), 3), office.note, 3).number == 2
    one.prepare()  # is the writer again
    assert one.append(heads(range(3), 4), office.note, 4).number == 3
    with pytest.raises(NotReady):
        two.cosign(1, [])
    until(lambda: same(one, two), "both have read the same")
    assert check_log(two.book, [office.key], verifies) == 9
    office.close()


def test_a_node_goes_on_from_what_it_has_read(node: Callable[[str], KafkaLog], tmp_path: Path) -> None:
    one, office = node("one"), Office(tmp_path)
    one.prepare()
    one.append(heads(range(3), 1), office.note, 1)
    before = told(one)
    one.close()
    again = node("one")
    assert told(again) == before
    again.prepare()
    assert again.append(heads(range(3), 2), office.note, 2).number == 2
    id = again.book.id
    again.begin_anew()
    assert again.book.id != id
    office.close()


def test_what_no_node_writes_is_not_read_on(
    kafka: Brokers, prefix: str, node: Callable[[str], KafkaLog], tmp_path: Path
) -> None:
    one, office = node("one"), Office(tmp_path)
    one.prepare()
    one.append(heads(range(3), 1), office.note, 1)
    stranger = connect(KafkaSettings(kafka.servers)).writer(f"{prefix}.stranger", 10.0)
    stranger.open(20.0)
    half = HeadsAdded(2, 0, (("tenant1", 9, bytes(32), bytes(32), bytes(32)),))
    stranger.commit([Record(Place(f"{prefix}.checkpoints", 0), None, encode(half), [])], 10.0)
    stranger.close()
    with pytest.raises(NotReady):
        one.append(heads(range(3), 2), office.note, 2)
    assert one.trouble is not None
    assert "torn" in one.trouble
    last = one.book.last()
    assert last is not None
    assert last.number == 1
    office.close()
