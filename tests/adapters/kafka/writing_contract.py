"""What every client promises of its writers."""

import threading
import time

import psutil
import pytest

from adapters.kafka.client import Admin, Client, Fenced, OutcomeUnknown, Place, Reader, Record
from tests.adapters.kafka.clients import TRANSACTION, ClientFixtures, Connect, read_to, said, values
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import fresh_prefix
from tests.kafka.proxy import END_TXN, Link
from tests.node import PATIENCE, until


class WritingContract(ClientFixtures):
    """Inherit, and give the fixture `using`."""

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

    def test_writers_that_failed_leave_nothing_behind(
        self, using: Connect, own_kafka: Cluster, kafka_link: Link, places: list[Place]
    ) -> None:
        client, process = using(kafka_link.servers), psutil.Process()

        def fail() -> None:
            writer = client.writer(places[0].topic, TRANSACTION)
            writer.open(PATIENCE)
            kafka_link.black_hole({END_TXN})
            with pytest.raises(OutcomeUnknown):
                writer.commit([said(places[0], b"lost")], 0.5)
            kafka_link.pass_all()

        fail()
        before = threading.active_count(), process.num_fds()
        for _ in range(5):
            fail()
        until(lambda: threading.active_count() <= before[0], "the end of their threads")
        until(lambda: process.num_fds() <= before[1] + 4, "the end of their connections")
