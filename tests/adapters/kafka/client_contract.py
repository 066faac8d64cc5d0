"""What every Kafka client promises of writing, reading and asking; a test class for each inherits this."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from adapters.kafka.client import Admin, Client, Fenced, OutcomeUnknown, Place, Reader, Received, Record, Unavailable
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.kafka.proxy import END_TXN, Link
from tests.node import PATIENCE, until

TRANSACTION = 60.0
Library = Literal["kafka-python", "librdkafka"]
Connect = Callable[[str], Client]
NOBODY = "127.0.0.1:1"


def said(place: Place, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> Record:
    return Record(place, b"key", value, headers)


def read_to(reader: Reader, ends: Mapping[Place, int]) -> list[Received]:
    """Everything up to these offsets."""
    found: list[Received] = []

    def there() -> bool:
        found.extend(reader.poll(0.2))
        return all(reader.position(place) >= end for place, end in ends.items())

    until(there, f"the records up to {ends}")
    return found


def values(found: Sequence[Received]) -> list[bytes | None]:
    return [each.value for each in found]


class ClientContract:
    """Inherit, and give the fixture `using`: a client of those servers."""

    @pytest.fixture
    def client(self, using: Connect, kafka: Brokers) -> Client:
        return using(kafka.servers)

    @pytest.fixture
    def admin(self, client: Client) -> Iterator[Admin]:
        admin = client.admin()
        yield admin
        admin.close()

    @pytest.fixture
    def places(self, admin: Admin) -> list[Place]:
        """Two partitions of a fresh topic."""
        topic = fresh_prefix()
        admin.create_topic(topic, 2, 1, {})
        return [Place(topic, 0), Place(topic, 1)]

    @pytest.fixture
    def reader(self, client: Client, places: list[Place]) -> Iterator[Reader]:
        reader = client.reader()
        reader.assign(dict.fromkeys(places, 0))
        yield reader
        reader.close()

    def test_a_commit_is_there_whole_where_it_says(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader
    ) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        mixed = [said(places[index % 2], b"%d" % index) for index in range(7)]
        first = writer.commit(mixed, PATIENCE)
        second = writer.commit([said(places[1], b"last")], PATIENCE)
        writer.close()
        found = read_to(reader, admin.ends(places, committed=False))
        expected = {(record.place, offset): record.value for record, offset in zip(mixed, first, strict=True)}
        expected[places[1], second[0]] = b"last"
        assert {(each.place, each.offset): each.value for each in found} == expected
        for place in places:
            offsets = [each.offset for each in found if each.place == place]
            assert offsets == sorted(offsets)

    def test_nothing_to_commit_is_nothing(self, client: Client, admin: Admin, places: list[Place]) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        assert writer.commit([], PATIENCE) == []
        writer.close()
        assert admin.ends(places, committed=False) == dict.fromkeys(places, 0)

    def test_the_position_passes_what_is_not_returned(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader, kafka: Brokers
    ) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        writer.commit([said(places[0], b"1")], PATIENCE)
        until(lambda: admin.ends(places, committed=True)[places[0]] == 2, "the marker, which comes after the answer")
        assert values(read_to(reader, {places[0]: 2})) == [b"1"]
        assert reader.position(places[0]) == 2
        for _ in range(2):
            abandon(kafka.servers, places[0], b"aborted").abort_transaction(PATIENCE)
        until(lambda: admin.ends(places, committed=True)[places[0]] == 6, "the markers")
        assert read_to(reader, {places[0]: 6}) == []
        assert reader.position(places[0]) == 6
        writer.commit([said(places[0], b"2")], PATIENCE)
        assert values(read_to(reader, admin.ends(places, committed=False))) == [b"2"]
        writer.close()
        again = client.reader()
        again.assign(dict.fromkeys(places, 0))
        assert values(read_to(again, admin.ends(places, committed=False))) == [b"1", b"2"]
        again.close()

    def test_an_open_transaction_is_hidden_and_holds_the_committed_end(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader, kafka: Brokers
    ) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        open_one = abandon(kafka.servers, places[0], b"open")
        writer.commit([said(places[0], b"behind"), said(places[1], b"beside")], PATIENCE)
        until(lambda: admin.ends(places, committed=False) == {places[0]: 3, places[1]: 2}, "both markers")
        assert admin.ends(places, committed=True) == {places[0]: 0, places[1]: 2}
        assert values(read_to(reader, {places[1]: 2})) == [b"beside"]
        assert reader.poll(0.0) == []
        open_one.commit_transaction(PATIENCE)
        until(lambda: admin.ends(places, committed=True) == {places[0]: 4, places[1]: 2}, "the last marker")
        assert values(read_to(reader, admin.ends(places, committed=True))) == [b"open", b"behind"]
        writer.close()

    def test_the_newer_writer_fences_the_older(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader
    ) -> None:
        old, new = (client.writer(places[0].topic, TRANSACTION) for _ in range(2))
        old.open(PATIENCE)
        old.commit([said(places[0], b"old")], PATIENCE)
        new.open(PATIENCE)
        with pytest.raises(Fenced, match="Another writer has"):
            old.commit([said(places[0], b"zombie")], PATIENCE)
        with pytest.raises(OutcomeUnknown, match="closed"):
            old.commit([said(places[0], b"zombie")], PATIENCE)
        new.commit([said(places[0], b"new")], PATIENCE)
        old.close()
        new.close()
        assert values(read_to(reader, admin.ends(places, committed=False))) == [b"old", b"new"]

    def test_writers_of_other_names_dont_mind(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader
    ) -> None:
        writers = [client.writer(f"{places[0].topic}.{number}", TRANSACTION) for number in range(2)]
        for writer in writers:
            writer.open(PATIENCE)
        for round in range(3):
            for number, writer in enumerate(writers):
                writer.commit([said(places[number], b"%d" % round)], PATIENCE)
        for writer in writers:
            writer.close()
        assert len(read_to(reader, admin.ends(places, committed=False))) == 6

    def test_twenty_thousand_records_are_one_commit(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader
    ) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        many = [said(places[0], b"%d " % number + b"." * 250, [("h", b"%d" % number)]) for number in range(20_000)]
        assert writer.commit(many, PATIENCE) == list(range(20_000))
        writer.close()
        found = read_to(reader, admin.ends(places, committed=False))
        assert values(found) == [record.value for record in many]
        assert [each.headers for each in found[:3]] == [[("h", b"0")], [("h", b"1")], [("h", b"2")]]

    def test_a_record_may_be_as_long_as_stored_bytes_may_be(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader
    ) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        long = [said(places[0], bytes([number]) * 65_535) for number in range(100)]
        assert writer.commit(long, PATIENCE) == list(range(100))
        writer.close()
        assert values(read_to(reader, admin.ends(places, committed=False))) == [record.value for record in long]

    def test_a_poll_returns_no_more_than_it_was_asked_for(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader
    ) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        writer.commit([said(places[0], b"%d" % number) for number in range(100)], PATIENCE)
        writer.close()
        polls: list[list[Received]] = []

        def there() -> bool:
            polls.append(reader.poll(0.2, 7))
            return sum(map(len, polls)) == 100

        until(there, "a hundred records")
        assert max(map(len, polls)) <= 7
        assert [each.offset for poll in polls for each in poll] == list(range(100))

    @pytest.mark.parametrize(
        ("key", "value", "headers"),
        [
            (b"key", b"value", []),
            (b"", b"", [("", b"")]),
            (b"key", None, [("tombstone", b"")]),
            (None, b"no key", [("same", b"1"), ("same", b"2"), ("grüße", bytes(range(256)))]),
        ],
    )
    def test_bytes_come_as_they_were_given(
        self,
        client: Client,
        admin: Admin,
        places: list[Place],
        reader: Reader,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
    ) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        writer.commit([Record(places[0], key, value, headers)], PATIENCE)
        writer.close()
        (found,) = read_to(reader, admin.ends(places, committed=False))
        assert (found.key, found.value, list(found.headers)) == (key, value, headers)
        assert {type(part) for part in (found.key, found.value)} <= {bytes, type(None)}

    def test_a_header_of_others_may_have_no_value(
        self, admin: Admin, places: list[Place], reader: Reader, kafka: Brokers
    ) -> None:
        producer = Producer({"bootstrap.servers": kafka.servers, "log_level": 0})
        producer.produce(places[0].topic, b"value", partition=0, headers=[("none", None), ("some", b"x")])
        assert producer.flush(PATIENCE) == 0
        (found,) = read_to(reader, admin.ends(places, committed=False))
        assert list(found.headers) == [("none", None), ("some", b"x")]

    def test_assigning_goes_on_where_it_was_and_begins_where_it_is_told(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader
    ) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        for number in range(3):
            writer.commit([said(place, b"%d" % number) for place in places], PATIENCE)
        ends = admin.ends(places, committed=False)
        reader.assign({places[0]: 0})
        assert values(read_to(reader, {places[0]: ends[places[0]]})) == [b"0", b"1", b"2"]
        reader.assign({places[0]: reader.position(places[0]), places[1]: 4})
        writer.commit([said(places[0], b"3")], PATIENCE)
        found = read_to(reader, admin.ends(places, committed=False))
        assert sorted((each.place.partition, each.value or b"") for each in found) == [(0, b"3"), (1, b"2")]
        reader.assign({places[0]: 2})
        writer.commit([said(place, b"4") for place in places], PATIENCE)
        found = read_to(reader, {places[0]: admin.ends(places, committed=False)[places[0]]})
        assert values(found) == [b"1", b"2", b"3", b"4"]
        reader.assign({})
        assert reader.poll(0.05) == []
        writer.close()

    def test_what_was_removed_is_not_read_over(
        self, client: Client, admin: Admin, places: list[Place], kafka: Brokers
    ) -> None:
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        for number in range(3):
            writer.commit([said(places[0], b"%d" % number)], PATIENCE)
        writer.close()
        stock = AdminClient({"bootstrap.servers": kafka.servers, "log_level": 0})
        for future in stock.delete_records([TopicPartition(*places[0], 4)]).values():
            future.result(PATIENCE)
        assert admin.begins(places) == {places[0]: 4, places[1]: 0}
        reader = client.reader()
        for offset in (1, 1000):
            reader.assign({places[0]: offset, places[1]: 0})
            for _ in range(2):
                assert "records before the offset were removed" in str(unavailable(lambda: reader.poll(1.0)))
        reader.assign({places[0]: 4})
        assert values(read_to(reader, admin.ends(places[:1], committed=False))) == [b"2"]
        reader.close()

    def test_a_topic_is_made_once_and_told_with_all_its_settings(self, client: Client, admin: Admin) -> None:
        name = fresh_prefix()
        assert admin.topic(name) is None
        admin.create_topic(name, 3, 1, {"retention.ms": "-1", "cleanup.policy": "compact"})
        admin.create_topic(name, 5, 1, {"retention.ms": "1"})
        topic = admin.topic(name)
        assert topic is not None
        assert (topic.partitions, topic.replication) == (3, 1)
        assert topic.configs["retention.ms"] == "-1"
        assert topic.configs["cleanup.policy"] == "compact"
        assert topic.configs["unclean.leader.election.enable"] == "false"
        writer = client.writer(name, TRANSACTION)
        writer.open(PATIENCE)
        assert writer.commit([said(Place(name, number), b"x") for number in range(3)], PATIENCE) == [0, 0, 0]
        writer.close()

    def test_offsets_are_found_by_time(self, client: Client, admin: Admin, places: list[Place]) -> None:
        before = int(time.time() * 1000)
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        writer.commit([said(places[0], b"1")], PATIENCE)
        until(lambda: int(time.time() * 1000) > before + 20, "a later time")
        between = int(time.time() * 1000)
        writer.commit([said(places[0], b"2")], PATIENCE)
        writer.close()
        until(lambda: admin.ends(places, committed=True)[places[0]] == 4, "the last marker")
        assert admin.offsets_at(places, before - 1000) == {places[0]: 0, places[1]: None}
        assert admin.offsets_at(places, between)[places[0]] in (1, 2)  # the marker has a time, too
        assert admin.offsets_at(places, between + 3_600_000) == {places[0]: None, places[1]: None}
        assert admin.ends([], committed=True) == {}

    def test_a_group_that_is_not_there_has_no_members(self, admin: Admin) -> None:
        assert admin.members(fresh_prefix()) == {}

    def test_where_there_is_no_broker_everything_says_so_in_time(self, using: Connect) -> None:
        client = using(NOBODY)
        place = Place("nowhere", 0)
        writer, admin, reader = client.writer("nobody", TRANSACTION), client.admin(), client.reader()
        reader.assign({place: 0})
        for doing, seconds in (
            (lambda: writer.open(1.0), 1.0),
            (lambda: admin.ends([place], committed=True), 10.0),
            (lambda: until(lambda: reader.poll(1.0), "nothing"), 12.0),
        ):
            started = time.monotonic()
            assert str(unavailable(doing)).startswith("Kafka is not available for ")
            assert time.monotonic() - started < seconds + 5
        for each in (writer, admin, reader):
            each.close()

    def test_a_partition_that_is_not_there_is_never_committed_to(
        self, client: Client, admin: Admin, places: list[Place], reader: Reader
    ) -> None:
        for wrong in (Place(places[0].topic, 7), Place(fresh_prefix(), 0)):
            writer = client.writer(places[0].topic, 10.0)
            writer.open(PATIENCE)
            with pytest.raises(OutcomeUnknown):
                writer.commit([said(places[0], b"half"), said(wrong, b"other half")], 2.0)
            writer.close()
        writer = client.writer(places[0].topic, 10.0)
        writer.open(PATIENCE)
        writer.commit([said(places[0], b"whole")], PATIENCE)
        writer.close()
        assert values(read_to(reader, admin.ends(places, committed=False))) == [b"whole"]

    def test_closing_waits_for_nobody_and_sends_nothing_more(
        self, using: Connect, own_kafka: Cluster, kafka_link: Link
    ) -> None:
        admin = using(own_kafka.servers).admin()
        topic = fresh_prefix()
        admin.create_topic(topic, 1, 1, {})
        client = using(kafka_link.servers)
        writer, reader = client.writer(topic, TRANSACTION), client.reader()
        writer.open(PATIENCE)
        reader.assign({Place(topic, 0): 0})
        reader.poll(0.1)
        hole = kafka_link.black_hole(None)
        with pytest.raises(OutcomeUnknown):
            writer.commit([said(Place(topic, 0), b"lost")], 0.5)
        until(lambda: hole.caught, "a request in vain")
        started = time.monotonic()
        for _ in range(2):
            writer.close()
            reader.close()
        assert time.monotonic() - started < 3.0
        kafka_link.pass_all()
        ends = kafka_link.requests[END_TXN]
        fresh = client.writer(topic, TRANSACTION)
        fresh.open(PATIENCE)
        fresh.commit([said(Place(topic, 0), b"kept")], PATIENCE)
        fresh.close()
        assert kafka_link.requests[END_TXN] == ends + 1
        again = client.reader()
        again.assign({Place(topic, 0): 0})
        assert values(read_to(again, admin.ends([Place(topic, 0)], committed=False))) == [b"kept"]
        again.close()
        admin.close()


def abandon(servers: str, place: Place, value: bytes) -> Producer:
    """A transaction that is open and has a record, by a stock client; it belongs to whom this returns to."""
    settings = {"bootstrap.servers": servers, "transactional.id": fresh_prefix(), "log_level": 0}
    producer = Producer(settings)
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(place.topic, value, partition=place.partition)
    assert producer.flush(PATIENCE) == 0
    return producer


def unavailable(doing: Callable[[], object]) -> Unavailable:
    """The Unavailable that comes of doing something, perhaps again."""
    for _ in range(20):
        try:
            doing()
        except Unavailable as problem:
            return problem
    raise AssertionError("it was available")


def by(library: Library) -> Connect:
    return lambda servers: connect(KafkaSettings(servers, client=library))
