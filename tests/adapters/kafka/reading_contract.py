"""What every client promises of its readers."""

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from adapters.kafka.client import Admin, Client, Place, Reader, Received
from tests.adapters.kafka.clients import (
    TRANSACTION,
    ClientFixtures,
    Connect,
    abandon,
    read_to,
    said,
    unavailable,
    values,
)
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import Brokers, fresh_prefix
from tests.node import PATIENCE, until


class ReadingContract(ClientFixtures):
    """Inherit, and give the fixture `using`."""

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

    def test_it_outlives_a_restart_of_the_broker(self, using: Connect, lone_kafka: Cluster) -> None:
        client = using(lone_kafka.servers)
        admin, reader, place = client.admin(), client.reader(), Place(fresh_prefix(), 0)
        admin.create_topic(place.topic, 1, 1, {})
        reader.assign({place: 0})
        found: list[Received] = []
        for value in (b"before", b"after"):
            writer = client.writer(place.topic, TRANSACTION)
            writer.open(PATIENCE)
            writer.commit([said(place, value)], PATIENCE)
            writer.close()
            found += read_to(reader, admin.ends([place], committed=False))
            lone_kafka.brokers[0].restart()
        assert values(found) == [b"before", b"after"]
        for each in (reader, admin):
            each.close()
